"""Voiding member tokens: by hand, and whenever somebody is put out."""

from collections.abc import Sequence
from uuid import UUID

from kit import copies, outbox
from kit.contracts.members import MemberTokensRevoked
from kit.database import Tx
from services.members.store import credentials


async def void_tokens(tx: Tx, pairs: Sequence[tuple[UUID, UUID]]) -> None:
    """Every token that these (community, member) pairs hold now is void, within seconds everywhere."""
    versions = await credentials.revoke_tokens(tx, pairs=pairs)
    events = [
        MemberTokensRevoked(community_id=c, member_id=m, version=version, issued_before=tx.now)
        for (c, m), version in versions.items()
    ]
    for event in events:
        outbox.add(tx, event)
    await copies.apply(tx, events)
