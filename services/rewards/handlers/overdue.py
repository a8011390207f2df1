"""Check-ins that nobody said anything about in time."""

from collections.abc import Sequence
from functools import partial

from kit.database import Database
from services.rewards.handlers import approving
from services.rewards.handlers.apart import together_or_apart
from services.rewards.handlers.earning import score_again
from services.rewards.store import attempts as store
from services.rewards.store.attempts import Key

AT_ONCE = 100


async def decide_due(db: Database) -> int:
    """Decide some, of one community, as their series say; how many. One that an account cannot be paid for keeps no
    other waiting."""
    async with db.read() as tx:
        keys = await store.due(tx, tx.now, AT_ONCE)
    return await together_or_apart(keys, partial(_decide, db))


async def _decide(db: Database, keys: Sequence[Key]) -> int:
    async with db.begin() as tx:
        acts = await approving.expire(tx, keys)
        if acts:
            await score_again(tx, acts)
    return len(keys)
