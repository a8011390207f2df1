"""SQL on a plan's scratch file (`handlers.plans.scratch`), which has the service's tables and those of
`tables.scratch`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, and_, distinct, func, literal_column, select

from kit.database import Tx, add_up, delete_among, insert_many, insert_new, select_among, upsert
from services.rewards.domain.ledger import GRANT
from services.rewards.domain.recomputing import Key
from services.rewards.store import reviews
from services.rewards.tables.ledger import entries, transactions
from services.rewards.tables.rules import counters, decisions, moments
from services.rewards.tables.scratch import (
    cursors,
    days,
    dirty_counters,
    dirty_moments,
    dirty_signals,
    members,
    taken,
    touched,
)
from services.rewards.tables.scratch import seen as seen_events
from services.rewards.tables.signals import signals
from services.rewards.tables.undoing import inverse_events, undoable_grants, waiting_grants

SEEDED, FOLDED, COMPARED, POSTED = "seeded", "folded", "compared", "posted"


class Outcome(NamedTuple):
    """What a key comes to; `transaction_id` is that of the scratch file's grant."""

    wanted: int
    effective_at: datetime
    day: date
    transaction_id: UUID


async def begin(tx: Tx) -> None:
    await insert_many(tx, cursors, [{"name": name, "seq": 0} for name in (SEEDED, FOLDED, COMPARED, POSTED)])


async def places(tx: Tx) -> dict[str, int]:
    """How far each of the walks has come."""
    return {row.name: row.seq for row in await tx.all(select(cursors))}


async def move_on(tx: Tx, name: str, seq: int) -> None:
    await upsert(tx, cursors, [{"name": name, "seq": seq}], key=("name",), update=("seq",))


async def outcomes(tx: Tx, event_ids: Sequence[UUID]) -> dict[Key, Outcome]:
    """What is given for these events in the end."""
    t = transactions.c
    columns = (
        t.source_event_id, t.rule_id, t.id, entries.c.owner_id, entries.c.unit, entries.c.amount, entries.c.reversed,
        entries.c.effective_at, entries.c.day,
    )  # fmt: skip
    lines = and_(t.kind == GRANT, entries.c.transaction_id == t.id, entries.c.line == 0)
    out = {}
    for row in await select_among(tx, columns, t.source_event_id, event_ids, where=lines):
        left = abs(row.amount) - row.reversed
        key = Key(row.source_event_id, row.rule_id, row.owner_id, row.unit)
        out[key] = Outcome(left if row.amount > 0 else -left, row.effective_at, row.day, row.id)
    return out


async def decided(tx: Tx, event_ids: Sequence[UUID]) -> list[Row[Any]]:
    return await select_among(tx, decisions, decisions.c.event_id, event_ids)


async def undoable(tx: Tx, transaction_ids: Iterable[UUID]) -> dict[UUID, list[Row[Any]]]:
    """Grant → the ways in which it can be undone."""
    out: dict[UUID, list[Row[Any]]] = {}
    ids = sorted(transaction_ids)
    for row in await select_among(tx, undoable_grants, undoable_grants.c.transaction_id, ids):
        out.setdefault(row.transaction_id, []).append(row)
    return out


async def note_touched(tx: Tx, besides: Iterable[UUID]) -> None:
    """What this transaction changed of events other than those `besides`."""
    about = transactions.c.source_event_id
    rows = await tx.all(select(about.label("id")).where(transactions.c.created_at == tx.now).distinct())
    ids = {row.id for row in rows if row.id is not None} - set(besides)
    await insert_new(tx, touched, [{"event_id": id} for id in ids], key=("event_id",))


async def some_touched(tx: Tx, most: int) -> list[UUID]:
    return [row.event_id for row in await tx.all(select(touched).limit(most))]


async def untouch(tx: Tx, event_ids: Iterable[UUID]) -> None:
    await delete_among(tx, touched, (touched.c.event_id,), [(id,) for id in event_ids])


# What stays


async def take(tx: Tx, keys: Iterable[Key]) -> set[Key]:
    """What of this had not taken its places yet; it has them from now on."""
    return {Key(*key) for key in await insert_new(tx, taken, [key._asdict() for key in keys], key=Key._fields)}


async def held(tx: Tx, community_id: UUID, keys: Mapping[Key, UUID | None]) -> dict[Key, Any]:
    """The places that these hold by this grant, or by a review, of the file's; those that hold any."""
    waiting = await reviews.reviewed(tx, community_id, {key.event_id for key in keys})
    holders = {id: key for key, grant in keys.items() if (id := grant or waiting.get(key)) is not None}
    ways = await undoable(tx, holders)
    return {holders[id]: rows[0].places for id, rows in ways.items() if rows[0].places}


# Figures


async def seen(tx: Tx, event_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the events that were asked for before; all are from now on."""
    ids = set(event_ids)
    new = await insert_new(tx, seen_events, [{"event_id": id} for id in ids], key=("event_id",))
    return ids - {id for (id,) in new}


async def add_members(tx: Tx, rows: Mapping[tuple[str, UUID], tuple[int, int, int]]) -> None:
    """(unit, member) → what it was, what it will be, in how many changes."""
    steps = [
        {"unit": unit, "member_id": member, "was": was, "now": now, "changes": changes, "balance": 0}
        for (unit, member), (was, now, changes) in rows.items()
    ]
    await add_up(tx, members, steps, key=("unit", "member_id"), add=("was", "now", "changes"))


async def add_balances(tx: Tx, rows: Sequence[Row[Any]]) -> None:
    """What members have at this moment, from rows (unit, owner_id, balance)."""
    steps = [
        {"unit": r.unit, "member_id": r.owner_id, "was": 0, "now": 0, "changes": 0, "balance": r.balance} for r in rows
    ]
    await upsert(tx, members, steps, key=("unit", "member_id"), update=("balance",))


async def add_days(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    add = ("was", "now", "grants", "changes", "entries", "added", "taken", "spared")
    await add_up(tx, days, rows, key=("day", "rule_id", "unit"), add=add)


async def sums(tx: Tx, *by: str) -> list[Row[Any]]:
    """The figures of all days together by these columns of theirs, in their order."""
    keys = [days.c[name] for name in by]
    totals = [
        func.sum(days.c[name]).label(name)
        for name in ("was", "now", "grants", "changes", "entries", "added", "taken", "spared")
    ]
    return await tx.all(select(*keys, *totals).group_by(*keys).order_by(*keys))


async def affected(tx: Tx) -> int:
    changed = select(func.count(distinct(members.c.member_id))).where(members.c.changes > 0)
    return int(await tx.scalar(changed) or 0)


async def extremes(tx: Tx, unit: str, most: int, *, losers: bool) -> list[Row[Any]]:
    """Who gains (or loses) most of a unit."""
    gain = members.c.now - members.c.was
    where = members.c.unit == unit, gain < 0 if losers else gain > 0
    order = (gain if losers else gain.desc()), members.c.member_id
    return await tx.all(select(members).where(*where).order_by(*order).limit(most))


async def changed_members(tx: Tx, unit: str, after: UUID | None, most: int) -> list[Row[Any]]:
    """Members with changes in a unit, by id."""
    where = [members.c.unit == unit, members.c.now != members.c.was]
    if after is not None:
        where.append(members.c.member_id > after)
    return await tx.all(select(members).where(*where).order_by(members.c.member_id).limit(most))


async def gini(tx: Tx, unit: str, *, after: bool) -> float | None:
    """How unequally a unit is held, 0 (all the same) to 1; debts count as nothing. None where nobody has any."""
    holds = members.c.balance + (members.c.now - members.c.was if after else 0)
    plain = func.max(holds, literal_column("0")).label("x")
    ranked = select(plain, func.row_number().over(order_by=plain).label("r")).where(members.c.unit == unit).subquery()
    # As floats: ranks times amounts leave 64 bits.
    weighted = func.sum(ranked.c.x * literal_column("1.0") * ranked.c.r)
    row = await tx.one(select(weighted.label("w"), func.total(ranked.c.x).label("s"), func.count().label("n")))
    return None if not row.s else round(2 * row.w / (row.n * row.s) - (row.n + 1) / row.n, 4)


# What is carried over when a recompute comes into force


async def some_dirty_counters(tx: Tx, most: int | None) -> tuple[list[UUID], list[Row[Any]]]:
    """Ids and rows; with None all of them."""
    ids = [row.id for row in await tx.all(select(dirty_counters).limit(most))]
    return ids, await select_among(tx, counters, counters.c.id, ids)


async def some_dirty_signals(tx: Tx, most: int | None) -> tuple[list[UUID], list[Row[Any]]]:
    ids = [row.id for row in await tx.all(select(dirty_signals).limit(most))]
    return ids, await select_among(tx, signals, signals.c.id, ids)


async def some_dirty_moments(tx: Tx, most: int | None) -> list[Row[Any]]:
    same = [moments.c[name] == dirty_moments.c[name] for name in ("slot", "at", "event_id")]
    return await tx.all(select(moments).where(*same).limit(most))


async def clean(
    tx: Tx, counter_ids: Iterable[UUID], moment_keys: Sequence[tuple[Any, ...]], signal_ids: Iterable[UUID]
) -> None:
    await delete_among(tx, dirty_counters, (dirty_counters.c.id,), [(id,) for id in counter_ids])
    await delete_among(tx, dirty_signals, (dirty_signals.c.id,), [(id,) for id in signal_ids])
    await delete_among(tx, dirty_moments, list(dirty_moments.primary_key), moment_keys)


async def waiting(tx: Tx) -> list[Row[Any]]:
    return await tx.all(select(waiting_grants))


async def inverses_of(tx: Tx, types: Iterable[str]) -> list[Row[Any]]:
    return await tx.all(select(inverse_events).where(inverse_events.c.type.in_(sorted(types))))
