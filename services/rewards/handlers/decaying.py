"""Boards that decay: their scores are worked out anew once a day, and kept with the ledger in between.

What is kept is one more period of the board, with lines and a histogram like any other, so that reading it costs what
reading boards costs. It is of one day: when the next begins it is made again from the days that the board keeps, by
one statement, while postings in the unit wait; those of days before are of no use to anybody and go.
"""

import asyncio
from dataclasses import replace
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError

from kit.database import Database, Tx
from kit.days import local_day
from kit.errors import Unprocessable
from services.rewards.domain.boards import Board, decay_slot
from services.rewards.domain.decay import Decay
from services.rewards.handlers.boards import find, today
from services.rewards.store import boards as boards_store
from services.rewards.store import decaying as store
from services.rewards.store import ledger as ledger_store
from services.rewards.store.shown import ABSENT

logger = structlog.get_logger(__name__)


async def put(tx: Tx, community_id: UUID, board_id: str, keep_percent_per_day: int | None) -> Board:
    """So much of a day's points counts on the next one, and so on; None: the board decays no more. Postings in its unit
    wait until it is filled. Unprocessable for a board that keeps no days."""
    board = await find(tx, community_id, board_id)
    await ledger_store.count_followers(tx, community_id, {board.unit: 0})
    # Once more, under the lock: of two at the same time the second sees what the first one set.
    board = await find(tx, community_id, board_id)
    if keep_percent_per_day is not None and "day" not in board.periods:
        raise Unprocessable("scores decay by days: this board keeps none", code="days_not_kept")
    if board.decay is not None:
        await store.remove(tx, await store.slots_of(tx, board))
    day = await today(tx, community_id)
    decay = Decay(keep_percent_per_day, day) if keep_percent_per_day is not None else None
    return await _fill(tx, replace(board, decay=decay))


async def _fill(tx: Tx, board: Board) -> Board:
    await store.set_decay(tx, board)
    if board.decay is not None:
        slot = decay_slot(board, board.decay)
        await boards_store.add_periods(tx, [slot])
        await store.fill(tx, slot, board.decay)
    return board


async def renew_some(db: Database, stopping: asyncio.Event) -> int:
    """Bring the boards to the day that it is, and clear what was of days before; how many were brought there. Several
    processes may: the second one finds it done."""
    async with db.read() as tx:
        found = await store.boards_that_decay(tx)
    done = 0
    for board, zone, day_start in found:
        if stopping.is_set():
            return done
        if board.decay.day >= local_day(db.clock(), zone, day_start):
            continue
        try:
            async with db.begin() as tx:
                done += await _renew(tx, board)
        except DBAPIError as error:
            # Days that sum to more than a column holds: this board stays at the day before, the others do not.
            logger.error("board.not_renewed", board=board.id, community=str(board.community_id), error=str(error))
    removed = bool(found)
    while removed and not stopping.is_set():
        async with db.begin() as tx:
            removed = await store.remove_some_old(tx) > 0
    return done


async def _renew(tx: Tx, seen: Board) -> bool:
    await ledger_store.count_followers(tx, seen.community_id, {seen.unit: 0})
    board = await boards_store.board(tx, seen.community_id, seen.id)
    day = await today(tx, seen.community_id)
    if board is None or board.decay is None or board.decay.day >= day:
        return False
    await _fill(tx, replace(board, decay=replace(board.decay, day=day)))
    tx.after_commit.append(partial(logger.info, "board.renewed", board=board.id, day=day.isoformat()))
    return True


async def verify(tx: Tx) -> list[str]:
    """Boards whose decayed scores are not what their days say, in words; reads all of them."""
    wrong = []
    for board, _, _ in await store.boards_that_decay(tx):
        kept, said = await store.sums(tx, decay_slot(board, board.decay), board.decay)
        if kept != said:
            name = f"board {board.id} of {board.community_id}, decayed to {board.decay.day}"
            wrong.append(f"{name}: scores sum to {kept}, its days to {said}")
    return wrong


async def give(tx: Tx, community_id: UUID, board_id: str, slot: UUID, member: UUID, heir: UUID) -> None:
    """The member's line goes, the heir's is what the days say: they are the heir's already, who is on no board."""
    board = await boards_store.board(tx, community_id, board_id)
    await boards_store.remove_scores(tx, [(slot, member)])
    if board is None or board.decay is None or decay_slot(board, board.decay).id != slot:
        return
    line = await store.line_of(tx, board, board.decay, heir)
    if line is not None:
        await boards_store.put_scores(tx, {(slot, heir): line._replace(hidden=ABSENT)})
