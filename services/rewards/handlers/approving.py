"""Check-ins that wait for somebody's word (R32): confirmed by members, decided by operators, over in time.

One that is let through is handled once more, as the activity that it was: it fills its own day as one that comes late
does, and earns what it would have. Locks: the community's rules, what it can be undone by, then the attempt; so whoever
confirms, decides or undoes it sees what another did.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kit.contracts.events import Activity
from kit.database import Tx
from kit.errors import Conflict, Forbidden, NotFound
from services.rewards.domain.checkins import Series
from services.rewards.domain.proofs import APPROVED, DECLINED, PENDING, UNDONE
from services.rewards.domain.undoing import EARLIER, Inverse, things_confirmed, undone, way_of_checkin
from services.rewards.handlers import checkins, keeping, voiding
from services.rewards.handlers.checkins import Held
from services.rewards.handlers.proving import decided
from services.rewards.store import attempts as store
from services.rewards.store.attempts import Key

CONFIRMED = "checkin.confirmed"


class Confirmation(NamedTuple):
    """A member's word on the check-in that is one of these things."""

    things: tuple[UUID, ...]
    member_id: UUID


def asked(series: Iterable[Held]) -> bool:
    """Whether members confirm check-ins of one of the series."""
    return any(_confirmable(held.terms.present) for held in series)


def _confirmable(series: Series) -> bool:
    return series.approval is not None and series.approval.by != "operator"


def confirmation_of(a: Activity, member_id: UUID) -> Confirmation:
    return Confirmation(things_confirmed(a), member_id)


async def take(
    tx: Tx, found: Sequence[Confirmation], series: Mapping[UUID, Sequence[Held]], others: Iterable[UUID]
) -> list[Activity]:
    """Note the confirmations; the check-ins that are let through by them. `others` are what the rest of the batch will
    lock in the same way: taken together, so that two batches never wait for each other in a circle."""
    things = {thing for one in found for thing in one.things}
    await voiding.lock(tx, things.union(others))
    await store.confirm(
        tx,
        [{"thing": t, "member_id": one.member_id, "created_at": tx.now} for one in found for t in one.things],
    )
    rows = await store.pending_about(tx, things)
    there = await store.confirmed(tx, {row.thing for row in rows})
    by_key = {(c, held.terms.present.id): held.terms.present for c, some in series.items() for held in some}
    enough = []
    for row in rows:
        one = by_key.get((row.community_id, row.series_id))
        if one is not None and one.approval is not None and one.approval.enough(there[row.thing], row.member_id):
            enough.append(row)
    return await _decide(tx, enough, APPROVED, by="")


async def stop(tx: Tx, inverses: Sequence[Inverse]) -> None:
    """What is undone while it waits is nothing. The caller holds the locks of the things."""
    about: dict[UUID, list[Inverse]] = {}
    for inverse in inverses:
        about.setdefault(inverse.thing, []).append(inverse)
    gone = []
    for row in await store.pending_about(tx, about):
        way = way_of_checkin(_activity(row))
        if way is not None and undone(about[row.thing], way, row.at, EARLIER) is not None:
            gone.append(row)
    await _decide(tx, gone, UNDONE, by="")


class Outcome(NamedTuple):
    """What a request came to for one: whether there is such an attempt, and whether this call decided it."""

    event_id: UUID
    there: bool
    decided: bool


async def decide(
    tx: Tx, community_id: UUID, series_id: str, event_ids: Sequence[UUID], *, approve: bool, by: str, reason: str
) -> tuple[list[Outcome], list[Activity]]:
    """An operator's word on these, each once; and the activities that are let through."""
    await checkins.existing(tx, community_id, series_id)
    keys = [(community_id, series_id, event_id) for event_id in dict.fromkeys(event_ids)]
    rows = await _hold(tx, keys)
    waiting = [row for row in rows.values() if row.state == PENDING]
    acts = await _decide(tx, waiting, APPROVED if approve else DECLINED, by=by, reason=reason)
    fresh = {row.event_id for row in waiting}
    return [Outcome(key[2], key in rows, key[2] in fresh) for key in keys], acts


async def confirm(tx: Tx, community_id: UUID, series_id: str, event_id: UUID, member_id: UUID) -> list[Activity]:
    """A member's word on one; the activity where that lets it through. Twice is once."""
    series = (await checkins.existing(tx, community_id, series_id)).terms.present
    row = (await _hold(tx, [(community_id, series_id, event_id)])).get((community_id, series_id, event_id))
    if row is None:
        raise NotFound("no such attempt; see the series' attempts", code="attempt_unknown")
    if series.approval is None or not _confirmable(series):
        raise Conflict("check-ins of this series are not confirmed by members", code="not_confirmable")
    if not series.approval.may_confirm(member_id):
        raise Forbidden("only the series' referees confirm its check-ins", code="not_referee")
    if row.member_id == member_id:
        raise Conflict("nobody confirms their own check-in", code="own_checkin")
    if member_id in (await store.confirmed(tx, [row.thing])).get(row.thing, ()):
        return []
    if row.state != PENDING:
        raise Conflict(f"this check-in is {row.state} already", code="attempt_decided", state=row.state)
    await store.confirm(tx, [{"thing": row.thing, "member_id": member_id, "created_at": tx.now}])
    there = await store.confirmed(tx, [row.thing])
    if not series.approval.enough(there[row.thing], row.member_id):
        return []
    return await _decide(tx, [row], APPROVED, by="")


async def expire(tx: Tx, keys: Sequence[Key]) -> list[Activity]:
    """Those of one community whose time is over, by what their series says by now (one that asks nobody any more: they
    count); the activities that are let through."""
    rows = [row for row in (await _hold(tx, keys)).values() if row.state == PENDING]
    there = (await checkins.in_force(tx, {key[0] for key in keys})).get(keys[0][0], [])
    approvals = {held.terms.present.id: held.terms.present.approval for held in there}
    declined = [r for r in rows if (one := approvals[r.series_id]) is not None and one.then == "refuse"]
    await _decide(tx, declined, DECLINED, by="")
    return await _decide(tx, [row for row in rows if row not in declined], APPROVED, by="")


async def _hold(tx: Tx, keys: Sequence[Key]) -> dict[Key, Any]:
    await keeping.enter(tx, {key[0] for key in keys})
    ahead = await store.among(tx, keys)
    await voiding.lock(tx, {row.thing for row in ahead.values() if row.thing is not None})
    return await store.lock(tx, ahead)


async def _decide(tx: Tx, rows: Sequence[Any], state: str, *, by: str, reason: str = "") -> list[Activity]:
    """Write it; of those that are let through the activities, each once, in the order of their times."""
    if not rows:
        return []
    acts = {row.event_id: _activity(row) for row in rows} if state == APPROVED else {}
    await store.put(tx, [{**row._mapping, **decided(tx, state, by=by, reason=reason)} for row in rows])
    return sorted(acts.values(), key=lambda a: (a.effective_at, a.event_id))


def _activity(row: Any) -> Activity:
    return msgspec.json.decode(row.body, type=Activity)
