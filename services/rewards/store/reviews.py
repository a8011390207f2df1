"""SQL of grants that wait for review."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from kit.database import Tx, insert_many, select_among, upsert
from services.rewards.domain.recomputing import Key
from services.rewards.tables.reviews import reviews

PENDING, APPROVED, REFUSED, UNDONE = "pending", "approved", "refused", "undone"


async def add(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, reviews, rows)


async def lock_pending(tx: Tx, ids: Iterable[UUID]) -> list[Row[Any]]:
    """Those of them that are pending, held until the transaction ends."""
    return await select_among(tx, reviews, reviews.c.id, sorted(ids), where=reviews.c.state == PENDING, lock=True)


async def among(tx: Tx, community_id: UUID, ids: Iterable[UUID], *, lock: bool = False) -> dict[UUID, Row[Any]]:
    here = reviews.c.community_id == community_id
    rows = await select_among(tx, reviews, reviews.c.id, sorted(ids), where=here, lock=lock)
    return {row.id: row for row in rows}


async def reviewed(tx: Tx, community_id: UUID, event_ids: Iterable[UUID]) -> dict[Key, UUID]:
    """What waits, or waited, among what was decided on these events, and the review's id."""
    t = reviews.c
    columns = t.event_id, t.rule_id, t.member_id, t.unit, t.id
    rows = await select_among(tx, columns, t.event_id, sorted(event_ids), where=t.community_id == community_id)
    return {Key(row.event_id, row.rule_id, row.member_id, row.unit): row.id for row in rows}


async def put(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Set what became of them; the caller holds them."""
    changed = "state", "reason", "decided_by", "decided_at", "transaction_id"
    await upsert(tx, reviews, rows, key=("id",), update=changed)


async def page(
    tx: Tx,
    community_id: UUID,
    *,
    state: str,
    member_id: UUID | None,
    rule_id: str | None,
    limit: int,
    after: UUID | None,
    before: UUID | None,
) -> list[Row[Any]]:
    """The oldest first; `before` gives the ones just before that id, latest first."""
    stmt = select(reviews).where(reviews.c.community_id == community_id, reviews.c.state == state)
    if member_id is not None:
        stmt = stmt.where(reviews.c.member_id == member_id)
    if rule_id is not None:
        stmt = stmt.where(reviews.c.rule_id == rule_id)
    if before is not None:
        stmt = stmt.where(reviews.c.id < before).order_by(reviews.c.id.desc())
    else:
        stmt = stmt.order_by(reviews.c.id)
        if after is not None:
            stmt = stmt.where(reviews.c.id > after)
    return await tx.all(stmt.limit(limit))
