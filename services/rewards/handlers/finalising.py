"""Periods of boards that are over: closed once, hashed, and finalised once, whatever runs, dies or runs twice.

A period is closed when it has ended, the board's late grace is over, and everything that was on the log by then has
been handled: a service that was down across the end catches up first. Closing is one small transaction that no posting
overlaps; from then on the period's scores change no more, so hashing takes its time, and a process that is killed in it
leaves nothing but work to be done again. The row of the period says whether it is final: of two that finish it one
does, announces it and pays its prizes, in the same transaction.
"""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from kit import outbox
from kit.consumer import group_name
from kit.contracts import ACTIVITY_TOPIC
from kit.contracts.rewards import BoardFinalized, Placing
from kit.database import Database, Tx
from kit.days import day_bounds
from kit.errors import GuildhallError
from kit.log import Log, LogUnavailable, Partition
from kit.metrics import BOARDS_FINALIZED
from services.rewards.domain.boards import Slot, ranks
from services.rewards.domain.finality import Lines
from services.rewards.handlers import percentiles, prizes
from services.rewards.store import closing as store
from services.rewards.store import ledger as ledger_store

logger = structlog.get_logger(__name__)

STEP = 200
PODIUM = 3
FIRST_ID = UUID(int=0)
GROUP = group_name("rewards", ACTIVITY_TOPIC)


class CaughtUp:
    """Until when everything on the log of activity has been handled, by whichever replica."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._mark: tuple[datetime, dict[Partition, int]] | None = None
        self._through: datetime | None = None

    async def through(self, now: datetime) -> datetime | None:
        """What was on the log by then has been handled; None: not known. Rises with every call that finds the log
        handled as far as an earlier call saw it."""
        try:
            progress = await self._log.progress(GROUP, [ACTIVITY_TOPIC])
        except LogUnavailable:
            return self._through
        ends = {place: end for place, (_, end) in progress.items()}
        for mark in (self._mark, (now, ends)):
            if mark is not None and all(progress[place][0] >= end for place, end in mark[1].items()):
                self._through, self._mark = mark[0], None
        if self._mark is None:
            self._mark = now, ends
        return self._through


async def finalize_some(db: Database, caught_up: datetime | None, stopping: asyncio.Event) -> int:
    """Finalise every period that is over; how many were, by this call. One that cannot be is tried again next time."""
    done, after = 0, FIRST_ID
    while not stopping.is_set():
        async with db.read() as tx:
            found = await store.due(tx, after=after, limit=STEP)
        for one in found:
            if stopping.is_set():
                break
            try:
                done += await _look_at(db, one, caught_up)
            except GuildhallError as error:
                # A prize that an account cannot hold: this period waits, the others do not.
                logger.error(
                    "board.not_finalized",
                    board=one.slot.board.id,
                    period=one.slot.key,
                    code=error.code,
                    error=str(error),
                )
        if len(found) < STEP:
            break
        after = found[-1].slot.id
    return done


async def _look_at(db: Database, one: store.Due, caught_up: datetime | None) -> bool:
    if one.zone is None:
        return False
    slot = one.slot
    over = day_bounds(slot.last_day, one.zone, one.day_start)[1] + timedelta(hours=slot.board.late_grace_hours)
    if one.closed_at is None:
        if over > db.clock():
            async with db.begin() as tx:
                await store.set_due(tx, slot.id, over)
            return False
        if caught_up is None or caught_up < over:
            return False
        async with db.begin() as tx:
            await close(tx, slot)
    found = await _hash(db, slot)
    try:
        async with db.begin() as tx:
            await prizes.pay(tx, slot)
            if not await finalize(tx, slot, found):
                raise _FinalAlreadyError
    except _FinalAlreadyError:
        return False
    return True


class _FinalAlreadyError(Exception):
    """Somebody else was faster: what was paid here is rolled back."""


async def close(tx: Tx, slot: Slot) -> None:
    """No posting is on its way while this holds the system accounts, and whoever posts afterwards sees it."""
    await ledger_store.count_followers(tx, slot.board.community_id, {slot.board.unit: 0})
    await store.close(tx, slot.id)


async def _hash(db: Database, slot: Slot) -> Lines:
    found, after = Lines(slot), FIRST_ID
    while True:
        async with db.read() as tx:
            part = await store.lines(tx, slot.id, after=after)
        found.add(part)
        if len(part) < store.LINES_STEP:
            return found
        after = part[-1].member_id
        await asyncio.sleep(0)


async def finalize(tx: Tx, slot: Slot, found: Lines) -> bool:
    """The period is final and announced; False when it was already, or its board is gone."""
    if not await store.finalize(tx, slot.id, hash=found.digest, members=found.count):
        return False
    board = slot.board
    first = await store.best(tx, slot.id, PODIUM)
    placed = zip(ranks(board.tie_policy, 1, None, [line.score for line in first]), first, strict=True)
    event = BoardFinalized(
        community_id=board.community_id,
        board_id=board.id,
        board_name=board.name,
        unit=board.unit,
        period_kind=slot.kind,
        period_key=slot.key,
        members=found.count,
        hash=found.digest.hex(),
        first=tuple(Placing(rank=rank, member_id=line.member_id, score=line.score) for rank, line in placed),
    )
    outbox.add(tx, event)
    await percentiles.begin(tx, slot)
    tx.after_commit.append(BOARDS_FINALIZED.inc)
    tx.after_commit.append(partial(logger.info, "board.finalized", board=board.id, kind=slot.kind, period=slot.key))
    return True


async def verify(tx: Tx) -> list[str]:
    """Finalised periods whose lines do not give their hash any more, in words; reads all of them."""
    wrong: list[str] = []
    after = FIRST_ID
    while found := await store.finalized(tx, after=after, limit=STEP):
        for one in found:
            lines, since = Lines(one.slot), FIRST_ID
            while part := await store.lines(tx, one.slot.id, after=since):
                lines.add(part)
                since = part[-1].member_id
            if (lines.digest, lines.count) != (one.hash, one.members):
                name = f"board {one.board} of {one.community_id}, {one.slot.kind} {one.slot.key}"
                wrong.append(f"{name}: was changed after it was finalised at {one.finalized_at.isoformat()}")
        after = found[-1].slot.id
    return wrong
