"""A community of the rewards service and grants in it, for the tests of ledger, boards and levels."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4, uuid5

from sqlalchemy import event, select

from kit import codec, copies
from kit.contracts.members import CommunityChanged, MemberChanged
from kit.database import Database, Tx
from kit.log import Stored
from services.rewards.domain.adjusting import Wish
from services.rewards.domain.ledger import digest
from services.rewards.handlers import units
from services.rewards.handlers.ledger import Grant, ensure_defaults, post_grants, verify
from services.rewards.store import entries
from services.rewards.store import ledger as store
from services.rewards.tables import ledger as tables

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

_numbers = count(1)


@dataclass(slots=True)
class Place:
    """A community with members known to the rewards service."""

    db: Database
    id: UUID
    members: list[UUID] = field(default_factory=list)

    async def balance(self, member: UUID, unit: str = "points") -> int:
        async with self.db.read() as tx:
            rows = await entries.accounts_of(tx, self.id, member)
        return next((int(row.balance) for row in rows if row.unit == unit), 0)

    def grant(
        self, member: UUID, amount: int, at: datetime = NOON, *, unit: str = "points", key: object = None
    ) -> Grant:
        name = key if key is not None else f"grant {next(_numbers)}"
        return Grant(
            community_id=self.id,
            member_id=member,
            unit=unit,
            amount=amount,
            rule_id="rule",
            rule_version=1,
            source_event_id=uuid5(self.id, str(name)),
            effective_at=at,
            idem_key=digest(name, member, unit),
        )

    async def give(self, *grants: Grant, history: bool = False) -> dict[bytes, UUID]:
        async with self.db.begin() as tx:
            return await post_grants(tx, grants, history={g.source_event_id: history for g in grants})


async def make_place(db: Database, members: int = 3, *, zone: str = "UTC", day_start: int = 0) -> Place:
    """A new community with so many members, in order of their ids."""
    place = Place(db, uuid4(), sorted(uuid4() for _ in range(members)))
    async with db.begin() as tx:
        await copies.apply(tx, [community_changed(place.id, zone=zone, day_start=day_start)])
        await copies.apply(tx, [member_changed(place.id, m, f"member {n}") for n, m in enumerate(place.members)])
        await ensure_defaults(tx, [place.id])
    return place


def community_changed(community_id: UUID, *, zone: str = "UTC", day_start: int = 0, version: int = 1) -> Any:
    return CommunityChanged(
        community_id=community_id,
        version=version,
        name="Guild",
        zone=zone,
        day_start=day_start,
        locale="en",
        state="active",
    )


def member_changed(community_id: UUID, member_id: UUID, name: str) -> Any:
    return MemberChanged(
        community_id=community_id,
        member_id=member_id,
        version=1,
        display_name=name,
        state="observed",
        kind="person",
        locale=None,
        zone=None,
        identities=(),
        changed_at=NOON,
    )


def wish(member: UUID, amount: int, *, kind: str = "adjustment", key: str | None = None, **more: Any) -> Wish:
    values: dict[str, Any] = {"unit": "points", "reason": "because", "idempotency_key": key, **more}
    return Wish(kind=kind, member_id=member, amount=amount, **values)


async def change_unit(place: Place, unit: str = "points", **changes: Any) -> None:
    """Change these fields of a unit of the place."""
    async with place.db.begin() as tx:
        present = (await store.units_of(tx, place.id))[unit]
        await units.put(tx, place.id, replace(present, **changes, version=present.version + 1))


async def check_books(db: Database) -> None:
    async with db.read() as tx:
        assert await verify(tx) == []


async def announced(db: Database, cls: type) -> list[Any]:
    """The events of a class that wait in the outbox, oldest first."""
    async with db.read() as tx:
        table = tx.database.table("outbox")
        rows = await tx.all(select(table.c.topic, table.c.key, table.c.body).order_by(table.c.seq))
    events = [codec.decode(Stored(r.topic, 0, 0, r.key.encode(), r.body)) for r in rows]
    return [e.event for e in events if e is not None and isinstance(e.event, cls)]


class Statements:
    """Counts the statements of a database while it is entered, transaction control aside.

    SQLite gets an insert of many rows in pieces of a few sizes; they count as the one statement they are elsewhere.
    """

    def __init__(self, db: Database) -> None:
        self._engine = db.engine.sync_engine
        self.texts: list[str] = []

    def _note(self, _conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")):
            head, values, _ = statement.partition(" VALUES ")
            if not (values and self.texts and self.texts[-1].startswith(f"{head} VALUES ")):
                self.texts.append(statement)

    def __enter__(self) -> "Statements":
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)


async def all_entries(tx: Tx, place: Place, owner: UUID, units: Sequence[str] = ("points",)) -> list[Any]:
    t = tables.entries.c
    mine = t.community_id == place.id, t.owner_id == owner, t.unit.in_(units)
    order = t.effective_at.desc(), t.transaction_id.desc()
    return await tx.all(entries.entry_select().where(*mine).order_by(*order))
