"""Erasing, step by step: each is one or many short transactions and can be done again, so that whoever is killed in it
leaves it to the next. When all of them are done they are done once more, after what was under way when it was told has
ended; then the pseudonym's row lets go of it, and nothing says any more whose it was. That is the guarantee's moment.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import structlog

from kit.database import Database
from kit.errors import GuildhallError, Unavailable
from services.rewards.handlers.erasing import boards, closing, entries, kept, rows, signals
from services.rewards.handlers.erasing.asking import Overtaken, Waiting, held
from services.rewards.store import erasures as store
from services.rewards.store.erasures import AGAIN, DONE, WORKING

logger = structlog.get_logger(__name__)

AGAIN_AFTER = timedelta(minutes=10)
"""As for the chain's second look: nobody's transaction takes so long."""

Step = Callable[[Database, Any, asyncio.Event], Awaitable[None]]

STEPS: tuple[Step, ...] = (
    closing.stop_plans,
    closing.release_holds,
    closing.refuse_waiting,
    closing.close,
    boards.hide,
    entries.replace,
    boards.replace,
    rows.delete,
    rows.rename,
    rows.forget_figures,
    signals.replace,
    kept.replace,
)
"""What brings something into the account or takes from it comes before it is closed, and that before its entries are
the pseudonym's."""


async def erase_some(db: Database, stopping: asyncio.Event) -> int:
    """Take everybody's erasure as far as it goes now; how many steps. One that cannot go on keeps no other back."""
    async with db.read() as tx:
        found = await store.open_ones(tx)
    done = 0
    for one in found:
        try:
            done += await _take_on(db, one, stopping)
        except (Waiting, Overtaken) as why:
            logger.info("erasure.waits", community=str(one.community_id), step=one.step, why=str(why))
        except Unavailable:
            raise
        except GuildhallError as error:
            logger.error("erasure.refused", community=str(one.community_id), code=error.code, error=str(error))
    return done


async def _take_on(db: Database, one: Any, stopping: asyncio.Event) -> int:
    done = 0
    while not stopping.is_set():
        if one.state == AGAIN and one.step == 0 and one.again_at > db.clock():
            break
        if one.step == len(STEPS):
            await _end_round(db, one)
        else:
            await STEPS[one.step](db, one, stopping)
            async with held(db, one) as tx:
                await store.change(tx, one.community_id, one.member_id, step=one.step + 1)
        done += 1
        async with db.begin() as tx:
            one = await store.hold(tx, one.community_id, one.member_id)
        if one.state == DONE:
            break
    return done


async def _end_round(db: Database, one: Any) -> None:
    async with held(db, one) as tx:
        if one.state == WORKING:
            over = {"state": AGAIN, "step": 0, "again_at": tx.now + AGAIN_AFTER}
            await store.change(tx, one.community_id, one.member_id, **over)
            return
        # The pseudonym first and last stood here.
        gone = dict.fromkeys(("pseudonym", "asked_at", "again_at"))
        await store.change(tx, one.community_id, one.member_id, state=DONE, **gone)
    logger.info("erasure.done", community=str(one.community_id))
