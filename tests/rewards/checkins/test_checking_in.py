"""Check-ins of a batch: one a day, late ones, freezes through the ledger, and what rules see of a streak."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from kit.contracts.events import Activity
from services.rewards.domain.checkins import Freeze, Schedule, Series
from services.rewards.handlers import checkins, earning, mending
from services.rewards.handlers.adjusting import post_one
from services.rewards.store import checkins as store
from services.rewards.tables.checkins import checkin_facts
from services.rewards.tables.ledger import entries, transactions
from tests.rewards.checkins.support import LETTERS, series
from tests.rewards.guild import Guild, envelope, make_guild, rule
from tests.rewards.ledger.support import Statements, check_books, wish
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAYS = tuple(datetime(2026, 11, 2, 20, tzinfo=UTC) + timedelta(days=n) for n in range(60))
"""Eight in the evening, from a Monday on."""


@pytest.fixture
async def guild(make_database: MakeDatabase, clock: ManualClock) -> Guild:
    clock.now = DAYS[0]
    return await make_guild(await make_database("rewards"))


def check_in(guild: Guild, day: int, by: str = "ann", **fields: Any) -> Activity:
    return guild.act("checkin.submitted", by, DAYS[day], **fields)


async def live(guild: Guild, clock: ManualClock, day: int, *names: str) -> None:
    """The evening of a day, on which these check in."""
    clock.now = DAYS[day]
    if names:
        await guild.score(*[check_in(guild, day, name) for name in names])


async def stored(guild: Guild, name: str = "ann", of: str = "daily") -> tuple[int, int, int]:
    """(current, longest, freezes held) as they were last written."""
    key = guild.id, of, guild.member(name)
    async with guild.db.read() as tx:
        row = (await store.streaks_of(tx, [key]))[key]
    return row.current, row.longest, row.held


async def seen(guild: Guild, name: str = "ann", of: str = "daily") -> mending.Seat:
    async with guild.db.read() as tx:
        return await mending.look(tx, guild.id, of, guild.member(name))


async def told(guild: Guild, name: str = "ann", of: str = "daily") -> str:
    return "".join(LETTERS[day.status] for day in (await seen(guild, name, of)).walked())


async def held(guild: Guild, name: str = "ann") -> int:
    return await guild.balance(guild.member(name), "freezes")


async def pay(guild: Guild, amount: int, name: str = "ann") -> None:
    async with guild.db.begin() as tx:
        await post_one(tx, guild.id, wish(guild.member(name), amount, computed=True), "operator:o")


async def buy(guild: Guild, name: str = "ann") -> None:
    await pay(guild, 100, name)
    async with guild.db.begin() as tx:
        await mending.buy(tx, guild.id, "daily", guild.member(name), "member:ann")


async def make(guild: Guild, **fields: Any) -> Series:
    """A series besides the daily one."""
    made = series(**{"id": "other", "name": "Other", **fields})
    async with guild.db.begin() as tx:
        await checkins.create(tx, guild.id, made, "operator:o")
    return made


async def change(guild: Guild, made: Series, tomorrow: date) -> None:
    async with guild.db.begin() as tx:
        before = await checkins.existing(tx, guild.id, made.id)
        await checkins.change(tx, before, made, tomorrow, "operator:o")


async def test_the_second_check_in_of_a_day_changes_nothing_and_the_first_stays_the_one_that_counts(
    guild: Guild,
) -> None:
    first, second = check_in(guild, 0), check_in(guild, 0)
    await guild.score(first, second)
    await guild.score(second)
    assert await stored(guild) == (1, 1, 0)
    async with guild.db.read() as tx:
        facts = await tx.all(select(checkin_facts).order_by(checkin_facts.c.kind.desc()))
    kept = [(fact.event_id, fact.kind, fact.day) for fact in facts]
    day = date(2026, 11, 2)
    assert kept == [(first.event_id, "done", day), (second.event_id, "again", day)]


async def test_a_streak_grows_by_the_day_and_is_over_after_a_missed_one(guild: Guild, clock: ManualClock) -> None:
    for day in (0, 1, 2, 4, 5):
        await live(guild, clock, day, "ann")
    assert await stored(guild) == (2, 3, 0)
    clock.now = DAYS[7]
    assert await told(guild) == "DDD.DD.?"
    assert (await seen(guild)).walked()[-1].state.current == 0


async def test_a_freeze_is_used_by_itself_once_and_comes_back_when_a_late_check_in_fills_the_day(
    guild: Guild, clock: ManualClock
) -> None:
    await live(guild, clock, 0, "ann")
    await buy(guild)
    assert (await held(guild), await stored(guild)) == (1, (1, 1, 1))
    await live(guild, clock, 2, "ann")
    await live(guild, clock, 2, "ann")
    assert (await held(guild), await stored(guild), await told(guild)) == (0, (2, 2, 0), "DFD")
    late = check_in(guild, 1, late=timedelta(hours=26))
    await guild.score(late)
    await guild.score(late)
    assert (await held(guild), await stored(guild), await told(guild)) == (1, (3, 3, 1), "DDD")
    await live(guild, clock, 4, "ann")
    assert (await held(guild), await stored(guild), await told(guild)) == (0, (4, 4, 0), "DDDFD")
    async with guild.db.read() as tx:
        kinds = await tx.all(
            select(transactions.c.kind)
            .join(entries, (entries.c.transaction_id == transactions.c.id) & (entries.c.line == 0))
            .where(entries.c.unit == "freezes")
        )
    assert sorted(row.kind for row in kinds) == ["grant", "reversal", "spend", "spend"]
    await check_books(guild.db)


async def test_a_check_in_that_comes_after_the_grace_fills_nothing_and_history_always_does(
    guild: Guild, clock: ManualClock
) -> None:
    await live(guild, clock, 0, "ann")
    await live(guild, clock, 5, "ann")
    # The day ends four hours after eight in the evening; 48 hours later it is closed.
    await guild.score(check_in(guild, 1, late=timedelta(hours=52, seconds=1)))
    assert await told(guild) == "D....D"
    await guild.score(check_in(guild, 2, late=timedelta(hours=52)))
    await guild.score(check_in(guild, 3, late=timedelta(days=30), import_name="old"))
    assert await told(guild) == "D.DD.D"


async def test_days_of_a_streak_earn_freezes_and_what_earned_them_takes_them_back(
    guild: Guild, clock: ManualClock
) -> None:
    await make(guild, freeze=Freeze(earned_every=2))
    for day in range(4):
        await live(guild, clock, day, "ann")
    assert (await stored(guild, of="other"), await held(guild)) == ((4, 4, 2), 2)
    async with guild.db.begin() as tx:
        await mending.mark(tx, guild.id, "other", guild.member("ann"), date(2026, 11, 3), "undone", "a slip", "op:o")
    # D.DD: the fourth day is the second of a streak again; the second day's freeze is gone.
    assert (await stored(guild, of="other"), await held(guild)) == ((2, 2, 1), 1)
    await guild.score(check_in(guild, 1, late=timedelta(hours=40)))
    assert (await stored(guild, of="other"), await held(guild)) == ((4, 4, 2), 2)
    await check_books(guild.db)


async def test_what_an_operator_took_away_does_not_come_back_with_its_event(guild: Guild) -> None:
    done = check_in(guild, 0)
    await guild.score(done)
    async with guild.db.begin() as tx:
        await mending.mark(tx, guild.id, "daily", guild.member("ann"), date(2026, 11, 2), "undone", "a test", "op:o")
    await guild.score(done)
    assert await told(guild) == ""
    await guild.score(check_in(guild, 0))
    assert await told(guild) == "D"


async def test_rules_see_the_streak_with_the_check_in_they_look_at(guild: Guild, clock: ManualClock) -> None:
    give = [{"to": "actor", "unit": "points", "cel": "5 * (streak.current > 3 ? 3 : streak.current)"}]
    await guild.publish(
        {"id": "check-in", "on": ["checkin.submitted"], "give": give},
        rule("talk", when="streak.current == 5"),
    )
    points = []
    for day in range(5):
        await live(guild, clock, day, "ann")
        points.append(await guild.has("ann", "points"))
    assert points == [5, 15, 30, 45, 60]
    await guild.score(guild.act(at=clock.now))
    assert await guild.has("ann") == 1


async def test_history_that_comes_in_one_batch_is_seen_day_by_day(guild: Guild, clock: ManualClock) -> None:
    clock.now = DAYS[30]
    give = [{"to": "actor", "unit": "points", "cel": "streak.current"}]
    await guild.publish({"id": "check-in", "on": ["checkin.submitted"], "give": give})
    old = [check_in(guild, day, import_name="old", late=timedelta(days=30 - day)) for day in (0, 1, 2, 4, 5)]
    await guild.score(*old)
    assert await guild.has("ann", "points") == 1 + 2 + 3 + 1 + 2
    assert await stored(guild) == (0, 3, 0)


async def test_who_does_not_earn_does_not_check_in(guild: Guild) -> None:
    await guild.know("bot", kind="bot")
    await guild.know("out", state="banned")
    await guild.score(
        check_in(guild, 0, "bot"),
        check_in(guild, 0, "out"),
        check_in(guild, 0, data={"bot": True}),
        check_in(guild, 0, flags=("throttled",)),
        guild.act("checkin.submitted", by=None),
    )
    async with guild.db.read() as tx:
        assert await tx.all(select(checkin_facts)) == []


async def test_a_series_counts_what_its_types_and_its_condition_say_for_the_day_that_is_named(
    guild: Guild, clock: ManualClock
) -> None:
    """The check-in of a real programme: notes of more than ten characters, for the day that they name."""
    clock.now = DAYS[3]
    await make(
        guild,
        on=("note.written",),
        when="has(event.data.chars) && event.data.chars > 10",
        date_field="for_date",
        schedule=Schedule(kind="per_week", times=5),
        late_grace_hours=9600,
    )

    def note(chars: int, for_date: object, day: int = 3) -> Activity:
        return guild.act("note.written", at=DAYS[day], data={"chars": chars, "for_date": for_date})

    await guild.score(
        note(40, "2026-11-02"), note(11, "2026-11-04"), note(10, "2026-11-05"), note(99, "2026-11-06"),
        note(99, "yesterday"), note(99, 7), guild.act("note.written", at=DAYS[3]),
    )  # fmt: skip
    assert await told(guild, of="other") == "D-D?"
    await guild.score(note(40, "2026-11-03"))
    assert (await told(guild, of="other"), await stored(guild, of="other")) == ("DDD?", (3, 3, 0))


async def test_a_community_of_one_is_no_others(guild: Guild, clock: ManualClock) -> None:
    other = await make_guild(guild.db)
    await guild.score(check_in(guild, 0), check_in(other, 0))
    await live(guild, clock, 1, "ann")
    assert (await stored(guild), await stored(other)) == ((2, 2, 0), (1, 1, 0))


async def test_an_identity_that_is_linked_checks_in_for_its_member(guild: Guild, clock: ManualClock) -> None:
    await live(guild, clock, 0, "ann")
    await guild.link("ann2", to="ann")
    await live(guild, clock, 1, "ann2")
    assert await stored(guild) == (2, 2, 0)


async def test_days_that_have_begun_keep_the_schedule_they_have(guild: Guild, clock: ManualClock) -> None:
    made = await make(guild)
    await live(guild, clock, 0, "ann")
    clock.now = DAYS[4]
    await change(
        guild, series(id=made.id, name="Other", schedule=Schedule(kind="weekdays", weekdays=(2,))), date(2026, 11, 7)
    )
    clock.now = DAYS[9]
    assert await told(guild, of="other") == "D....---.-"


@pytest.mark.parametrize("size", [1, 40, 400])
async def test_the_statements_of_a_batch_of_check_ins_do_not_grow_with_it(
    guild: Guild, clock: ManualClock, size: int
) -> None:
    names = [f"m{n}" for n in range(20)]
    await live(guild, clock, 0, *names)
    clock.now = DAYS[25]
    some = [check_in(guild, 25 - n // 20, names[n % 20], import_name="old") for n in range(size)]
    with Statements(guild.db) as statements:
        async with guild.db.begin() as tx:
            await earning.score(tx, [envelope(a, a.event_id) for a in some])
    assert len(statements.texts) <= 50
    await check_books(guild.db)
