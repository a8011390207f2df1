"""SQL of the chain over the ledger. Transactions are read in the order of their ids, which is the order of their making
to the microsecond; they become visible in any order."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, func, insert, select, update

from kit.database import Tx, insert_new, select_among
from services.rewards.domain.chain import NO_HASH, Block, Line, Transaction, packed, unpacked
from services.rewards.tables.chain import ledger_audits
from services.rewards.tables.chain import ledger_blocks as b
from services.rewards.tables.chain import ledger_chains as c
from services.rewards.tables.ledger import entries, transactions, units

NO_ID = UUID(int=0)
_t = transactions.c


class Chain(NamedTuple):
    """Where a community's chain ends: its last block, and up to where transactions are sealed."""

    community_id: UUID
    number: int
    hash: bytes
    through_id: UUID
    looked: int


def _chain(row: Any) -> Chain:
    return Chain(row.community_id, row.number, bytes(row.hash), row.through_id, row.looked)


async def communities(tx: Tx) -> list[UUID]:
    """Every community that has a ledger."""
    rows = await tx.all(select(units.c.community_id).distinct().order_by(units.c.community_id))
    return [row.community_id for row in rows]


async def with_unsealed(tx: Tx, *, before_id: UUID) -> list[UUID]:
    """Communities in which something below this id lies behind the end of their chain."""
    those = select(units.c.community_id).distinct().subquery()
    behind = _t.id > func.coalesce(c.c.through_id, NO_ID)
    there = select(_t.id).where(_t.community_id == those.c.community_id, behind, _t.id < before_id).exists()
    joined = those.outerjoin(c, c.c.community_id == those.c.community_id)
    rows = await tx.all(select(those.c.community_id).select_from(joined).where(there).order_by(those.c.community_id))
    return [row.community_id for row in rows]


async def with_ground_to_look_at(tx: Tx, *, sealed_before: datetime) -> list[UUID]:
    """Communities with a block that was sealed before then and whose ground was not looked at again."""
    following = and_(b.c.community_id == c.c.community_id, b.c.number == c.c.looked + 1)
    stmt = select(c.c.community_id).join(b, following).where(b.c.sealed_at < sealed_before)
    return [row.community_id for row in await tx.all(stmt.order_by(c.c.community_id))]


async def hold(tx: Tx, community_id: UUID) -> Chain:
    """The end of the chain, held until the transaction ends; a new one where there is none."""
    row = {"community_id": community_id, "number": 0, "hash": NO_HASH, "through_id": NO_ID, "looked": 0}
    await insert_new(tx, c, [row], key=["community_id"])
    found = await tx.first(select(c).where(c.c.community_id == community_id).with_for_update())
    assert found is not None, "it was made a moment ago"
    return _chain(found)


async def end_of(tx: Tx, community_id: UUID) -> Chain | None:
    found = await tx.first(select(c).where(c.c.community_id == community_id))
    return None if found is None else _chain(found)


async def ids_between(tx: Tx, community_id: UUID, after: UUID, through: UUID) -> list[UUID]:
    where = _t.community_id == community_id, _t.id > after, _t.id <= through
    return [row.id for row in await tx.all(select(_t.id).where(*where).order_by(_t.id))]


async def next_ids(tx: Tx, community_id: UUID, after: UUID, before: UUID, limit: int) -> list[UUID]:
    where = _t.community_id == community_id, _t.id > after, _t.id < before
    return [row.id for row in await tx.all(select(_t.id).where(*where).order_by(_t.id).limit(limit))]


async def read(tx: Tx, community_id: UUID, ids: Sequence[UUID]) -> list[Transaction]:
    """Those of these transactions that are there, with their lines, by id."""
    rows = await select_among(tx, transactions, (_t.community_id, _t.id), [(community_id, id) for id in ids])
    lines: dict[UUID, list[Line]] = {}
    for e in await select_among(tx, entries, entries.c.transaction_id, list(ids)):
        line = Line(e.line, e.owner_id, e.unit, e.amount, e.effective_at, e.day, e.scored)
        lines.setdefault(e.transaction_id, []).append(line)
    return [_transaction(row, lines.get(row.id, ())) for row in sorted(rows, key=lambda row: row.id)]


def _transaction(row: Any, lines: Sequence[Line]) -> Transaction:
    values = {name: getattr(row, name) for name in Transaction._fields if name != "lines"}
    keys = {name: bytes(values[name]) for name in ("idem_key", "payload_hash")}
    return Transaction(**{**values, **keys}, lines=lines)


async def add_block(tx: Tx, block: Block, *, looked: int) -> None:
    """Append it, and move the end of the chain, which the caller holds, there."""
    values = {**block._asdict(), "ids": packed(block.ids)}
    await tx.execute(insert(b).values(**values))
    end: dict[str, Any] = {"number": block.number, "hash": block.hash, "looked": looked}
    if block.through_id is not None:
        end["through_id"] = block.through_id
    await tx.execute(update(c).where(c.c.community_id == block.community_id).values(**end))


async def set_looked(tx: Tx, community_id: UUID, number: int) -> None:
    await tx.execute(update(c).where(c.c.community_id == community_id).values(looked=number))


async def block(tx: Tx, community_id: UUID, number: int) -> Block | None:
    found = await tx.first(select(b).where(b.c.community_id == community_id, b.c.number == number))
    return None if found is None else _block(found)


def _block(row: Any) -> Block:
    values = {name: getattr(row, name) for name in Block._fields}
    return Block(**{**values, "hash": bytes(row.hash), "ids": unpacked(bytes(row.ids))})


async def late_ids(tx: Tx, community_id: UUID) -> set[UUID]:
    """Transactions in blocks of what came late: few, unless a clock was set back for long."""
    where = b.c.community_id == community_id, b.c.through_id.is_(None)
    rows = await tx.all(select(b.c.ids).where(*where))
    return {id for row in rows for id in unpacked(bytes(row.ids))}


async def claim_night(tx: Tx, night: date) -> bool:
    """Whether nobody has begun this night's audit yet; from now on somebody has."""
    return bool(await insert_new(tx, ledger_audits, [{"night": night, "begun_at": tx.now}], key=["night"]))
