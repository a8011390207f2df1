"""What a badge is, and what becomes of a member's standing with it (R77). Nothing here reads a clock.

A member holds a badge by a grant; grants are numbered, since one that ended may be followed by another. An operator's
word stands: what was granted or revoked by hand no event changes, until it expires.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

Kind = Literal["permanent", "auto_revoke", "expiring"]
Whose = Literal["actor", "subject_author"]
What = Literal["events", "streak", "balance", "level", "programme", "percentile", "hand"]
Counting = Literal["events", "days", "people"]
Measure = Literal["current", "longest", "days"]
Result = Literal["passed", "perfect"]
Ending = Literal["undone", "expired", "by_hand"]

ENDINGS: Final[tuple[Ending, ...]] = ("undone", "expired", "by_hand")
PERMANENT: Final = "permanent"
AUTO_REVOKE: Final = "auto_revoke"
EXPIRING: Final = "expiring"
EVENTS: Final = "events"
DAYS: Final = "days"
PEOPLE: Final = "people"
STREAK: Final = "streak"
BALANCE: Final = "balance"
LEVEL: Final = "level"
PROGRAMME: Final = "programme"
PERCENTILE: Final = "percentile"
HAND: Final = "hand"

RESERVED: Final = frozenset({"members", "certificates"})
"""Ids that are words of the routes."""
MOST_BADGES = 200
MOST_COUNTED = 10_000
"""The most that a badge asks to be counted: what is counted is a row each until it is reached."""
MOST_DAYS = 366 * 10
SPARE = 1000
"""How much more than it asks for is noted for a badge that may be lost: so much can be undone and it is held still."""
ALIKE = 4
"""How many events of one day or one person are noted: the others stand in when one of them is undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What a member gets the badge for.

    `events`: events of types `on` for which `when` holds, of the member (`whose` actor) or about what the member wrote
    (subject_author); `count` says what is counted of them: the events, the community's days they fell on, or the other
    people in them. `streak`: `measure` of check-in series `series`. `balance`: of `unit`. `level`: the community's
    level. Each is reached at `least`. `programme`: `result` in the programme of `series`, when that is over.
    `percentile`: among the best `percent` of a hundred of a period of this kind of `board`, when that is final. `hand`:
    by an operator only.
    """

    kind: What
    on: tuple[str, ...] = ()
    when: str | None = None
    whose: Whose = "actor"
    count: Counting = EVENTS
    series: str = ""
    measure: Measure = "longest"
    result: Result = "passed"
    unit: str = ""
    board: str = ""
    period: str = ""
    percent: int = 0
    least: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """`permanent` is kept whatever happens later; `auto_revoke` is lost when the criterion holds no more; `expiring`
    ends `expires_after_days` times 24 hours after `granted_at`, and can be reached again by what happens after that.
    With `silent` nobody is told."""

    id: str
    name: str
    criterion: Criterion
    description: str = ""
    kind: Kind = PERMANENT
    expires_after_days: int | None = None
    silent: bool = False
    enabled: bool = True

    def expiry(self, granted_at: datetime) -> datetime | None:
        """When a grant of this time ends by itself; None: never."""
        return granted_at + timedelta(days=self.expires_after_days) if self.expires_after_days is not None else None


@dataclass(frozen=True, slots=True)
class Standing:
    """A member and a badge: what is counted, how many grants there were, and the last of them. `held` is whether it
    was in force when this was written; an expired one is until somebody looks (`at`). `by_hand`: an operator's word
    stands."""

    progress: int = 0
    number: int = 0
    held: bool = False
    granted_at: datetime | None = None
    expires_at: datetime | None = None
    by_hand: bool = False

    @property
    def fixed(self) -> bool:
        """Whether no event changes it any more, whatever happens."""
        return self.by_hand and not (self.held and self.expires_at is not None)

    def over(self, now: datetime) -> bool:
        """Whether it expired, and nobody noted it yet."""
        return self.held and self.expires_at is not None and self.expires_at <= now

    def at(self, now: datetime) -> "Standing":
        """As it is now."""
        return replace(self, held=False, by_hand=False) if self.over(now) else self


class Mark(NamedTuple):
    """Something that was counted: `value` says as what (the event, the day, the person)."""

    value: str
    event_id: UUID
    at: datetime
    history: bool


class Reached(NamedTuple):
    """When a criterion came to hold, by which event (None: by none) and whether that is no news."""

    at: datetime
    event_id: UUID | None
    history: bool


Since = Callable[[datetime | None], Reached | None]
"""When a value first came to be enough (None as argument), or came to it by something at or after that time; None for
never. For the first time there is an answer wherever the value is enough now."""


def once(at: datetime, history: bool = False) -> Since:
    """Of what came to hold at that time and is over: it is not reached again."""

    def since(after: datetime | None) -> Reached | None:
        return Reached(at, None, history) if after is None or at >= after else None

    return since


def places(members: int, percent: int) -> int:
    """How many of a board's members are its best so many of a hundred: rounded down, and always one."""
    return max(1, members * percent // 100)


class Grant(NamedTuple):
    number: int
    reached: Reached
    expires_at: datetime | None


class End(NamedTuple):
    number: int
    at: datetime
    why: Ending


class Outcome(NamedTuple):
    """What happened, in this order, and how the member stands afterwards. `kept`: the marks to count on with; None:
    all there are."""

    standing: Standing
    changes: tuple[Grant | End, ...]
    kept: tuple[Mark, ...] | None = None


def counts(badge: Badge, standing: Standing, at: datetime) -> bool:
    """Whether something of this time counts towards the badge. Nothing does towards one that is held for good, nor what
    happened before the end of the last grant: so what comes again after its mark was forgotten is not counted twice."""
    if standing.fixed or (standing.held and badge.kind == PERMANENT):
        return False
    return standing.expires_at is None or at >= standing.expires_at


def firsts(marks: Iterable[Mark]) -> list[Mark]:
    """The first mark of each value, in the order of their times."""
    out: dict[str, Mark] = {}
    for mark in sorted(marks, key=lambda m: (m.at, m.event_id)):
        out.setdefault(mark.value, mark)
    return list(out.values())


def counted(badge: Badge, before: Standing, progress: int, marks: Sequence[Mark] | None, now: datetime) -> Outcome:
    """A member stands at `progress` now. `marks` are all that are noted; they are needed where it is reached (see
    `wants_marks`) and None elsewhere."""
    standing, changes = _expired(before, now)
    standing = replace(standing, progress=progress)
    least, kept = badge.criterion.least, None
    if standing.fixed:
        return Outcome(standing, changes)
    if badge.kind == AUTO_REVOKE and standing.held and progress < least and not standing.by_hand:
        return Outcome(replace(standing, held=False), (*changes, End(standing.number, now, "undone")))
    while marks is not None and not standing.held and standing.progress >= least:
        mark = firsts(marks)[least - 1]
        standing, grant = _granted(badge, standing, Reached(mark.at, mark.event_id, mark.history))
        changes = (*changes, grant)
        if badge.kind == AUTO_REVOKE:
            break
        marks = kept = tuple([m for m in marks if counts(badge, standing, m.at)])
        standing = replace(standing, progress=len(firsts(kept)))
        standing, ended = _expired(standing, now)
        changes = (*changes, *ended)
    return Outcome(standing, changes, kept)


def wants_marks(badge: Badge, before: Standing, progress: int, now: datetime) -> bool:
    """Whether `counted` has to see the marks."""
    present = before.at(now)
    return progress >= badge.criterion.least and not present.held and not present.fixed


def measured(badge: Badge, before: Standing, value: int, since: Since, now: datetime) -> Outcome:
    """A value that is kept elsewhere (a streak, a balance) is `value` now; if that is enough, `since` says since when.
    One that expired is reached again by what happens after that, not by what still holds."""
    standing, changes = _expired(before, now)
    standing = replace(standing, progress=max(value, 0))
    if standing.fixed:
        return Outcome(standing, changes)
    enough = value >= badge.criterion.least
    if standing.held and not enough and badge.kind == AUTO_REVOKE and not standing.by_hand:
        return Outcome(replace(standing, held=False), (*changes, End(standing.number, now, "undone")))
    while enough and not standing.held and (reached := since(standing.expires_at)) is not None:
        standing, grant = _granted(badge, standing, reached)
        standing, ended = _expired(standing, now)
        changes = (*changes, grant, *ended)
    return Outcome(standing, changes)


def may_change(badge: Badge, standing: Standing, value: int, now: datetime) -> bool:
    """Whether `measured` with this value has anything to say to who stands like this."""
    if standing.fixed:
        return False
    enough = value >= badge.criterion.least
    if standing.over(now) or not standing.held:
        return enough
    return badge.kind == AUTO_REVOKE and not enough


def by_hand(badge: Badge, before: Standing, now: datetime, at: datetime) -> Outcome:
    """An operator grants it, as of `at`: nothing that was counted before counts on. The caller has seen that it is not
    held."""
    standing, changes = _expired(before, now)
    standing, grant = _granted(badge, standing, Reached(at, None, False))
    return Outcome(replace(standing, progress=0, by_hand=True), (*changes, grant), ())


def taken(before: Standing, now: datetime) -> Outcome:
    """An operator takes it. The caller has seen that it is held."""
    return Outcome(replace(before, held=False, by_hand=True), (End(before.number, now, "by_hand"),))


def expired(before: Standing, now: datetime) -> Outcome:
    """What time alone changes."""
    return Outcome(*_expired(before, now))


def _expired(before: Standing, now: datetime) -> tuple[Standing, tuple[Grant | End, ...]]:
    if not before.over(now):
        return before, ()
    assert before.expires_at is not None
    return before.at(now), (End(before.number, before.expires_at, "expired"),)


def _granted(badge: Badge, before: Standing, reached: Reached) -> tuple[Standing, Grant]:
    number, expires_at = before.number + 1, badge.expiry(reached.at)
    after = replace(before, number=number, held=True, granted_at=reached.at, expires_at=expires_at)
    return after, Grant(number, reached, expires_at)
