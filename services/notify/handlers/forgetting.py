"""Who is erased: what was said to them goes, with their inbox, their wish to hear nothing, and where to answer them."""

from uuid import UUID

from kit import copies
from kit.contracts import Envelope
from kit.contracts.members import MemberChanged
from kit.database import Tx
from services.notify.store import channels, inboxes, replies
from services.notify.store import messages as store

ERASED = "erased"


async def forget_erased(tx: Tx, batch: list[Envelope[MemberChanged]]) -> None:
    """What is known of members now counts, not what the batch says: it may be told once more. A message that is on its
    way out this very moment stays until its time is over: what becomes of it is asked for by its row."""
    pairs = sorted({(e.event.community_id, e.event.member_id) for e in batch if e.event.state == ERASED})
    known = await copies.known_members_of(tx, pairs) if pairs else {}
    for community_id, member_id in pairs:
        if (community_id, member_id) in known and known[community_id, member_id].state == ERASED:
            await _forget(tx, community_id, member_id)


async def _forget(tx: Tx, community_id: UUID, member_id: UUID) -> None:
    # The inbox before the messages, and their parts in chats before them too, as delivery does it.
    await inboxes.hold(tx, owners=[(community_id, member_id)])
    ids = await store.ended_or_held(tx, community_id=community_id, member_id=member_id)
    await channels.hold(tx, message_ids=ids)
    await channels.forget_messages(tx, message_ids=ids)
    await store.remove(tx, ids=ids)
    await inboxes.remove(tx, community_id=community_id, member_id=member_id)
    await replies.forget_member(tx, community_id=community_id, member_id=member_id)
