"""SQL of plans, and of what a recompute compares with: the rules' own entries of an activity."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, case, func, literal, or_, select, update

from kit.database import Tx, insert_many, insert_new, select_among, update_among, upsert
from services.rewards.domain.ledger import GRANT, REVERSAL
from services.rewards.domain.recomputing import ACTOR_PREFIX, COMPARING, FOLDING, OPEN, POSTING, READY, Key, Line
from services.rewards.domain.seasons import BEFORE_ALL, Season, after
from services.rewards.store.narrowing import SEGMENT
from services.rewards.tables.boards import member_labels
from services.rewards.tables.ledger import accounts, entries, transactions
from services.rewards.tables.plans import plans as t
from services.rewards.tables.plans import recomputed
from services.rewards.tables.rules import counters, decisions, moments
from services.rewards.tables.signals import signals
from services.rewards.tables.undoing import undoable_grants, waiting_grants


async def add(tx: Tx, row: dict[str, Any]) -> None:
    await insert_many(tx, t, [row])


async def open_of(tx: Tx, community_id: UUID) -> UUID | None:
    """The community's plan that is not over."""
    found: UUID | None = await tx.scalar(select(t.c.id).where(t.c.community_id == community_id, t.c.state.in_(OPEN)))
    return found


async def one(tx: Tx, community_id: UUID, plan_id: UUID, *, lock: bool = False) -> Row[Any] | None:
    stmt = select(t).where(t.c.id == plan_id, t.c.community_id == community_id)
    return await tx.first(stmt.with_for_update() if lock else stmt)


async def by_hash(tx: Tx, community_id: UUID, plan_hash: str) -> Row[Any] | None:
    """The newest plan with this hash, held until the transaction ends."""
    where = t.c.community_id == community_id, t.c.plan_hash == plan_hash
    return await tx.first(select(t).where(*where).order_by(t.c.id.desc()).limit(1).with_for_update())


async def page(tx: Tx, community_id: UUID, *, before: UUID | None, limit: int) -> list[Row[Any]]:
    """The latest first."""
    stmt = select(t).where(t.c.community_id == community_id)
    if before is not None:
        stmt = stmt.where(t.c.id < before)
    return await tx.all(stmt.order_by(t.c.id.desc()).limit(limit))


async def posting_now(tx: Tx, community_id: UUID) -> int | None:
    """The version that a recompute is bringing."""
    found: int | None = await tx.scalar(
        select(t.c.version).where(t.c.community_id == community_id, t.c.state == POSTING)
    )
    return found


async def open_ones(tx: Tx) -> list[Row[Any]]:
    return await tx.all(select(t.c.id, t.c.community_id, t.c.state).where(t.c.state.in_(OPEN)).order_by(t.c.id))


async def with_files(tx: Tx, fresh: datetime) -> list[Row[Any]]:
    """Plans whose scratch files may be needed yet: those that are not over, and those of after `fresh` that are ready
    to be published."""
    ready = and_(t.c.state == READY, t.c.created_at > fresh)
    return await tx.all(select(t.c.id).where(or_(t.c.state.in_(OPEN), ready)))


async def claim(tx: Tx, plan_id: UUID, *, by: UUID, until: datetime) -> Row[Any] | None:
    """The open plan, if nobody else is at it."""
    free = or_(t.c.claimed_by.is_(None), t.c.claimed_by == by, t.c.claimed_until < tx.now)
    where = t.c.id == plan_id, t.c.state.in_((FOLDING, COMPARING, POSTING)), free
    stmt = update(t).where(*where).values(claimed_by=by, claimed_until=until).returning(t)
    return await tx.first(stmt)


async def advance(tx: Tx, plan_id: UUID, *, by: UUID, state: str, values: Mapping[str, Any]) -> bool:
    """Change a plan that is still this process's and in this state; holds its row until the transaction ends."""
    where = t.c.id == plan_id, t.c.claimed_by == by, t.c.state == state
    return (await tx.execute(update(t).where(*where).values(changed_at=tx.now, **values))).rowcount == 1


async def renew(tx: Tx, plan_id: UUID, *, by: UUID, state: str, until: datetime) -> None:
    """A plan that is still this process's and in this state stays so until then."""
    where = t.c.id == plan_id, t.c.claimed_by == by, t.c.state == state
    await tx.execute(update(t).where(*where).values(claimed_until=until))


async def change(tx: Tx, plan_id: UUID, values: Mapping[str, Any]) -> None:
    await tx.execute(update(t).where(t.c.id == plan_id).values(changed_at=tx.now, **values))


# What there is


@dataclass(slots=True)
class Existing:
    """What the rules gave for some events. `lines` by key, oldest first; `own` are those that this plan posted."""

    decisions: list[Row[Any]] = field(default_factory=list)
    lines: dict[Key, list[Line]] = field(default_factory=dict)
    own: set[UUID] = field(default_factory=set)
    places: dict[UUID, tuple[datetime, date]] = field(default_factory=dict)
    """Grant → its time and the day it counts for."""

    def others(self, key: Key) -> list[Line]:
        return [line for line in self.lines.get(key, ()) if line.transaction_id not in self.own]


async def existing(
    tx: Tx, community_id: UUID, event_ids: Collection[UUID], plan_id: UUID, *, lock: bool = False
) -> Existing:
    """With `lock` the entries are held until the transaction ends."""
    ids = sorted(event_ids)
    rows = [r for r in await select_among(tx, decisions, decisions.c.event_id, ids) if r.community_id == community_id]
    mine = recomputed.c.community_id == community_id
    again = await select_among(tx, recomputed, recomputed.c.event_id, ids, where=mine)
    grants = {r.transaction_id: _key(r) for r in rows if r.transaction_id and r.receiver == str(r.member_id)}
    grants |= {r.transaction_id: _key(r) for r in again if r.reverses is None}
    by = entries.c.transaction_id, entries.c.line
    held = await select_among(tx, entries, by, [(id, 0) for id in sorted(grants)], lock=lock)
    by_hand = await _by_hand(tx, [r.transaction_id for r in held if r.reversed])
    out = Existing(rows, own={r.transaction_id for r in again if r.plan_id == plan_id})
    for r in sorted(held, key=lambda r: r.transaction_id):
        line = Line(r.transaction_id, r.amount, r.reversed, by_hand.get(r.transaction_id, 0))
        out.lines.setdefault(grants[r.transaction_id], []).append(line)
        out.places[r.transaction_id] = r.effective_at, r.day
    return out


def _key(row: Any) -> Key:
    return Key(row.event_id, row.rule_id, row.member_id, row.unit)


async def _by_hand(tx: Tx, transaction_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Grant → how much of it people took back, unsigned."""
    r = transactions.c
    where = and_(r.kind == REVERSAL, r.actor != "", entries.c.transaction_id == r.id, entries.c.line == 0)
    columns = r.reverses, r.actor, entries.c.amount
    out: dict[UUID, int] = {}
    for row in await select_among(tx, columns, r.reverses, transaction_ids, where=where):
        if not row.actor.startswith(ACTOR_PREFIX):
            out[row.reverses] = out.get(row.reverses, 0) + abs(row.amount)
    return out


async def decided_before(tx: Tx, community_id: UUID, event_ids: Collection[UUID], before: datetime) -> set[UUID]:
    """Those of the events that were decided on before then."""
    d = decisions.c
    early = and_(d.community_id == community_id, d.decided_at < before)
    return {row.event_id for row in await select_among(tx, (d.event_id,), d.event_id, sorted(event_ids), where=early)}


async def balances(tx: Tx, community_id: UUID, after: tuple[UUID, str] | None, most: int) -> list[Row[Any]]:
    """(unit, owner_id, balance) of members, by owner and unit."""
    where = [accounts.c.community_id == community_id, accounts.c.system == 0]
    if after is not None:
        owner, unit = after
        later = and_(accounts.c.owner_id == owner, accounts.c.unit > unit)
        where.append(or_(accounts.c.owner_id > owner, later))
    columns = accounts.c.unit, accounts.c.owner_id, accounts.c.balance
    return await tx.all(select(*columns).where(*where).order_by(accounts.c.owner_id, accounts.c.unit).limit(most))


async def given_before(tx: Tx, community_id: UUID, before: datetime, seasons: Sequence[Season]) -> list[Row[Any]]:
    """(rule_id, owner_id, unit, season, amount, grants): what rules gave to members and was posted before then, by the
    windows of limits per season (`domain.seasons.window_on`)."""
    g, e = transactions.c, entries.c
    same = and_(e.transaction_id == g.id, e.line == 0)
    where = g.community_id == community_id, g.kind == GRANT, g.created_at < before, e.amount > 0
    columns = g.rule_id, e.owner_id, e.unit, e.amount, _window(seasons).label("season")
    # PostgreSQL does not see that an expression with parameters is the same where it is grouped by: a column is.
    given = select(*columns).select_from(transactions.join(entries, same)).where(*where).subquery().c
    keys = given.rule_id, given.owner_id, given.unit, given.season
    sums = func.sum(given.amount).label("amount"), func.count().label("grants")
    return await tx.all(select(*keys, *sums).group_by(*keys))


def _window(seasons: Sequence[Season]) -> ColumnElement[str]:
    day, cases = entries.c.day, []
    for one in sorted(seasons, key=lambda one: one.first_day, reverse=True):
        cases += [(day > one.last_day, literal(after(one))), (day >= one.first_day, literal(one.key))]
    return case(*cases, else_=literal(BEFORE_ALL)) if cases else literal(BEFORE_ALL)


async def labels_before(tx: Tx, community_id: UUID, before: datetime | None) -> list[Row[Any]]:
    """Of those who were active before activities were kept: since when they are known."""
    t = member_labels.c
    earlier = or_(t.noted_at.is_(None), t.noted_at < before) if before is not None else t.noted_at.is_(None)
    return await tx.all(select(member_labels).where(t.community_id == community_id, t.kind != SEGMENT, earlier))


# What is posted


async def note_reversed(tx: Tx, parts: Iterable[tuple[UUID, int]]) -> None:
    """Both lines of these transactions, which the caller holds, were taken back by so much (unsigned) more."""
    by_part: dict[int, list[tuple[UUID]]] = {}
    for id, part in parts:
        by_part.setdefault(part, []).append((id,))
    for part, keys in by_part.items():
        values = {"reversed": entries.c.reversed + part}
        await update_among(tx, entries, (entries.c.transaction_id,), sorted(keys), values)


async def link(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    await insert_many(tx, recomputed, rows)


async def put_decisions(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    changed = ("rule_version", "verdict", "wanted", "amount", "reason", "transaction_id", "decided_at")
    await upsert(tx, decisions, rows, key=("event_id", "rule_id", "receiver", "unit"), update=changed)


async def put_undoable(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    changed = ("at", "types", "lifetime", "notify", "places")
    await upsert(tx, undoable_grants, rows, key=("thing", "transaction_id"), update=changed)


async def carry_over(
    tx: Tx,
    counted: Sequence[dict[str, Any]],
    given: Sequence[dict[str, Any]],
    waits: Sequence[dict[str, Any]],
    told: Sequence[dict[str, Any]],
) -> None:
    """Counters, moments, what waits and rows of signals, under a recompute's own names."""
    await upsert(tx, signals, told, key=("id",), update=("body", "kept_until"))
    await upsert(tx, counters, counted, key=("id",), update=("value", "kept_until"))
    await insert_new(tx, moments, given, key=("slot", "at", "event_id"))
    await insert_new(tx, waiting_grants, waits, key=[column.name for column in waiting_grants.primary_key])
