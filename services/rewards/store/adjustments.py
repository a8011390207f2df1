"""SQL of adjustments that wait for a second person."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update

from kit.database import Tx, insert_new, select_among
from services.rewards.tables.ledger import adjustments

WAITING, APPROVED, REFUSED = "waiting", "approved", "refused"


async def add(tx: Tx, rows: Sequence[dict[str, Any]]) -> set[tuple[UUID, bytes]]:
    """Record those whose (community, idem_key) is new; returns those keys."""
    new = await insert_new(tx, adjustments, rows, key=("community_id", "idem_key"))
    return {(community_id, bytes(key)) for community_id, key in new}


async def among(tx: Tx, community_id: UUID, idem_keys: Sequence[bytes]) -> dict[bytes, Row[Any]]:
    by = adjustments.c.community_id, adjustments.c.idem_key
    rows = await select_among(tx, adjustments, by, [(community_id, key) for key in idem_keys])
    return {bytes(row.idem_key): row for row in rows}


async def by_ids(tx: Tx, community_id: UUID, ids: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    """Those of them that are the community's, by id; held by nobody."""
    where = adjustments.c.community_id == community_id
    return {row.id: row for row in await select_among(tx, adjustments, adjustments.c.id, ids, where=where)}


async def lock(tx: Tx, community_id: UUID, adjustment_id: UUID) -> Row[Any] | None:
    """One of them, held until the transaction ends."""
    where = adjustments.c.community_id == community_id, adjustments.c.id == adjustment_id
    return await tx.first(select(adjustments).where(*where).with_for_update())


async def decide(tx: Tx, community_id: UUID, adjustment_id: UUID, state: str, actor: str) -> None:
    where = adjustments.c.community_id == community_id, adjustments.c.id == adjustment_id
    values = {"state": state, "decided_by": actor, "decided_at": tx.now}
    await tx.execute(update(adjustments).where(*where).values(**values))


async def page(
    tx: Tx, community_id: UUID, *, state: str | None, limit: int, after: UUID | None, before: UUID | None
) -> list[Row[Any]]:
    """Latest first; `before` gives the ones just before that id, earliest first."""
    stmt = select(adjustments).where(adjustments.c.community_id == community_id)
    if state is not None:
        stmt = stmt.where(adjustments.c.state == state)
    if before is not None:
        stmt = stmt.where(adjustments.c.id > before).order_by(adjustments.c.id)
    else:
        stmt = stmt.order_by(adjustments.c.id.desc())
        if after is not None:
            stmt = stmt.where(adjustments.c.id < after)
    return await tx.all(stmt.limit(limit))
