"""The reader's side: seen, read, clicked, acknowledged; each once, never taken back."""

from typing import Any
from uuid import UUID

from kit.database import Tx
from kit.errors import NotFound
from services.notify.domain import ENGAGEMENT
from services.notify.store import inboxes
from services.notify.store import messages as store


async def engage(tx: Tx, *, community_id: UUID, member_id: UUID | None, message_id: UUID, mark: str) -> Any:
    """Set a mark and those it implies; NotFound for a message that is not in this member's inbox.

    `member_id` None: on behalf of whoever the message is to.
    """
    found = await store.one(tx, community_id=community_id, message_id=message_id)
    if found is None or found.position is None or (member_id is not None and found.member_id != member_id):
        raise NotFound("no such message in this inbox", code="message_unknown")
    # The inbox before the message, as delivery does it: two who hold one each would wait for ever.
    await inboxes.lock(tx, community_id=community_id, member_id=found.member_id)
    row = await store.lock(tx, community_id=community_id, message_id=message_id)
    if row is None:
        # Its time was over in the moment between.
        raise NotFound("no such message in this inbox", code="message_unknown")
    new = await store.engage(tx, row=row, marks=ENGAGEMENT[mark], at=tx.now)
    if "read_at" in new:
        await inboxes.count_read(tx, read={(community_id, found.member_id): 1})
    return {**row._mapping, **new}


async def read_all(tx: Tx, *, community_id: UUID, member_id: UUID, up_to: UUID | None) -> tuple[int, int]:
    """Mark everything read, or everything up to a message; (how many were unread, how many still are)."""
    inbox = await inboxes.lock(tx, community_id=community_id, member_id=member_id)
    limit = inbox.last
    if up_to is not None:
        row = await store.one(tx, community_id=community_id, message_id=up_to)
        if row is None or row.member_id != member_id or row.position is None:
            raise NotFound("no such message in this inbox", code="message_unknown")
        limit = row.position
    count = await store.read_all(tx, community_id=community_id, member_id=member_id, up_to=limit)
    await inboxes.count_read(tx, read={(community_id, member_id): count})
    return count, inbox.unread - count
