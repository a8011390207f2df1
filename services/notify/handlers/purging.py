"""Messages after their time: those that ended, were read, or were left unread for as long."""

import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial

from kit import purging
from kit.database import Database, Tx
from services.notify.store import inboxes
from services.notify.store import messages as store


async def purge(db: Database, *, keep: timedelta, stopping: asyncio.Event) -> int:
    """One walk through all messages; how many went. What may still be sent stays, however old."""
    over = store.over(db.clock() - keep)
    return await purging.sweep(db, store.TABLE, over, stopping=stopping, remove=partial(_remove, over=over))


async def _remove(tx: Tx, keys: list[purging.Key], *, over: purging.Over) -> int:
    # The inboxes before the messages, as delivery does it: two who hold one each would wait for ever.
    await inboxes.hold(tx, owners=await store.owners(tx, ids=[id for (id,) in keys]))
    rows = await purging.still(tx, store.TABLE, over, keys)
    unread = Counter((r.community_id, r.member_id) for r in rows if r.position is not None and r.read_at is None)
    await inboxes.count_read(tx, read=unread)
    return await purging.delete(tx, store.TABLE, rows)
