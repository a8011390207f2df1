"""Leagues of boards: what is set of them, and their periods, drawn and settled one after the other.

Which tier somebody plays in is known when the period before is final, late grace and all: only then are divisions
drawn, of those who scored meanwhile in the order in which they first did. So tiers change between two periods and
never while they are played for, and a late event counts for whom it is about.

Of a board's periods only the earliest that is not settled is touched, in steps of one transaction each. What a step did
is seen by the next one, whoever takes it: a process that is killed, or a second one, repeats nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from uuid import UUID

from kit import outbox
from kit.contracts.rewards import LeagueChanged
from kit.database import Database, Tx
from kit.errors import FieldError, Unprocessable
from services.rewards.domain.boards import Board
from services.rewards.domain.leagues import DEMOTE, DOWN, GRACE_MOST, LOWEST, SAME, UP, League, changed, move
from services.rewards.handlers import seating
from services.rewards.handlers.boards import find, today
from services.rewards.store import boards as boards_store
from services.rewards.store import leagues as store
from services.rewards.store import ledger as ledger_store
from services.rewards.store.leagues import Period, Playing, Seat

STEP = 500
"""More than two divisions, whatever their size."""

TERMS_MOST = 200
FIRST_ID = UUID(int=0)
OUTCOMES = {UP: "promoted", SAME: "stayed", DOWN: "demoted"}


async def put(tx: Tx, community_id: UUID, board_id: str, league: League | None) -> Board:
    """The league of a board in the periods that begin tomorrow or later; None: no more. Whoever plays in one that runs
    came for what was said then, and goes on by it. Unprocessable names what cannot be."""
    board = await find(tx, community_id, board_id)
    await ledger_store.count_followers(tx, community_id, {board.unit: 0})
    # Once more, under the lock: of two at the same time the second sees what the first one set.
    board = await find(tx, community_id, board_id)
    if league is not None:
        _check(board, league)
    # Not for a period that is played already, though the community moved to a zone where it has not begun.
    running = max(await today(tx, community_id), await store.last_drawn(tx, board.generation))
    board = replace(board, leagues=changed(board.leagues, running + timedelta(days=1), league))
    if len(board.leagues) > TERMS_MOST:
        raise Unprocessable(f"a board's league changes {TERMS_MOST} times at most", code="too_many_leagues")
    await boards_store.set_leagues(tx, board)
    return board


def _check(board: Board, league: League) -> None:
    wrong = []
    if league.period not in board.periods:
        wrong.append(("period", f"this board keeps {', '.join(board.periods)}"))
    elif board.late_grace_hours > GRACE_MOST:
        grace = f"the board takes late entries for {board.late_grace_hours} hours, a league waits {GRACE_MOST} at most"
        wrong.append(("period", grace))
    if len(set(league.tiers)) < len(league.tiers):
        wrong.append(("tiers", "two tiers have one name"))
    for name, some in (("promote", league.promote), ("demote", league.demote)):
        if len(some) != len(league.tiers):
            wrong.append((name, "one number, or one for each tier"))
    if any(up + down > league.size for up, down in zip(league.promote, league.demote, strict=False)):
        wrong.append(("size", "is less than go up and down together"))
    if wrong:
        errors = [FieldError(f"/league/{field}", "league_invalid", fault) for field, fault in wrong]
        raise Unprocessable("this league cannot be played; see errors", code="league_invalid", errors=errors)


async def play_some(db: Database, stopping: asyncio.Event) -> int:
    """Draw and settle what there is to draw and settle; in how many steps."""
    done, after = 0, FIRST_ID
    while not stopping.is_set():
        async with db.read() as tx:
            found = await store.open_ones(tx, after=after, limit=STEP)
        for one in found:
            while not stopping.is_set() and (one.finalized or not one.drawn) and await _step(db, one):
                done += 1
        if len(found) < STEP:
            break
        after = found[-1].slot.id
    return done


async def _step(db: Database, seen: Period) -> bool:
    """The next step of a period; False when there is none now."""
    board = seen.slot.board
    async with db.begin() as tx:
        # Nobody posts meanwhile, or takes this step too.
        await ledger_store.count_followers(tx, board.community_id, {board.unit: 0})
        one = await store.open_one(tx, seen.slot.id)
        if one is None:
            return False
        if not one.drawn:
            return await _draw(tx, one)
        return one.finalized and await _settle(tx, one)


async def _draw(tx: Tx, one: Period) -> bool:
    slot = one.slot
    if slot.first_day > await today(tx, slot.board.community_id):
        return False
    if slot.league is None or slot.first_day < await store.last_drawn(tx, slot.board.generation):
        # Its first entry came when another period was played already, or long before its time: nobody plays in it.
        await store.set_period(tx, slot.id, settled_at=tx.now)
        return True
    waiting = await store.waiting(tx, [slot.id], drawn=False, limit=STEP)
    await seating.place(tx, {slot.id: slot}, waiting)
    if len(waiting) < STEP:
        await store.set_period(tx, slot.id, drawn_at=tx.now)
    return True


async def _settle(tx: Tx, one: Period) -> bool:
    """Some divisions; when all are done some of who did not play; then the period itself."""
    league = one.slot.league
    assert league is not None
    found = await store.playing(tx, one.slot.id, limit=STEP)
    if found:
        divisions = [list(some) for _, some in groupby(found, lambda p: _division(league, p.seat))]
        # The last one may go on behind the page.
        whole = divisions[:-1] if len(found) == STEP else divisions
        seats = [seat for division in whole for seat in _moved(league, division)]
        await _save(tx, one, league, seats)
        return True
    return await _settle_idle(tx, one, league)


async def _settle_idle(tx: Tx, one: Period, league: League) -> bool:
    after = one.after_member or FIRST_ID
    found = await store.above_lowest(tx, one.slot, after=after, limit=STEP) if league.inactive == DEMOTE else []
    # Where there are fewer tiers than there were, the highest is where they are.
    idle = [(row.member_id, min(row.tier, league.top)) for row in found if not row.seated]
    seats = [Seat(one.slot.id, member, tx.now, tier, None, tier + DOWN) for member, tier in idle if tier > LOWEST]
    await _save(tx, one, league, seats)
    if len(found) == STEP:
        await store.set_period(tx, one.slot.id, after_member=found[-1].member_id)
    else:
        await store.set_period(tx, one.slot.id, settled_at=tx.now, after_member=None)
    return True


def _division(league: League, seat: Seat) -> tuple[int, int]:
    assert seat.number is not None
    return seat.tier, seat.number // league.size


def _moved(league: League, division: Sequence[Playing]) -> list[Seat]:
    """The seats of a division with where they lead. Who is off the board stays in the tier: neither better than
    somebody nor idle."""
    ranked = [(p.score, p.reached_at, p.seat) for p in division if p.score is not None and p.reached_at is not None]
    ranked.sort(key=lambda one: (-one[0], one[1], one[2].member_id))
    seats = [
        seat._replace(tier_after=seat.tier + move(league, seat.tier, len(ranked), place, score))
        for place, (score, _, seat) in enumerate(ranked)
    ]
    return seats + [p.seat._replace(tier_after=p.seat.tier) for p in division if p.score is None]


async def _save(tx: Tx, one: Period, league: League, seats: Sequence[Seat]) -> None:
    """Write where seats lead, and tell their members, once."""
    slot, board = one.slot, one.slot.board
    await store.put_seats(tx, seats)
    after = {(board.generation, seat.member_id): seat.tier_after for seat in seats if seat.tier_after is not None}
    await store.put_tiers(tx, after)
    for seat in seats:
        assert seat.tier_after is not None
        event = LeagueChanged(
            community_id=board.community_id,
            board_id=board.id,
            board_name=board.name,
            period_kind=slot.kind,
            period_key=slot.key,
            member_id=seat.member_id,
            outcome=OUTCOMES[seat.tier_after - seat.tier],
            tier_before=league.tiers[seat.tier],
            tier=league.tiers[seat.tier_after],
            played=seat.number is not None,
        )
        outbox.add(tx, event)
