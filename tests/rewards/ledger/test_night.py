"""The nightly audit finds what cannot be, tells it by metric, and is made once a night."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from kit.metrics import LEDGER_AUDITED, LEDGER_FAULTS
from services.rewards.audits import WHOLE
from services.rewards.handlers.night import audit, begin, until_night
from services.rewards.handlers.sealing import seal_some
from services.rewards.tables.ledger import accounts, entries
from tests.rewards.ledger.support import make_place
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

NOTHING = {"ledger": 0, "boards": 0, "chain": 0, "streaks": 0}


def shown() -> dict[str, float]:
    return {name: LEDGER_FAULTS.labels(name)._value.get() for name in ("ledger", "boards", "chain", "streaks")}


async def test_what_somebody_changed_is_counted_by_audit_until_it_is_mended(
    make_database: MakeDatabase, clock: ManualClock
) -> None:
    place = await make_place(await make_database("rewards"))
    await place.give(*(place.grant(member, 5) for member in place.members))
    clock.advance(timedelta(seconds=6))
    await seal_some(place.db)
    stopping = asyncio.Event()
    assert await audit(place.db, WHOLE, stopping) == NOTHING
    assert LEDGER_AUDITED._value.get() == clock().timestamp()
    for table, column, audits in (
        (accounts, accounts.c.balance, {"ledger"}),
        (entries, entries.c.amount, {"ledger", "chain"}),
    ):
        values = {column.name: column + 1}
        async with place.db.begin() as tx:
            await tx.execute(update(table).values(**values))
        found = await audit(place.db, WHOLE, stopping)
        assert {name for name, count in found.items() if count} == audits
        assert shown() == found
        async with place.db.begin() as tx:
            await tx.execute(update(table).values({column.name: column - 1}))
    assert await audit(place.db, WHOLE, stopping) == NOTHING


@pytest.mark.parametrize(
    ("now", "hours"),
    [("2026-11-23T00:00", 3), ("2026-11-23T02:59", 1 / 60), ("2026-11-23T03:00", 24), ("2026-11-23T23:00", 4)],
)
def test_the_next_night_begins_at_three(now: str, hours: float) -> None:
    assert until_night(datetime.fromisoformat(now).replace(tzinfo=UTC)) == timedelta(hours=hours)


async def test_one_of_several_processes_makes_a_nights_audit(make_database: MakeDatabase, clock: ManualClock) -> None:
    db = await make_database("rewards")
    assert sorted(await asyncio.gather(*(begin(db) for _ in range(4)))) == [False, False, False, True]
    clock.advance(timedelta(days=1))
    assert await begin(db)
