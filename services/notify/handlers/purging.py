"""Messages after their time: those that ended, were read, or were left unread for as long."""

import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial

from kit import purging
from kit.database import Database, Tx
from services.notify.store import channels, inboxes, replies
from services.notify.store import messages as store

WINDOWS_KEPT = timedelta(days=1)


async def purge(db: Database, *, keep: timedelta, stopping: asyncio.Event) -> int:
    """One walk through all messages; how many went. What may still be sent stays, however old."""
    over = store.over(db.clock() - keep)
    return await purging.sweep(db, store.TABLE, over, stopping=stopping, remove=partial(_remove, over=over))


async def purge_windows(db: Database, *, stopping: asyncio.Event) -> int:
    """Commands of more than a day ago; how many went. No platform takes a reply to them any more."""
    return await purging.sweep(db, replies.WINDOWS, replies.over(db.clock() - WINDOWS_KEPT), stopping=stopping)


async def _remove(tx: Tx, keys: list[purging.Key], *, over: purging.Over) -> int:
    # The inboxes before the messages, as delivery does it: two who hold one each would wait for ever.
    await inboxes.hold(tx, owners=await store.owners(tx, ids=[id for (id,) in keys]))
    # And its part in a chat before the message, as the sender does it.
    await channels.hold(tx, message_ids=[id for (id,) in keys])
    rows = await purging.still(tx, store.TABLE, over, keys)
    unread = Counter((r.community_id, r.member_id) for r in rows if r.position is not None and r.read_at is None)
    await inboxes.count_read(tx, read=unread)
    await channels.forget_messages(tx, message_ids=[row.id for row in rows])
    return await purging.delete(tx, store.TABLE, rows)
