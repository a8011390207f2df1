"""Erasing a member: what names them goes, a row without a name stays, and who comes by what was theirs is nobody.

Every service knows a person of a chat by the id that their identity computes to, and would make the same member of it
again. So the row stays, and what its identities were linked to: whoever speaks under one of them is who was erased, and
nothing is written down of them. Under another identity they are somebody new.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from kit import copies
from kit.database import Tx
from kit.errors import Conflict
from services.members.domain import SEGMENT_LEFT, Member
from services.members.store import people, segments

ERASED = "erased"


async def wipe(tx: Tx, member: Member, *, actor: str) -> Member:
    """The member in the form that is left, to be saved and announced by the caller. Identities, codes and segments are
    gone already."""
    await people.remove_identities(tx, community_id=member.community_id, member_id=member.id)
    pair = member.community_id, member.id
    for segment_id in (await segments.segments_of(tx, pairs=[pair])).get(pair, ()):
        whose: dict[str, Any] = {
            "community_id": member.community_id,
            "segment_id": segment_id,
            "member_ids": [member.id],
        }
        await segments.take_out(tx, **whose)
        await segments.note_changes(tx, **whose, change=SEGMENT_LEFT, reason=ERASED, actor=actor)
    return replace(member, display_name="", locale=None, zone=None)


async def of_erased(tx: Tx, pairs: set[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], UUID]:
    """Those of the (community, computed id) that lead to somebody who was erased, and to whom."""
    led = await copies.resolve_members(tx, pairs)
    members = await people.members_among(tx, pairs={(c, member) for (c, _), member in led.items()})
    gone = {pair for pair, member in members.items() if member.state == ERASED}
    return {pair: member for pair, member in led.items() if (pair[0], member) in gone}


async def refuse_erased(tx: Tx, community_id: UUID, computed: UUID) -> None:
    """Conflict for an identity of somebody who was erased."""
    if await of_erased(tx, {(community_id, computed)}):
        raise Conflict("this identity was that of a member who was erased", code="member_erased")
