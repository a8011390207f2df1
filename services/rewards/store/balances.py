"""SQL that reads what a member has, all of it as it was at one instant."""

from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Date, Uuid, bindparam, exists, func, literal_column, select, true

from kit.database import Database, Question, gathered
from kit.database.sums import halves, joined
from services.rewards.store.holds import OPEN
from services.rewards.store.reviews import PENDING
from services.rewards.tables.ledger import accounts, units
from services.rewards.tables.lots import holds, lots
from services.rewards.tables.metadata import metadata
from services.rewards.tables.reviews import reviews

_known_communities, _known_members = metadata.tables["known_communities"], metadata.tables["known_members"]
_community, _member = bindparam("community", type_=Uuid()), bindparam("member", type_=Uuid())


class Lot(NamedTuple):
    unit: str
    last_day: date
    amount: int


class UnitOf(NamedTuple):
    """What says how much of a balance may be spent."""

    id: str
    name: str
    spendable: bool
    minimum: int


class Having(NamedTuple):
    """`units` are the community's, in the order they were made. By unit: `accounts` (balance, debt), `held`, `pending`;
    units with nothing are left out. `ending` are lots, the first to end first. `zone` is None for a community not heard
    of yet; `known` says whether the member is."""

    units: list[UnitOf]
    accounts: dict[str, tuple[int, int]]
    held: dict[str, int]
    pending: dict[str, int]
    ending: list[Lot]
    zone: str | None
    day_start: int
    known: bool


def _listed(name: str, stmt: Any) -> Any:
    """Rows as one: their columns as lists."""
    rows = stmt.subquery()
    return select(*(gathered(column).label(f"{name}_{column.key}") for column in rows.c)).subquery(name)


def _state(column: Any, state: str) -> Any:
    # Written into the statement: only then can a plan that is made once use the index of the rows in this state.
    return column == literal_column(f"'{state}'")


def _question() -> Question:
    a, h, r, o = accounts.c, holds.c, reviews.c, lots.c
    had = select(a.unit, a.balance, a.debt).where(a.community_id == _community, a.owner_id == _member)
    held = (
        select(h.unit, func.sum(h.amount).cast(BigInteger).label("sum"))
        .where(h.community_id == _community, h.member_id == _member, _state(h.state, OPEN))
        .group_by(h.unit)
    )
    high, low = halves(r.amount, "sum")
    pending = (
        select(r.unit, *(half.element.cast(BigInteger).label(half.name) for half in (high, low)))
        .where(r.community_id == _community, r.member_id == _member, _state(r.state, PENDING))
        .group_by(r.unit)
    )
    days = bindparam("first_day", type_=Date()), bindparam("last_day", type_=Date())
    # By itself the day would invite SQLite to read the lots of the whole community by it.
    day = func.coalesce(o.last_day, o.last_day)
    ending = select(o.unit, o.last_day, o.amount).where(
        o.community_id == _community, o.owner_id == _member, day.between(*days)
    )
    u, place = units.c, _known_communities.c
    ours = select(u.created_at, u.id, u.name, u.spendable, u.minimum).where(u.community_id == _community)
    parts = [
        _listed("unit", ours), _listed("had", had), _listed("held", held), _listed("pending", pending),
        _listed("ending", ending),
    ]  # fmt: skip
    source = parts[0]
    for part in parts[1:]:
        source = source.join(part, true())
    source = source.outerjoin(_known_communities, place.community_id == _community)
    member = _known_members.c.community_id == _community, _known_members.c.member_id == _member
    return Question(
        select(
            *(column for part in parts for column in part.c),
            place.zone,
            place.day_start,
            exists().where(*member).label("known"),
        ).select_from(source)
    )


HAVING = _question()


async def having(db: Database, community_id: UUID, member_id: UUID, first_day: date, last_day: date) -> Having:
    """What a member has, with the lots whose last day is one of these (both inclusive)."""
    (r,) = await db.ask(HAVING, community=community_id, member=member_id, first_day=first_day, last_day=last_day)
    made = sorted(zip(r.unit_created_at, r.unit_id, r.unit_name, r.unit_spendable, r.unit_minimum, strict=True))
    pending = zip(r.pending_unit, r.pending_sum_high, r.pending_sum_low, strict=True)
    ending = map(Lot._make, zip(r.ending_unit, r.ending_last_day, r.ending_amount, strict=True))
    return Having(
        [UnitOf(*rest) for _, *rest in made],
        {unit: (balance, debt) for unit, balance, debt in zip(r.had_unit, r.had_balance, r.had_debt, strict=True)},
        dict(zip(r.held_unit, r.held_sum, strict=True)),
        {unit: joined(high, low) for unit, high, low in pending},
        sorted(ending),
        r.zone,
        r.day_start or 0,
        r.known,
    )
