"""What is counted towards one badge of one member, while a transaction changes it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from services.rewards.domain import badges as domain
from services.rewards.domain.badges import ALIKE, SPARE, Mark
from services.rewards.domain.undoing import Way
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.granting import Held
from services.rewards.store.badges import Key

Place = tuple[str, UUID]
"""(value, event): a mark of a standing."""


class Candidate(NamedTuple):
    """An event that counts towards a member's badge, unless it was undone; `order` is its place in the batch."""

    defined: Defined
    member_id: UUID
    mark: Mark
    type: str
    way: Way | None
    order: int

    @property
    def key(self) -> Key:
        return self.defined.community_id, self.defined.badge.id, self.member_id


class Tally:
    """The marks at the values that the transaction touches, of a standing that it holds. `see` all that are stored
    there, then `remove`, then `add`; `settle` says what comes of it."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self._there: dict[str, set[UUID]] = {}
        self._added: dict[Place, Candidate] = {}
        self.removed: set[Place] = set()
        self.progress = held.before.progress

    def see(self, row: Any) -> None:
        self._there.setdefault(row.value, set()).add(row.event_id)

    def remove(self, places: Iterable[Place]) -> None:
        """Marks that are gone already stay gone."""
        for value, event_id in places:
            events = self._there.get(value, set())
            if event_id in events:
                events.discard(event_id)
                self.removed.add((value, event_id))
                self.progress -= not events

    def add(self, one: Candidate) -> None:
        badge, mark = self.held.defined.badge, one.mark
        events = self._there.setdefault(mark.value, set())
        if mark.event_id in events or len(events) >= ALIKE:
            return
        if not domain.counts(badge, self.held.before, mark.at):
            return
        if not events and self.progress >= badge.criterion.least + SPARE:
            return
        self.progress += not events
        events.add(mark.event_id)
        self._added[mark.value, mark.event_id] = one

    def reaches(self, now: datetime) -> bool:
        """Whether `settle` needs all marks that are stored."""
        return domain.wants_marks(self.held.defined.badge, self.held.before, self.progress, now)

    def settle(self, stored: Sequence[Any] | None, now: datetime) -> None:
        marks = None
        if stored is not None:
            rows = [Mark(r.value, r.event_id, r.at, r.history) for r in stored]
            marks = [m for m in rows if (m.value, m.event_id) not in self.removed]
            marks += [one.mark for one in self._added.values()]
        outcome = domain.counted(self.held.defined.badge, self.held.before, self.progress, marks, now)
        self.held.take(outcome)
        if outcome.kept is not None:
            kept = {(mark.value, mark.event_id) for mark in outcome.kept}
            self.removed |= {(r.value, r.event_id) for r in stored or ()} - kept
            self._added = {place: one for place, one in self._added.items() if place in kept}

    def rows(self) -> list[dict[str, Any]]:
        """The marks to write."""
        community_id, badge_id, member_id = self.held.key
        return [
            {
                "community_id": community_id,
                "badge_id": badge_id,
                "member_id": member_id,
                "value": one.mark.value,
                "event_id": one.mark.event_id,
                "at": one.mark.at,
                "type": one.type,
                "thing": one.way.thing if one.way is not None else None,
                "history": one.mark.history,
            }
            for one in self._added.values()
        ]
