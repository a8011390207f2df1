"""A community this service hears of for the first time gets its units, levels and board."""

from kit.contracts import Envelope
from kit.contracts.members import CommunityChanged
from kit.database import Tx
from services.rewards.handlers.ledger import ensure_defaults


async def prepare(tx: Tx, batch: list[Envelope[CommunityChanged]]) -> None:
    """Safe to repeat; changes nothing of a community that is prepared."""
    await ensure_defaults(tx, {envelope.event.community_id for envelope in batch})
