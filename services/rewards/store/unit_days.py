"""SQL of what went through units' system accounts, day by day."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, func, select, update

from kit.database import Tx, insert_new, select_among, upsert
from kit.database.sums import halves, whole
from services.rewards.domain.groups import is_group
from services.rewards.domain.ledger import MOST
from services.rewards.domain.unit_days import GROUPS, Flow
from services.rewards.tables.chain import ledger_blocks, ledger_chains
from services.rewards.tables.ledger import accounts, entries
from services.rewards.tables.unit_days import unit_day_heads as heads
from services.rewards.tables.unit_days import unit_days as t

_KEY = ("community_id", "unit", "day", "account")


class Key(NamedTuple):
    community_id: UUID
    unit: str
    day: date
    account: str


async def behind(tx: Tx) -> list[UUID]:
    """Communities with sealed blocks that are not added up yet."""
    done = func.coalesce(heads.c.number, 0)
    joined = ledger_chains.outerjoin(heads, heads.c.community_id == ledger_chains.c.community_id)
    stmt = select(ledger_chains.c.community_id).select_from(joined).where(ledger_chains.c.number > done)
    return [row.community_id for row in await tx.all(stmt.order_by(ledger_chains.c.community_id))]


async def hold(tx: Tx, community_id: UUID) -> int:
    """Up to which block a community is added up, held until the transaction ends."""
    await insert_new(tx, heads, [{"community_id": community_id, "number": 0}], key=["community_id"])
    row = await tx.one(select(heads.c.number).where(heads.c.community_id == community_id).with_for_update())
    return int(row.number)


async def move_on(tx: Tx, community_id: UUID, number: int) -> None:
    await tx.execute(update(heads).where(heads.c.community_id == community_id).values(number=number))


async def flows_of(tx: Tx, community_id: UUID, transaction_ids: Sequence[UUID]) -> dict[Key, Flow]:
    """What these transactions move through system accounts."""
    e = entries.c
    columns = e.transaction_id, e.owner_id, e.unit, e.day, e.amount
    lines = await select_among(tx, columns, e.transaction_id, list(transaction_ids))
    a = accounts.c
    rows = await tx.all(select(a.owner_id, a.name).where(a.community_id == community_id, a.system == 1).distinct())
    names = {row.owner_id: GROUPS if is_group(row.owner_id) else row.name for row in rows}
    out: dict[Key, Flow] = defaultdict(Flow)
    for line in lines:
        if line.owner_id in names:
            key = Key(community_id, line.unit, line.day, names[line.owner_id])
            out[key] = out[key].and_then(line.amount)
    return dict(out)


async def add(tx: Tx, flows: Mapping[Key, Flow]) -> None:
    """Add to the rows of a community whose head the caller holds. A sum that no column holds stays at the most."""
    there = await select_among(tx, t, [t.c[name] for name in _KEY], sorted(flows))
    before = {Key(r.community_id, r.unit, r.day, r.account): Flow(r.came, r.went) for r in there}
    rows = []
    for key, flow in flows.items():
        old = before.get(key, Flow())
        sums = {"came": min(MOST, old.came + flow.came), "went": min(MOST, old.went + flow.went)}
        rows.append({**key._asdict(), **sums})
    await upsert(tx, t, rows, key=_KEY, update=("came", "went"))


async def between(tx: Tx, community_id: UUID, unit: str, since: date, until: date) -> dict[date, dict[str, Flow]]:
    """Day → account → what went through it, from one day to the other."""
    where = t.c.community_id == community_id, t.c.unit == unit, t.c.day.between(since, until)
    out: dict[date, dict[str, Flow]] = {}
    for row in await tx.all(select(t).where(*where)):
        out.setdefault(row.day, {})[row.account] = Flow(row.came, row.went)
    return out


async def before(tx: Tx, community_id: UUID, unit: str, day: date) -> dict[str, Flow]:
    """Account → all that went through it before a day."""
    where = t.c.community_id == community_id, t.c.unit == unit, t.c.day < day
    sums = *halves(t.c.came, "came"), *halves(t.c.went, "went")
    rows = await tx.all(select(t.c.account, *sums).where(*where).group_by(t.c.account))
    return {row.account: Flow(whole(row, "came"), whole(row, "went")) for row in rows}


async def through(tx: Tx, community_id: UUID) -> datetime | None:
    """When the last block was sealed that is added up; None: nothing is."""
    same = and_(ledger_blocks.c.community_id == heads.c.community_id, ledger_blocks.c.number == heads.c.number)
    stmt = select(ledger_blocks.c.sealed_at).select_from(heads.join(ledger_blocks, same))
    at: datetime | None = await tx.scalar(stmt.where(heads.c.community_id == community_id))
    return at
