"""What this process heard of its connections until it is written down: the door waits for no database.

A process that is killed takes with it what was not written down yet: signs of life and counts of the last seconds,
never an activity, which is on the log before its delivery is answered.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from kit.days import local_day
from kit.service import ServiceRuntime
from services.events.receivers.form import Beat, Passed

REMEMBERED_MOST = 20_000
NUMBERS_MOST = 10_000


@dataclass(slots=True)
class Heard:
    """Of one connection since it was written down last."""

    community_id: UUID
    seen_at: datetime
    beat: tuple[datetime, Beat] | None = None
    outcomes: Counter[tuple[date, str]] = field(default_factory=Counter)
    passed: list[tuple[datetime, str, Passed]] = field(default_factory=list)
    """When, in which scope, which number."""


@dataclass(frozen=True, slots=True)
class Written:
    """Somebody's message: what our activities call it, and who wrote it."""

    subject: str
    author: str


Ref = tuple[UUID, str, str, str]
"""Community, group, scope, name."""


class Hearing:
    """`take` hands over what was heard and begins anew. Messages are remembered, the last used ones."""

    def __init__(self) -> None:
        self._heard: dict[UUID, Heard] = {}
        self._written: OrderedDict[Ref, Written] = OrderedDict()
        self._refused: dict[UUID, tuple[date, str]] = {}

    def note(
        self, connection_id: UUID, community_id: UUID, at: datetime, outcome: str, count: int, beat: Beat | None = None
    ) -> None:
        """So many things came of a delivery; days are those of UTC."""
        self.alive(connection_id, community_id, at, beat)
        self._heard[connection_id].outcomes[local_day(at, "UTC", 0), outcome] += count

    def alive(self, connection_id: UUID, community_id: UUID, at: datetime, beat: Beat | None) -> None:
        """A sign of life, by a delivery or without one."""
        heard = self._heard.get(connection_id)
        if heard is None:
            heard = self._heard[connection_id] = Heard(community_id, at)
        heard.seen_at = max(heard.seen_at, at)
        if beat is not None:
            heard.beat = at, beat

    def note_refused(self, connection_id: UUID, at: datetime, why: str) -> None:
        """Why the last delivery was not the connection's own. It is remembered by this process and written nowhere:
        of what a stranger sent nothing is kept."""
        self._refused[connection_id] = local_day(at, "UTC", 0), why

    def refused(self, connection_id: UUID, day: date) -> str | None:
        """Why the last delivery of this day that was refused here was so."""
        noted, why = self._refused.get(connection_id, (None, None))
        return why if noted == day else None

    def note_number(self, connection_id: UUID, at: datetime, scope: str, passed: Passed) -> None:
        """A number of a delivery of which something was noted; of a connection at most so many at once."""
        heard = self._heard.get(connection_id)
        if heard is not None and len(heard.passed) < NUMBERS_MOST:
            heard.passed.append((at, scope, passed))

    def take(self) -> dict[UUID, Heard]:
        heard, self._heard = self._heard, {}
        return heard

    def give_back(self, connection_id: UUID, heard: Heard) -> None:
        """What could not be written down."""
        newer = self._heard.setdefault(connection_id, heard)
        if newer is not heard:
            newer.outcomes.update(heard.outcomes)
            newer.beat = newer.beat or heard.beat
            newer.passed[:0] = heard.passed

    def remember(self, ref: Ref, written: Written) -> None:
        self._written[ref] = written
        self._written.move_to_end(ref)
        if len(self._written) > REMEMBERED_MOST:
            self._written.popitem(last=False)

    def recall(self, ref: Ref) -> Written | None:
        found = self._written.get(ref)
        if found is not None:
            self._written.move_to_end(ref)
        return found


def hearing_of(one: ServiceRuntime) -> Hearing:
    made = one.memory.get("hearing")
    if made is None:
        made = one.memory["hearing"] = Hearing()
    assert isinstance(made, Hearing)
    return made
