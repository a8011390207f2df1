"""What a check-in must bring: what is taken, what is kept as an attempt, and that nothing is paid for that."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from kit.contracts.events import Activity
from kit.contracts.rewards import CheckinSeriesChanged, Place
from services.rewards.domain.checkins import DEFAULT_SERIES
from services.rewards.domain.proofs import Proof, brought, missing, status_of
from services.rewards.tables.checkins import checkin_attempts
from tests.rewards.checkins.test_checking_in import DAYS, change, check_in, make, seen, told
from tests.rewards.guild import Guild, make_guild, rule
from tests.rewards.ledger.support import Statements, announced, check_books
from tests.rewards.plans.support import plans_of
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

PHOTO = Proof(kind="media")
WORD = Proof(kind="code_word")
THERE = Proof(kind="location", radius_m=50)
SOME_WORDS = Proof(kind="text", length=10, distinct=4)


@pytest.fixture
async def guild(make_database: MakeDatabase, clock: ManualClock) -> Guild:
    clock.now = DAYS[0]
    return await make_guild(await make_database("rewards"))


async def ask(guild: Guild, *proof: Proof) -> None:
    """The daily series asks for this from now on."""
    await change(guild, replace(DEFAULT_SERIES, proof=proof), DAYS[0].date())


async def attempts(guild: Guild) -> list[tuple[Any, ...]]:
    t = checkin_attempts.c
    async with guild.db.read() as tx:
        rows = await tx.all(select(t.series_id, t.event_id, t.state, t.missing, t.day).order_by(t.id, t.series_id))
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("proof", "data", "lacks"),
    [
        (SOME_WORDS, {"length": 10, "distinct": 4}, None),
        (SOME_WORDS, {"length": 9, "distinct": 9}, "text_too_short"),
        (SOME_WORDS, {"length": 40, "distinct": 1}, "text_too_short"),
        (SOME_WORDS, {}, "text_too_short"),
        (SOME_WORDS, {"length": True, "distinct": "9"}, "text_too_short"),
        (PHOTO, {"images": 1}, None),
        (PHOTO, {"has_media": True}, None),
        (PHOTO, {"has_media": "yes"}, "media_missing"),
        (Proof(kind="media", images=2), {"has_media": True}, "media_missing"),
        (Proof(kind="media", images=2), {"images": 2}, None),
        (Proof(kind="numeric", field="km"), {"km": 0}, None),
        (Proof(kind="numeric", field="km"), {"km": "5"}, "number_missing"),
        (Proof(kind="numeric", field="km"), {"km": True}, "number_missing"),
        (Proof(kind="numeric", field="km", least=1.5), {"km": 1.5}, None),
        (Proof(kind="numeric", field="km", least=1.5), {"km": 1}, "number_out_of_range"),
        (Proof(kind="numeric", field="km", most=42), {"km": 10**40}, "number_out_of_range"),
        (WORD, {"proved": {"daily": {"days": ["2026-11-01", "2026-11-02"]}}}, None),
        (WORD, {"proved": {"daily": {"days": ["2026-11-03"]}}}, "code_word_missing"),
        (WORD, {"proved": {"gym": {"days": ["2026-11-02"]}}}, "code_word_missing"),
        (WORD, {"proved": "2026-11-02"}, "code_word_missing"),
        (THERE, {"proved": {"daily": {"inside": True}}}, None),
        (THERE, {"proved": {"daily": {"inside": False}}}, "location_outside"),
        (THERE, {}, "location_missing"),
    ],
)
def test_what_a_check_in_lacks_is_named(proof: Proof, data: dict[str, Any], lacks: str | None) -> None:
    assert missing([proof], brought(data, "daily", DAYS[0].date())) == (() if lacks is None else (lacks,))


def test_an_activity_is_a_check_in_where_one_of_its_series_takes_it() -> None:
    assert [status_of(some) for some in ([], ["refused"], ["refused", "accepted"])] == ["", "refused", "accepted"]


async def test_a_check_in_that_lacks_its_proof_counts_and_earns_nothing_and_the_next_one_does(guild: Guild) -> None:
    await ask(guild, PHOTO, SOME_WORDS)
    bare = check_in(guild, 0)
    for _ in range(2):
        await guild.score(bare)
    assert await attempts(guild) == [
        ("daily", bare.event_id, "refused", ["media_missing", "text_too_short"], DAYS[0].date())
    ]
    assert (await told(guild), await guild.has("ann")) == ("", 0)
    assert await guild.verdicts(bare) == [("check-in", "ineligible", 0)] * 2
    good = check_in(guild, 0, data={"images": 1, "length": 12, "distinct": 8})
    await guild.score(good)
    assert (await told(guild), await guild.has("ann")) == ("D", 10)
    assert [event_id for _, event_id, *_ in await attempts(guild)] == [bare.event_id]
    await check_books(guild.db)


async def test_with_proof_and_without_it_in_one_batch_the_one_with_it_is_the_days(guild: Guild) -> None:
    await ask(guild, PHOTO)
    bare, good = check_in(guild, 0), check_in(guild, 0, data={"images": 1})
    await guild.score(bare, good)
    [fact] = (await seen(guild)).standing.rows
    assert (fact.event_id, await guild.has("ann")) == (good.event_id, 10)


async def test_what_was_judged_stays_so_when_the_series_asks_for_something_else(guild: Guild) -> None:
    before, refused = check_in(guild, 0), check_in(guild, 1)
    await guild.score(before)
    await ask(guild, PHOTO)
    await guild.score(before, refused)
    assert [event_id for _, event_id, *_ in await attempts(guild)] == [refused.event_id]
    await ask(guild)
    await guild.score(before, refused)
    assert (await told(guild), await guild.has("ann")) == ("D", 10)


async def test_history_and_other_communities_are_asked_for_nothing(guild: Guild) -> None:
    await ask(guild, PHOTO)
    other = await make_guild(guild.db)
    await guild.score(check_in(guild, 0, import_name="old"))
    await other.score(check_in(other, 0))
    assert (await told(guild), await told(other), await attempts(guild)) == ("D", "D", [])
    assert await other.has("ann") == 10


async def test_the_code_word_is_that_of_the_day_which_the_check_in_is_for_in_the_members_own_zone(
    guild: Guild,
) -> None:
    await make(guild, scope="member", on=("note.written",), date_field="for_date", proof=(WORD,))
    await guild.know("ann", zone="Pacific/Kiritimati")
    # Eight in the evening in UTC is ten in the morning of the next day there.
    todays = guild.act("note.written", "ann", DAYS[0], data=said("2026-11-03"))
    before = guild.act("note.written", "ann", DAYS[0], data={**said("2026-11-02"), "for_date": "2026-11-02"})
    wrong = guild.act("note.written", "ann", DAYS[0], data={**said("2026-11-03"), "for_date": "2026-11-01"})
    await guild.score(wrong, todays, before)
    assert await told(guild, of="other") == "DD"
    assert [(event_id, lacks) for _, event_id, _, lacks, _ in await attempts(guild)] == [
        (wrong.event_id, ["code_word_missing"])
    ]


def said(day: str) -> dict[str, Any]:
    """What the door makes of a text with the code word of a day."""
    return {"proved": {"other": {"days": [day]}}}


async def test_a_check_in_of_two_series_is_paid_where_one_takes_it(guild: Guild) -> None:
    await make(guild, id="gym", name="Gym", on=("checkin.submitted",), proof=(PHOTO,))
    bare = check_in(guild, 0)
    await guild.score(bare)
    assert (await told(guild), await told(guild, of="gym"), await guild.has("ann")) == ("D", "", 10)
    assert [(series, event_id) for series, event_id, *_ in await attempts(guild)] == [("gym", bare.event_id)]


async def test_rules_of_other_types_may_ask_whether_a_series_took_it(guild: Guild) -> None:
    await make(guild, id="gym", name="Gym", on=("message.created",), proof=(PHOTO,))
    await guild.publish(rule("talk"), rule("gym", amount=7, when='checkin.status == "accepted"'))
    bare, good = guild.act("message.created"), guild.act("message.created", data={"has_media": True})
    await guild.score(bare, good)
    assert await guild.verdicts(bare) == [("talk", "granted", 1)]
    assert await guild.verdicts(good) == [("gym", "granted", 7), ("talk", "granted", 1)]


async def test_proof_costs_a_batch_the_same_statements_whatever_its_size(guild: Guild) -> None:
    await ask(guild, PHOTO)
    await guild.score(check_in(guild, 0, "zoe", data={"images": 1}), check_in(guild, 0, "yan"))

    def some(count: int, first: int) -> list[Activity]:
        return [check_in(guild, 0, f"m{first + n}", data={"images": n % 2}) for n in range(count)]

    counts = []
    for batch in (some(4, 0), some(40, 10)):
        with Statements(guild.db) as counted:
            await guild.score(*batch)
        counts.append(sum("checkin_attempts" in text for text in counted.texts))
    assert counts == [2, 2]
    await ask(other := await make_guild(guild.db))
    with Statements(guild.db) as counted:
        await other.score(check_in(other, 0))
    assert not any("checkin_attempts" in text for text in counted.texts)


async def test_the_door_is_told_what_to_look_for_with_every_version(guild: Guild) -> None:
    await make(guild, proof=(WORD, replace(THERE, latitude=1.5)), on=("note.written",))
    await ask(guild, PHOTO)
    made, changed = await announced(guild.db, CheckinSeriesChanged)
    assert (made.series_id, made.on, made.version, made.code_word) == ("other", ("note.written",), 1, "en")
    assert made.place == Place(1.5, 0.0, 50)
    assert (changed.series_id, changed.version, changed.code_word, changed.place) == ("daily", 2, None, None)


async def test_other_rules_over_what_was_pay_for_no_check_in_that_was_not_taken(guild: Guild, tmp_path: Path) -> None:
    await ask(guild, PHOTO)
    await guild.publish(rule("check-in", on="checkin.submitted", amount=3))
    await guild.score(check_in(guild, 0), check_in(guild, 0, data={"images": 1}))
    assert await guild.has("ann") == 3
    _, over = await plans_of(guild, tmp_path).recompute(rule("check-in", on="checkin.submitted", amount=5))
    assert (over.state, await guild.has("ann")) == ("done", 5)
