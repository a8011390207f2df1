"""What there is for badges in a batch of activities, in streaks and in postings (see handlers/awarding.py)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from kit.contracts.events import Activity
from kit.database import Tx
from kit.days import local_day
from kit.turns import in_turns
from services.rewards.domain.badges import DAYS, PEOPLE, Criterion, Mark
from services.rewards.domain.checkins import CHECKIN_TYPE
from services.rewards.domain.erasing import ERASED
from services.rewards.domain.proofs import ACCEPTED
from services.rewards.domain.rules import ACTOR
from services.rewards.domain.undoing import way_of_mark
from services.rewards.expressions import Failed
from services.rewards.handlers.awarding import Note
from services.rewards.handlers.badges import Defined
from services.rewards.handlers.checking_in import AWAY, World
from services.rewards.handlers.purging import is_history
from services.rewards.handlers.tallies import Candidate


async def note(tx: Tx, found: Sequence[Activity], defined: Mapping[UUID, Sequence[Defined]], world: World) -> None:
    """What these activities count towards badges, and what they undo of it; `defined` are the badges in force."""
    if defined:
        tx.last.append(await note_of(found, defined, world))


async def note_of(found: Sequence[Activity], defined: Mapping[UUID, Sequence[Defined]], world: World) -> Note:
    candidates: list[Candidate] = []
    async for part in in_turns(list(enumerate(found))):
        for order, a in part:
            candidates += _candidates(order, a, defined, world)
    inverses = [(found[one.order].community_id, one) for one in world.inverses]
    history = frozenset(a.event_id for a in found if is_history(a))
    return Note({c: defined.get(c, ()) for c in world.communities}, candidates, inverses, history=history)


def _candidates(order: int, a: Activity, defined: Mapping[UUID, Sequence[Defined]], world: World) -> list[Candidate]:
    out = []
    for one in defined.get(a.community_id, ()):
        wanted = one.badge.criterion
        if a.type not in wanted.on or not _counts(a, world):
            continue
        actor, author = _person(a, a.actor_id, world), _person(a, a.author_id, world)
        member, other = (actor, author) if wanted.whose == ACTOR else (author, actor)
        if member is None or member == (other if wanted.whose != ACTOR else None) or _away(a, member, world):
            continue
        value = _value(a, wanted, member, other, world)
        if value is not None and (wanted.when is None or _holds(a, wanted.when, world)):
            mark = Mark(value, a.event_id, a.effective_at, is_history(a))
            out.append(Candidate(one, member, mark, a.type, way_of_mark(a), order))
    return out


def _counts(a: Activity, world: World) -> bool:
    """Nothing does that rules would not pay for: what bots do, what was too much or is told long after, a check-in that
    no series took."""
    if a.type == CHECKIN_TYPE and world.statuses.get(a.event_id, ACCEPTED) != ACCEPTED:
        return False
    if a.data.get("bot") is True or "throttled" in a.flags or "stale" in a.flags:
        return False
    doer = _person(a, a.actor_id, world)
    return doer is None or not _is_bot(a, doer, world)


def _person(a: Activity, computed: UUID | None, world: World) -> UUID | None:
    return None if computed is None else world.ids[a.community_id, computed]


def _away(a: Activity, member_id: UUID, world: World) -> bool:
    known = world.members.get((a.community_id, member_id))
    return known is not None and (known.kind == "bot" or known.state in AWAY)


def _is_bot(a: Activity, member_id: UUID, world: World) -> bool:
    known = world.members.get((a.community_id, member_id))
    return known is not None and known.kind == "bot"


def _is_nobody(a: Activity, member_id: UUID, world: World) -> bool:
    """Bots, and who was erased: these are somebody else every time."""
    known = world.members.get((a.community_id, member_id))
    return known is not None and (known.kind == "bot" or known.state == ERASED)


def _value(a: Activity, wanted: Criterion, member: UUID, other: UUID | None, world: World) -> str | None:
    """What the event counts as; None where it does not say."""
    if wanted.count == DAYS:
        place = world.communities[a.community_id]
        return local_day(a.effective_at, place.zone, place.day_start).isoformat()
    if wanted.count == PEOPLE:
        return None if other is None or other == member or _is_nobody(a, other, world) else str(other)
    return str(a.event_id)


def _holds(a: Activity, when: str, world: World) -> bool:
    try:
        return world.holds(a, when)
    except Failed:
        return False
