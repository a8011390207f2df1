"""SQL of the ledger. Balances change by adding, in the order of their keys, system accounts last."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Table, Uuid, and_, bindparam, case, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from kit.database import Question, Tx, add_up, insert_many, insert_new, listed, select_among, update_among
from kit.errors import BadRequest
from services.rewards.domain.erasing import ERASED
from services.rewards.domain.groups import PREFIX
from services.rewards.domain.ledger import DEBT, MOST, REVERSAL, Posting, Unit, system_account_id
from services.rewards.tables.ledger import accounts, entries, transactions, units

_UNIT = [column for column in units.c if column.name not in ("community_id", "created_at")]
ACCOUNT_KEY = ("system", "community_id", "owner_id", "unit")

# System accounts but for groups', which say nothing of their unit: every posting changes one of these.
_OF_UNIT = and_(accounts.c.system == 1, ~accounts.c.name.startswith(PREFIX))


class Balance(NamedTuple):
    """An account after a change. `followers` is how many boards and level schemes follow its unit, `lots` after how
    many days what comes in expires (0: no more, None: it never did), on system accounts only, but for groups'; `debt`
    what is owed, on members' only."""

    community_id: UUID
    owner_id: UUID
    unit: str
    system: bool
    balance: int
    debt: int
    followers: int
    lots: int | None

    @property
    def key(self) -> tuple[UUID, UUID, str]:
        return self.community_id, self.owner_id, self.unit


async def add_transactions(tx: Tx, postings: Sequence[Posting]) -> set[tuple[UUID, bytes]]:
    """Record the transactions whose (community, idem_key) is new; returns those keys. Of two with one key the first."""
    rows = [
        {
            "community_id": p.community_id,
            "id": p.id,
            "idem_key": p.idem_key,
            "payload_hash": p.payload_hash,
            "kind": p.kind,
            "rule_id": p.rule_id,
            "rule_version": p.rule_version,
            "source_event_id": p.source_event_id,
            "reverses": p.reverses,
            "reason": p.reason,
            "actor": p.actor,
            "approver": p.approver,
            "created_at": tx.now,
        }
        for p in postings
    ]
    new = await insert_new(tx, transactions, rows, key=("community_id", "idem_key"))
    return {(community_id, bytes(key)) for community_id, key in new}


async def remove_transactions(tx: Tx, community_id: UUID, ids: Sequence[UUID]) -> None:
    """Take back transactions of this database transaction that were refused before any entry was written."""
    same = transactions.c.community_id == community_id
    await tx.execute(delete(transactions).where(same, transactions.c.id.in_(ids)))


async def add_entries(tx: Tx, postings: Sequence[Posting]) -> None:
    """The two lines of each posting: the member's, or the account's that stands there instead (0), and the other
    system account's (1)."""
    rows = []
    for p in postings:
        shared = {
            "transaction_id": p.id,
            "community_id": p.community_id,
            "unit": p.unit,
            "effective_at": p.effective_at,
            "day": p.day,
            "reversed": 0,
        }
        _, owner = p.own
        counter = system_account_id(p.community_id, p.counter)
        scored = 0 if not p.scored else 2 if p.kind == REVERSAL else 1
        rows.append({**shared, "line": 0, "owner_id": owner, "amount": p.amount, "scored": scored})
        rows.append({**shared, "line": 1, "owner_id": counter, "amount": -p.amount, "scored": 0})
    await insert_many(tx, entries, rows)


async def move(tx: Tx, postings: Sequence[Posting]) -> list[Balance]:
    """Add the postings to the balances; every account concerned, after it. BadRequest when one leaves the range."""
    changes: dict[tuple[int, UUID, UUID, str], tuple[str, int, int]] = {}
    for p in postings:
        system = system_account_id(p.community_id, p.counter)
        is_system, owner = p.own
        own, own_name = (is_system, p.community_id, owner, p.unit), p.instead or ""
        for key, name, amount, debt in (
            (own, own_name, p.amount, p.amount if p.counter == DEBT else 0),
            ((1, p.community_id, system, p.unit), p.counter, -p.amount, 0),
        ):
            _, before, owed = changes.get(key, ("", 0, 0))
            changes[key] = name, before + amount, owed + debt
    if any(abs(change) > MOST for _, change, _ in changes.values()):
        raise _overflow()
    return await _add(tx, changes)


async def balances(tx: Tx, keys: Iterable[tuple[UUID, UUID, str]]) -> dict[tuple[UUID, UUID, str], int]:
    """What accounts (community, owner, unit) hold, of those that there are."""
    by = accounts.c.community_id, accounts.c.owner_id, accounts.c.unit
    rows = await select_among(tx, [*by, accounts.c.balance], by, sorted(keys))
    return {(row.community_id, row.owner_id, row.unit): row.balance for row in rows}


async def lock_balances(tx: Tx, keys: Iterable[tuple[UUID, UUID, str]]) -> dict[tuple[UUID, UUID, str], Balance]:
    """Member accounts (community, member, unit), held until the transaction ends.

    Adding nothing takes the locks in the very order in which `move` takes them, and covers accounts that are new.
    """
    return {row.key: row for row in await _add(tx, {(0, *key): ("", 0, 0) for key in keys})}


async def lock_of(tx: Tx, postings: Collection[Posting]) -> dict[tuple[UUID, UUID, str], Balance]:
    """The same of the accounts that these postings change first, members' or groups'."""
    keys: dict[tuple[int, UUID, UUID, str], tuple[str, int, int]] = {}
    for p in postings:
        system, owner = p.own
        keys[system, p.community_id, owner, p.unit] = "", 0, 0
    if any(system for system, *_ in keys):
        # Groups' accounts stand among the system's, which are taken in one go: those that `move` takes then, too.
        for p in postings:
            keys[1, p.community_id, system_account_id(p.community_id, p.counter), p.unit] = p.counter, 0, 0
    return {row.key: row for row in await _add(tx, keys)}


async def _add(tx: Tx, changes: Mapping[tuple[int, UUID, UUID, str], tuple[str, int, int]]) -> list[Balance]:
    """Change accounts: key → (name, balance, debt)."""
    rows = [
        {**dict(zip(ACCOUNT_KEY, key, strict=True)), "name": name, "balance": change, "debt": debt, "followers": 0}
        for key, (name, change, debt) in changes.items()
    ]
    columns = ("community_id", "owner_id", "unit", "system", "balance", "debt", "followers", "lots")
    try:
        after = await add_up(tx, accounts, rows, key=ACCOUNT_KEY, add=("balance", "debt"), returning=columns)
    except IntegrityError as error:
        raise _overflow() from error
    return [Balance(c, o, u, bool(s), b, d, n, days) for c, o, u, s, b, d, n, days in after]


def _overflow() -> BadRequest:
    return BadRequest(f"a balance lies between -{MOST} and {MOST}", code="balance_out_of_range")


async def open_system_accounts(tx: Tx, keys: Iterable[tuple[UUID, str, str]]) -> None:
    """Make sure that the system accounts (community, name, unit) are there."""
    rows = [
        {
            "system": 1,
            "community_id": community_id,
            "owner_id": system_account_id(community_id, name),
            "unit": unit,
            "name": name,
            "balance": 0,
            "followers": 0,
        }
        for community_id, name, unit in keys
    ]
    await insert_new(tx, accounts, rows, key=ACCOUNT_KEY)


async def open_account(tx: Tx, community_id: UUID, unit: str, name: str) -> None:
    """Make sure that the unit has this system account, followed like its others, which are held meanwhile."""
    await count_followers(tx, community_id, {unit: 0})
    same = accounts.c.community_id == community_id, accounts.c.unit == unit, _OF_UNIT
    followers, days = func.max(accounts.c.followers), func.max(accounts.c.lots)
    others = await tx.first(select(followers.label("followers"), days.label("lots")).where(*same))
    assert others is not None
    owner = system_account_id(community_id, name)
    row = {"system": 1, "community_id": community_id, "owner_id": owner, "unit": unit, "name": name, "balance": 0}
    new = {**row, "followers": others.followers or 0, "lots": others.lots}
    await insert_new(tx, accounts, [new], key=ACCOUNT_KEY)


async def set_lots(tx: Tx, community_id: UUID, unit: str, days: int | None) -> None:
    """What comes in in the unit expires after so many days from now on; None: it does not. Its system accounts are
    held: nobody posts to it until the transaction ends."""
    where = [accounts.c.community_id == community_id, accounts.c.unit == unit, _OF_UNIT]
    if days is None:
        where.append(accounts.c.lots.is_not(None))
    await count_followers(tx, community_id, {unit: 0})
    await tx.execute(update(accounts).where(*where).values(lots=days or 0))


async def count_followers(tx: Tx, community_id: UUID, steps: Mapping[str, int]) -> None:
    """Change by how many boards and level schemes units are followed (unit → step), holding their system accounts:
    nobody posts to these units until the transaction ends."""
    where = accounts.c.community_id == community_id, accounts.c.unit.in_(list(steps)), _OF_UNIT
    by = accounts.c.community_id, accounts.c.owner_id, accounts.c.unit
    rows = await tx.all(select(*by).where(*where))
    await select_among(tx, accounts, by, [tuple(row) for row in rows], lock=True)
    change = case(steps, value=accounts.c.unit)
    await tx.execute(update(accounts).where(*where).values(followers=accounts.c.followers + change))


async def posted(tx: Tx, community_id: UUID, idem_keys: Iterable[bytes]) -> dict[bytes, tuple[UUID, bytes]]:
    """Transactions already there: idem_key → (id, payload hash)."""
    rows = await select_among(
        tx,
        [transactions.c.idem_key, transactions.c.id, transactions.c.payload_hash],
        (transactions.c.community_id, transactions.c.idem_key),
        [(community_id, key) for key in idem_keys],
    )
    return {bytes(row.idem_key): (row.id, bytes(row.payload_hash)) for row in rows}


async def note_reversed(tx: Tx, transaction_id: UUID, part: int) -> None:
    """Both lines of a transaction were taken back by `part` (unsigned) more."""
    where = entries.c.transaction_id == transaction_id
    await tx.execute(update(entries).where(where).values(reversed=entries.c.reversed + part))


class Line(NamedTuple):
    """The member's line of a transaction, with what the transaction says of it."""

    transaction_id: UUID
    community_id: UUID
    owner_id: UUID
    unit: str
    amount: int
    effective_at: datetime
    day: date
    scored: int
    reversed: int
    rule_id: str | None
    rule_version: int | None
    source_event_id: UUID | None


async def lock_grants(tx: Tx, transaction_ids: Iterable[UUID]) -> dict[UUID, Line]:
    """The members' lines of transactions, held against other reversals until the transaction ends."""
    by = entries.c.transaction_id, entries.c.line
    held = await select_among(tx, entries, by, [(id, 0) for id in transaction_ids], lock=True)
    t = transactions.c
    same = [(row.community_id, row.transaction_id) for row in held]
    told = await select_among(tx, [t.id, t.rule_id, t.rule_version, t.source_event_id], (t.community_id, t.id), same)
    of = {row.id: (row.rule_id, row.rule_version, row.source_event_id) for row in told}
    return {
        r.transaction_id: Line(
            r.transaction_id, r.community_id, r.owner_id, r.unit, r.amount, r.effective_at, r.day, r.scored,
            r.reversed, *of[r.transaction_id],
        )
        for r in held
    }  # fmt: skip


async def note_rest_reversed(tx: Tx, transaction_ids: Iterable[UUID]) -> None:
    """Both lines of these transactions were taken back in full."""
    keys = sorted((id,) for id in transaction_ids)
    await update_among(tx, entries, (entries.c.transaction_id,), keys, {"reversed": func.abs(entries.c.amount)})


# Units


def to_unit(row: Any) -> Unit:
    return Unit(
        row.id,
        row.name,
        spendable=row.spendable,
        minimum=row.minimum,
        clawback=row.clawback,
        approval_above=row.approval_above,
        expires_after_days=row.expires_after_days,
        version=row.version,
    )


async def units_of(tx: Tx, community_id: UUID) -> dict[str, Unit]:
    rows = await tx.all(
        select(units).where(units.c.community_id == community_id).order_by(units.c.created_at, units.c.id)
    )
    return {row.id: to_unit(row) for row in rows}


async def units_among(tx: Tx, wanted: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], Unit]:
    """(community, id) → the unit."""
    rows = await select_among(tx, units, (units.c.community_id, units.c.id), sorted(set(wanted)))
    return {(row.community_id, row.id): to_unit(row) for row in rows}


async def add_units(tx: Tx, wanted: Iterable[tuple[UUID, Unit]]) -> set[tuple[UUID, str]]:
    """Record the units that are new; returns (community, id) of those."""
    rows = [
        {
            "community_id": community_id,
            "id": unit.id,
            "version": unit.version,
            "name": unit.name,
            "spendable": unit.spendable,
            "minimum": unit.minimum,
            "clawback": unit.clawback,
            "approval_above": unit.approval_above,
            "expires_after_days": unit.expires_after_days,
            "created_at": tx.now,
        }
        for community_id, unit in wanted
    ]
    return {(c, u) for c, u in await insert_new(tx, units, rows, key=("community_id", "id"))}


async def change_unit(tx: Tx, community_id: UUID, unit: Unit) -> bool:
    """Set everything of a unit, if it still has the version before `unit.version`."""
    same = units.c.community_id == community_id, units.c.id == unit.id, units.c.version == unit.version - 1
    values = {
        "version": unit.version,
        "name": unit.name,
        "spendable": unit.spendable,
        "minimum": unit.minimum,
        "clawback": unit.clawback,
        "approval_above": unit.approval_above,
        "expires_after_days": unit.expires_after_days,
    }
    return (await tx.execute(update(units).where(*same).values(**values))).rowcount == 1


@dataclass(frozen=True, slots=True)
class Place:
    """What an API posting needs to know of its community: zone, day start, the units asked for, members known, and who
    of these was erased."""

    zone: str
    day_start: int
    units: dict[str, Unit]
    members: set[UUID]
    erased: set[UUID]


@cache
def _place(known: Table, members: Table) -> Question:
    of_units = and_(units.c.community_id == known.c.community_id, listed(units.c.id, "units"))
    of_members = and_(members.c.community_id == known.c.community_id, listed(members.c.member_id, "members"))
    joined = known.outerjoin(units, of_units).outerjoin(members, of_members)
    columns = select(known.c.zone, known.c.day_start, members.c.member_id, members.c.state, *_UNIT)
    return Question(columns.select_from(joined).where(known.c.community_id == bindparam("community", type_=Uuid())))


async def place_of(tx: Tx, community_id: UUID, unit_ids: Collection[str], member_ids: Collection[UUID]) -> Place | None:
    """All of it in one statement; None for a community this service has not heard of."""
    asked = _place(tx.database.table("known_communities"), tx.database.table("known_members"))
    rows = await tx.ask(asked, community=community_id, units=unit_ids, members=member_ids)
    if not rows:
        return None
    found = {row.id: to_unit(row) for row in rows if row.id is not None}
    there = {r.member_id: r.state for r in rows if r.member_id is not None}
    gone = {id for id, state in there.items() if state == ERASED}
    return Place(rows[0].zone, rows[0].day_start, found, set(there), gone)


async def places_of(tx: Tx, community_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the communities that have units."""
    rows = await select_among(tx, [units.c.community_id], units.c.community_id, list(community_ids))
    return {row.community_id for row in rows}
