"""SQL that reads the entries of one owner, latest effective first: what people ask of the ledger most."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, String, Uuid, bindparam, exists, select, tuple_, union_all

from kit.database import Database, Question, UtcDateTime, gathered
from services.rewards.store.entries import entry_select
from services.rewards.tables.ledger import accounts, entries
from services.rewards.tables.metadata import metadata

Position = tuple[datetime, UUID]
"""(effective_at, transaction id): a place in the order of an owner's entries, whether there is one or not."""

UNITS_AT_ONCE = 8
ENDS = "lower", "upper"

_NONE, _FIRST, _LAST = UUID(int=0), datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_community, _owner = bindparam("community", type_=Uuid()), bindparam("owner", type_=Uuid())
_known_members = metadata.tables["known_members"]
_place = entries.c.effective_at, entries.c.transaction_id
# As many of an entry as a page shows: each value of each line is made ready by itself.
_SHOWN = (
    "transaction_id", "owner_id", "own_name", "counter_id", "counter_name", "kind", "unit", "amount", "reversed",
    "effective_at", "created_at", "reason", "actor", "approver", "rule_id", "rule_version", "source_event_id",
    "reverses",
)  # fmt: skip


class Whose(NamedTuple):
    """An owner: the units that anything was posted in, and whether it is a member of the community we heard of."""

    units: list[str]
    known: bool


_WHOSE = Question(
    select(
        select(gathered(accounts.c.unit))
        .where(accounts.c.community_id == _community, accounts.c.owner_id == _owner)
        .scalar_subquery()
        .label("units"),
        exists()
        .where(_known_members.c.community_id == _community, _known_members.c.member_id == _owner)
        .label("known"),
    )
)


async def whose(db: Database, community_id: UUID, owner_id: UUID) -> Whose:
    (row,) = await db.ask(_WHOSE, community=community_id, owner=owner_id)
    return Whose(sorted(row.units), row.known)


@cache
def question(units: int, *, upwards: bool) -> Question:
    """The lines between two places. A unit at a time: within one the index gives them in order, over several the
    database would sort them all. From and until are places too, since an index is entered at one bound each way."""
    lower, upper = ([bindparam(f"{at}_at", type_=UtcDateTime()), bindparam(f"{at}_id", type_=Uuid())] for at in ENDS)
    parts = []
    for number in range(units):
        stmt = entry_select().where(
            entries.c.community_id == _community,
            entries.c.owner_id == _owner,
            entries.c.unit == bindparam(f"unit_{number}", type_=String()),
            tuple_(*_place) > tuple_(*lower),
            tuple_(*_place) < tuple_(*upper),
        )
        stmt = stmt.order_by(*(column if upwards else column.desc() for column in _place))
        part = stmt.limit(bindparam("limit", type_=BigInteger())).subquery()
        parts.append(select(*(part.c[name] for name in _SHOWN)))
    return Question(parts[0] if units == 1 else select(union_all(*parts).subquery()))


async def page(
    db: Database,
    community_id: UUID,
    *,
    owner_id: UUID,
    units: Sequence[str],
    limit: int,
    since: datetime | None = None,
    until: datetime | None = None,
    after: Position | None = None,
    before: Position | None = None,
) -> list[Any]:
    """An owner's lines in these units, latest effective first; `since` inclusive, `until` exclusive. The page comes
    after `after`; with `before` it is what ends just before that, nearest first.

    Up to `UNITS_AT_ONCE` units are seen at one instant.
    """
    lower, upper = (since or _FIRST, _NONE), (until or _LAST, _NONE)
    lower, upper = max(lower, before or lower), min(upper, after or upper)
    ends = {"lower_at": lower[0], "lower_id": lower[1], "upper_at": upper[0], "upper_id": upper[1]}
    rows: list[Any] = []
    rest = iter(units)
    while some := list(islice(rest, UNITS_AT_ONCE)):
        named = {f"unit_{number}": unit for number, unit in enumerate(some)}
        asked = question(len(some), upwards=before is not None)
        rows += await db.ask(asked, community=community_id, owner=owner_id, limit=limit, **named, **ends)
    rows.sort(key=lambda row: (row.effective_at, row.transaction_id), reverse=before is None)
    return rows[:limit]
