"""Asking for a backfill, and giving one up."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kit import copies
from kit.database import Tx, lock_alone
from kit.days import local_day
from kit.errors import Conflict, FieldError, NotFound, Unavailable, Unprocessable
from services.rewards.domain.backfills import CANCELLED, CLOSING, COUNTING, OPEN
from services.rewards.domain.badges import BALANCE, EVENTS, HAND, LEVEL, PERCENTILE, PROGRAMME, STREAK
from services.rewards.handlers import keeping, levels
from services.rewards.handlers.backfills.counting import inverses_for
from services.rewards.handlers.badges import Defined
from services.rewards.store import backfills as store
from services.rewards.store import boards as boards_store
from services.rewards.store import kept

SLACK = timedelta(minutes=10)
"""Clocks differ: what was handled so long before a badge was made was surely not counted for it."""

FORGET = 5000


async def ask(tx: Tx, one: Defined, *, since: datetime | None, silent: bool) -> Any:
    """The backfill, under way from now on. Conflict where one is already, or there is nothing that it could count."""
    _check(tx, one, since)
    # Nobody scores from here on: what is kept was counted by who scored it, and what comes is left to the backfill.
    await lock_alone(tx, keeping.gate(one.community_id))
    before = await store.one(tx, one.community_id, one.badge.id, lock=True)
    if before is not None and before.state in OPEN:
        raise Conflict("this badge is being backfilled; wait for it or cancel it", code="backfill_open")
    row: dict[str, Any] = {
        "community_id": one.community_id,
        "badge_id": one.badge.id,
        "state": COUNTING,
        "silent": silent,
        "since": since,
        "granted": 0,
        "done": 0,
        "cleared": False,
        "began_at": tx.now,
        "changed_at": tx.now,
        **dict.fromkeys(("birth", "head", "place"), 0),
        **dict.fromkeys(("kept_from", "indexed", "after_member", "after_day", "slot", "enough", "error")),
    }
    kind = one.badge.criterion.kind
    row |= await (_of_events(tx, one) if kind == EVENTS else _of_others(tx, one, since))
    if before is not None:
        while await store.forget_inverses(tx, before, FORGET):
            pass
    await store.put(tx, row)
    return await found(tx, one.community_id, one.badge.id)


def _check(tx: Tx, one: Defined, since: datetime | None) -> None:
    kind = one.badge.criterion.kind
    if kind == HAND:
        said = "an operator grants this badge; POST /v1/badges/{id}/members/{member} takes a date"
        raise Unprocessable(said, code="backfill_by_hand")
    if kind == PROGRAMME:
        said = "programmes that are over are looked at for their badges by themselves"
        raise Unprocessable(said, code="backfill_not_needed")
    if since is not None and kind not in (EVENTS, PERCENTILE):
        said = f"of a badge for a {kind} all of the past is looked at"
        raise Unprocessable(said, code="since_unused", errors=[FieldError("/since", "since_unused", said)])
    if since is not None and since > tx.now:
        wrong = FieldError("/since", "out_of_range", "in the past")
        raise Unprocessable("`since` must not be in the future", code="times_contradict", errors=[wrong])
    if not one.badge.enabled:
        raise Conflict("this badge is granted to nobody; enable it first", code="badge_disabled")


async def _of_events(tx: Tx, one: Defined) -> dict[str, Any]:
    extent = await kept.extent(tx, one.community_id)
    if extent.since is None or extent.since > one.created_at:
        # More than is kept would be lost: everybody is counted anew.
        kept_from = extent.since.isoformat() if extent.since is not None else None
        what = "nothing is kept of before this badge was made: it has counted all there is"
        raise Conflict(what, code="backfill_nothing", kept_from=kept_from)
    return {
        "kept_from": extent.since,
        "birth": await store.row_before(tx, one.community_id, one.created_at - SLACK),
        "head": extent.head,
        "indexed": 0 if inverses_for(one) else None,
        "total": extent.activities,
    }


async def _of_others(tx: Tx, one: Defined, since: datetime | None) -> dict[str, Any]:
    wanted = one.badge.criterion
    if wanted.kind == STREAK:
        return {"total": await store.count_streaks(tx, one.community_id, wanted.series)}
    if wanted.kind in (BALANCE, LEVEL):
        unit = wanted.unit or (await levels.current(tx, one.community_id)).unit
        return {"total": await store.count_accounts(tx, one.community_id, unit)}
    board = await boards_store.board(tx, one.community_id, wanted.board)
    if board is None:
        raise NotFound("the board of this badge was deleted", code="board_unknown")
    place = await copies.known_community(tx, one.community_id)
    if place is None:
        raise Unavailable("this community is not known here yet; try again", code="community_unknown", retry_after=1)
    day = None if since is None else local_day(since, place.zone, place.day_start)
    return {"total": await store.count_periods(tx, board.generation, wanted.period, day)}


async def found(tx: Tx, community_id: UUID, badge_id: str) -> Any:
    row = await store.one(tx, community_id, badge_id)
    if row is None:
        raise NotFound("nobody asked for a backfill of this badge", code="backfill_unknown")
    return row


async def cancel(tx: Tx, one: Defined) -> Any:
    """No more of the past is counted. What was granted stays."""
    row = await store.one(tx, one.community_id, one.badge.id, lock=True)
    if row is None:
        raise NotFound("nobody asked for a backfill of this badge", code="backfill_unknown")
    if row.state == COUNTING and one.badge.criterion.kind == EVENTS:
        # What came since the badge was made was counted before, and is to be again.
        await store.change(tx, row, state=CLOSING, place=max(row.place, row.birth))
    elif row.state == COUNTING:
        await store.change(tx, row, state=CANCELLED)
    elif row.state not in (CLOSING, CANCELLED):
        raise Conflict(f"this one is {row.state}", code="backfill_over")
    return await found(tx, one.community_id, one.badge.id)
