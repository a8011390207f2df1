"""Boards: the lines of who is erased are the pseudonym's, shown to nobody; final periods can be verified still."""

import asyncio
from typing import Any
from uuid import UUID

from kit.database import Database, Tx
from services.rewards.domain.decay import DECAY
from services.rewards.domain.finality import Lines
from services.rewards.handlers import decaying
from services.rewards.handlers.erasing.asking import Waiting, held
from services.rewards.store import closing, erased, shown
from services.rewards.store.shown import ABSENT, BY_KIND, EVERY_BOARD, Absence, Standing

FIRST_ID = UUID(int=0)


async def hide(db: Database, one: Any, _stopping: asyncio.Event) -> None:
    """The pseudonym is on no board, of those to come neither. That the member is not (`absences.follow_members`) stays:
    it says nothing but that they are no person any more."""
    async with held(db, one) as tx:
        gone = Absence(one.community_id, one.pseudonym, EVERY_BOARD, BY_KIND, "erased", "guildhall", tx.now)
        await shown.add_absences(tx, [gone])
        await erased.remove_absences(tx, one.community_id, one.member_id, but=BY_KIND)
        await erased.pass_over(tx, one.community_id, one.member_id)


async def replace(db: Database, one: Any, stopping: asyncio.Event) -> None:
    """Line by line. A period that is closed and not final yet is being hashed: it is waited for."""
    done: set[UUID] = set()
    # Until there are no more: a board that decays may have been renewed meanwhile, from days that still named them.
    while lines := [line for line in await _lines(db, one) if line.slot not in done]:
        for line in lines:
            if stopping.is_set():
                raise Waiting("stopping")
            async with held(db, one) as tx:
                if line.kind.startswith(DECAY):
                    await decaying.give(tx, one.community_id, line.board_id, line.slot, one.member_id, one.pseudonym)
                else:
                    await _replace(tx, one, line.slot)
            done.add(line.slot)
            await asyncio.sleep(0)


async def _lines(db: Database, one: Any) -> list[Standing]:
    """Those of days before what is made of them."""
    async with db.read() as tx:
        found = await shown.standings(tx, one.community_id, [one.member_id])
    return sorted(found, key=lambda line: line.kind.startswith(DECAY))


async def _replace(tx: Tx, one: Any, slot: UUID) -> None:
    period = await closing.hold_period(tx, slot)
    row = await erased.score_of(tx, slot, one.member_id)
    if period is None or row is None:
        return
    if period.closed_at is not None and period.finalized_at is None:
        raise Waiting("a board's period is not final yet")
    await erased.give_seat(tx, slot, one.member_id, one.pseudonym)
    if period.finalized_at is None or row.hidden == ABSENT:
        await erased.give_score(tx, row, one.pseudonym)
        return
    final = await closing.final(tx, slot)
    # One that was changed by a hand before stays a fault: nothing is hashed anew over it.
    holds = final is not None and await _digest(tx, final) == final.hash
    await erased.give_score(tx, row, one.pseudonym)
    if final is not None and holds:
        await closing.set_erased_hash(tx, slot, await _digest(tx, final))


async def _digest(tx: Tx, final: closing.Finalized) -> bytes:
    lines, after = Lines(final.slot), FIRST_ID
    while part := await closing.lines(tx, final.slot.id, after=after):
        lines.add(part)
        after = part[-1].member_id
    return lines.digest
