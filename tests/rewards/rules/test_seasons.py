"""Limits per season: the set names its seasons, days between them are windows too, and a key goes on counting (R12)."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from kit.database import Database
from kit.errors import Unprocessable
from services.rewards.domain.explaining import Decided, phrase
from services.rewards.domain.seasons import BEFORE_ALL, Season, window_on
from services.rewards.handlers.purging import purge
from services.rewards.store.plans import given_before
from services.rewards.tables.kept import kept_activities
from services.rewards.tables.rules import counters, rule_sets
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.ledger.support import check_books
from tests.rewards.plans.support import plans_of
from tests.rewards.rules.test_budgets import told
from tests.rewards.rules.test_caps import paid
from tests.rewards.serving import Rewards
from tests.rewards.undoing.support import LIKED, react, unreact
from tests.support.clock import ManualClock
from tests.support.databases import MakeDatabase

DAY = timedelta(days=1)


def season(key: str, first_day: str, last_day: str) -> dict[str, str]:
    return {"key": key, "first_day": first_day, "last_day": last_day}


AUTUMN = season("autumn", "2026-11-20", "2026-11-24")
WINTER = season("winter", "2026-11-27", "2026-12-31")
ONE = rule(caps=[{"per": "season", "limit": 1}])


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@pytest.fixture
async def guild(db: Database) -> Guild:
    return await make_guild(db)


def noon(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00+00:00")


async def on_days(guild: Guild, *days: str) -> list[int]:
    """What something on each of these days was worth, in the order in which it arrived."""
    return await paid(guild, *[guild.act(at=noon(day)) for day in days])


async def test_each_season_and_the_days_before_between_and_after_them_have_the_limit_once(guild: Guild) -> None:
    await guild.publish(ONE, seasons=[WINTER, AUTUMN])
    before, autumn = ("2026-11-01", "2026-11-19"), ("2026-11-20", "2026-11-24")
    between, winter = ("2026-11-25", "2026-11-26"), ("2026-11-27", "2026-12-31")
    after = ("2027-01-01", "2029-01-01")
    assert await on_days(guild, *before, *autumn, *between, *winter, *after) == [1, 0] * 5


async def test_a_season_begins_and_ends_with_the_communitys_days(db: Database) -> None:
    guild = await make_guild(db, zone="Asia/Shanghai", day_start=240)
    await guild.publish(ONE, seasons=[AUTUMN, season("winter", "2026-11-25", "2026-11-30")])
    # Four in the morning of the 25th in Shanghai.
    begins = datetime(2026, 11, 24, 20, tzinfo=UTC)
    some = [guild.act(at=begins + n * timedelta(microseconds=1)) for n in (-2, -1, 0, 1)]
    assert await paid(guild, *some) == [1, 0, 1, 0]


async def test_a_late_event_counts_for_the_season_that_it_happened_in(guild: Guild) -> None:
    await guild.publish(ONE, seasons=[AUTUMN, WINTER])
    assert await on_days(guild, "2026-11-27") == [1]
    late = [guild.act(at=noon("2026-11-24"), late=n * timedelta(hours=40)) for n in (1, 1)]
    assert await paid(guild, *late) == [1, 0]


async def test_a_season_goes_on_by_its_key_whatever_its_days_become(guild: Guild) -> None:
    await guild.publish(rule(caps=[{"per": "season", "limit": 2}]), seasons=[AUTUMN])
    assert await on_days(guild, "2026-11-24", "2026-11-25") == [1, 1]
    await guild.publish(rule(caps=[{"per": "season", "limit": 2}]), seasons=[{**AUTUMN, "last_day": "2026-11-30"}])
    assert await on_days(guild, "2026-11-30", "2026-11-30", "2026-12-01", "2026-12-01") == [1, 0, 1, 0]


async def test_a_season_under_another_key_begins_at_nothing(guild: Guild) -> None:
    await guild.publish(ONE, seasons=[AUTUMN])
    assert await on_days(guild, "2026-11-23", "2026-11-23") == [1, 0]
    await guild.publish(ONE, seasons=[{**AUTUMN, "key": "fall"}])
    assert await on_days(guild, "2026-11-23") == [1]
    await guild.publish(ONE, seasons=[AUTUMN])
    assert await on_days(guild, "2026-11-23") == [0], "the old key knows what it counted"


async def test_who_used_a_season_up_has_done_so_however_long_it_is_made_afterwards(
    guild: Guild, clock: ManualClock
) -> None:
    await guild.publish(rule(caps=[{"per": "season", "limit": 1}], undone_by=[]), seasons=[AUTUMN])
    assert await on_days(guild, "2026-11-23") == [1]
    clock.advance(500 * DAY)
    forgotten = {"counters": 30 * DAY, "decisions": 400 * DAY, "activities": 400 * DAY}
    await purge(guild.db, **forgotten, stopping=asyncio.Event())
    async with guild.db.read() as tx:
        assert await tx.scalar(select(func.count()).select_from(counters)) == 1
    await guild.publish(ONE, seasons=[{**AUTUMN, "last_day": "2028-12-31"}])
    assert await on_days(guild, "2028-04-01") == [0]


async def test_a_units_budget_per_season_is_told_of_by_the_seasons_key(guild: Guild) -> None:
    house = {"unit": "xp", "scope": "community", "per": "season", "limit": 2}
    await guild.publish(rule(), unit_caps=[house], seasons=[AUTUMN, WINTER])
    days = ("2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27", "2026-11-19")
    await guild.score(*[guild.act(by=by, at=noon(day)) for day in days for by in ("ann", "bob", "cat")])
    assert await told(guild) == [
        (None, "autumn", 100, 2), (None, "after autumn", 100, 2), (None, "winter", 100, 2), (None, BEFORE_ALL, 100, 2)
    ]  # fmt: skip
    assert [await guild.has(name) for name in ("ann", "bob", "cat")] == [4, 4, 0]


async def test_a_members_limit_of_a_unit_per_season_is_each_members_own(guild: Guild) -> None:
    limit = {"unit": "xp", "per": "season", "limit": 3}
    await guild.publish(rule(amount=2), rule("ask", "question.asked", 2), unit_caps=[limit], seasons=[AUTUMN])
    some = [
        guild.act(),
        guild.act("question.asked"),
        guild.act(),
        guild.act(by="bob"),
        guild.act(at=noon("2026-11-25")),
    ]
    assert await paid(guild, *some) == [2, 1, 0, 2, 2]


async def test_two_communities_have_seasons_of_their_own(guild: Guild) -> None:
    other = await make_guild(guild.db)
    await guild.publish(ONE, seasons=[AUTUMN])
    await other.publish(ONE, seasons=[season("autumn", "2026-11-23", "2026-11-23")])
    for one, expected in ((guild, [1, 0]), (other, [1, 1])):
        assert await on_days(one, "2026-11-23", "2026-11-24") == expected


LIKED_ONCE = {
    **LIKED,
    "caps": [{"scope": "actor_object", "per": "season", "limit": 1, "of": "grants", "refill": True}],
}


async def test_what_is_undone_gives_its_place_in_the_season_to_what_waits_for_it(guild: Guild) -> None:
    await guild.publish(LIKED_ONCE, seasons=[AUTUMN, WINTER])
    at = {"autumn": noon("2026-11-23"), "winter": noon("2026-11-28")}
    hearts, stars = ([react(guild, kind=kind, at=at[name]) for name in at] for kind in ("heart", "star"))
    await guild.score(*hearts, *stars)
    assert await guild.has("ann") == 4
    await guild.score(unreact(guild, at=at["autumn"] + DAY))
    assert await guild.verdicts(stars[0]) == [("liked", "granted", 2)]
    assert (await guild.verdicts(stars[1]), await guild.has("ann")) == ([("liked", "capped", 0)], 4)
    await check_books(guild.db)


@pytest.mark.parametrize(("ends", "begins", "expected"), [("20", "21", [0, 0]), ("21", "22", [2, 0])])
async def test_what_waits_for_a_place_waits_for_it_in_the_season_that_a_recompute_puts_it_in(
    guild: Guild, tmp_path: Path, ends: str, begins: str, expected: list[int]
) -> None:
    await guild.publish(LIKED_ONCE, seasons=[season("long", "2026-11-01", "2026-11-30")])
    acts = [react(guild, kind=kind, at=noon(f"2026-11-{day}")) for kind, day in (("a", 20), ("b", 21), ("c", 22))]
    await guild.score(*acts)
    assert await guild.has("ann") == 2
    parts = [season("short", "2026-11-01", f"2026-11-{ends}"), season("long", f"2026-11-{begins}", "2026-11-30")]
    # What was by then stays as it is: it takes its places, or waits for one.
    await plans_of(guild, tmp_path).recompute(LIKED_ONCE, seasons=parts, since=MORNING)
    await guild.score(unreact(guild, kind="a"))
    assert [(await guild.verdicts(act))[0][2] for act in acts[1:]] == expected
    await check_books(guild.db)


async def test_a_recompute_counts_by_the_seasons_of_its_rules_and_what_comes_goes_on_from_there(
    guild: Guild, tmp_path: Path
) -> None:
    await guild.publish(ONE, seasons=[season("all", "2026-11-01", "2026-12-31")])
    assert await on_days(guild, "2026-11-21", "2026-11-22", "2026-11-23") == [1, 0, 0]
    parts = [season("all", "2026-11-01", "2026-11-22"), season("rest", "2026-11-23", "2026-11-23")]
    plan, over = await plans_of(guild, tmp_path).recompute(ONE, seasons=parts)
    assert plan.result["postings"] == over.posted == {"entries": 1, "units": {"xp": {"added": 1, "taken": 0}}}
    assert await on_days(guild, "2026-11-20", "2026-11-23", "2026-11-24") == [0, 0, 1]
    await check_books(guild.db)


async def test_a_recompute_leaves_out_what_a_unit_cap_cut_off_before(guild: Guild, tmp_path: Path) -> None:
    cap = {"unit": "xp", "per": "season", "limit": 5}
    await guild.publish(rule(amount=3), unit_caps=[cap], seasons=[AUTUMN])
    assert await on_days(guild, "2026-11-21", "2026-11-22", "2026-11-23") == [3, 2, 0]
    skipping = [{**cap, "on_exceed": "skip"}]
    _, over = await plans_of(guild, tmp_path).recompute(rule(amount=3), unit_caps=skipping, seasons=[AUTUMN])
    assert over.posted == {"entries": 1, "units": {"xp": {"added": 0, "taken": 2}}}
    assert await guild.has("ann") == 3
    await check_books(guild.db)


@pytest.mark.parametrize("scope", ["member", "community"])
async def test_a_recompute_knows_of_a_season_what_was_given_for_what_is_no_longer_kept(
    guild: Guild, tmp_path: Path, clock: ManualClock, scope: str
) -> None:
    first = rule("first", amount=2, caps=[{"scope": scope, "per": "season", "limit": 1, "of": "grants"}])
    unit_cap = {"unit": "xp", "scope": scope, "per": "season", "limit": 2}
    sets: dict[str, Any] = {"unit_caps": [unit_cap], "seasons": [AUTUMN, WINTER]}
    await guild.publish(first, **sets)
    assert await on_days(guild, "2026-11-19", "2026-11-21", "2026-11-28") == [2, 2, 2]
    async with guild.db.begin() as tx:
        await tx.execute(kept_activities.delete())
    clock.advance(timedelta(minutes=1))
    await guild.score(guild.act(by="bob", at=noon("2026-11-25")))
    _, over = await plans_of(guild, tmp_path).recompute(first, rule("other"), **sets)
    assert over.posted == {"entries": 0, "units": {}}
    some = [guild.act(at=noon(day)) for day in ("2026-11-18", "2026-11-22", "2026-11-29", "2026-11-26")]
    assert await paid(guild, *some) == [0, 0, 0, 2 if scope == "member" else 0]
    await check_books(guild.db)


async def test_the_ledger_is_read_by_the_windows_that_limits_go_by(guild: Guild) -> None:
    await guild.publish(rule())
    days = [MORNING + n * DAY for n in range(-40, 60)]
    await guild.score(*[guild.act(at=day, import_name="log") for day in days])
    seasons = [Season("b", date(2026, 11, 29), date(2026, 12, 2)), Season("c", date(2026, 12, 3), date(2026, 12, 31)),
               Season("a", date(2026, 11, 1), date(2026, 11, 1))]  # fmt: skip
    for named in (seasons, []):
        async with guild.db.read() as tx:
            rows = await given_before(tx, guild.id, tx.now + DAY, named)
        assert {row.season: row.grants for row in rows} == Counter(window_on(named, day.date()) for day in days)


async def test_a_backfill_pays_what_the_seasons_leave_room_for_and_takes_nothing(guild: Guild, tmp_path: Path) -> None:
    await guild.publish(ONE, seasons=[season("one", "2026-11-01", "2026-12-31")])
    assert await on_days(guild, "2026-11-21", "2026-11-22", "2026-11-23") == [1, 0, 0]
    parts = [season("one", "2026-11-01", "2026-11-22"), season("two", "2026-11-23", "2026-11-23")]
    _, over = await plans_of(guild, tmp_path).recompute(ONE, seasons=parts, mode="backfill")
    assert over.posted == {"entries": 1, "units": {"xp": {"added": 1, "taken": 0}}}
    assert await guild.has("ann") == 2


_days = st.dates(date(2026, 1, 1), date(2026, 12, 31))


@given(cuts=st.sets(_days, max_size=8), day=_days, dice=st.randoms(use_true_random=False))
def test_every_day_is_in_one_window_and_a_window_is_days_in_a_row(cuts: set[date], day: date, dice: Any) -> None:
    stretches = [(a, b - DAY) for a, b in pairwise(sorted(cuts))]
    seasons = [Season(f"s{n}", *days) for n, days in enumerate(stretches) if dice.random() < 0.6]
    key = window_on(seasons, day)
    named = [one.key for one in seasons if one.first_day <= day <= one.last_day]
    assert named == ([] if " " in key else [key])
    assert window_on(seasons[::-1], day) == key
    borders = {one.last_day for one in seasons} | {one.first_day - DAY for one in seasons}
    assert (window_on(seasons, day + DAY) != key) == (day in borders)


WRONG = [
    ([season("S4", "2026-01-01", "2026-01-02")], "/seasons/0/key", "season_key_invalid", "1 to 10 of a-z"),
    ([season("after s", "2026-01-01", "2026-01-02")], "/seasons/0/key", "season_key_invalid", "1 to 10 of a-z"),
    ([AUTUMN, WINTER, {**AUTUMN, "first_day": "2025-01-01", "last_day": "2025-01-01"}], "/seasons/2/key",
     "season_twice", "give this one another key"),
    ([AUTUMN, season("b", "2026-11-24", "2026-12-01")], "/seasons/1", "season_taken",
     "the season 'autumn' goes from 2026-11-20 to 2026-11-24; seasons do not overlap"),
    ([season("b", "2026-01-02", "2026-01-01")], "/seasons/0/last_day", "season_ends_early", "on the day it begins"),
    ([season(f"s{n}", f"{1700 + n}-01-01", f"{1700 + n}-01-01") for n in range(201)], "/seasons", "too_many", "200"),
]  # fmt: skip


@pytest.mark.parametrize(("seasons", "pointer", "code", "hint"), WRONG)
async def test_what_is_wrong_with_seasons_is_said_when_they_are_published(
    guild: Guild, seasons: list[dict[str, str]], pointer: str, code: str, hint: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        await guild.publish(rule(), seasons=seasons)
    (error,) = refused.value.errors
    assert (error.pointer, error.code) == (pointer, code)
    assert hint in error.message


async def test_a_limit_per_season_of_a_set_without_seasons_is_refused_and_says_how_to_name_them(guild: Guild) -> None:
    with pytest.raises(Unprocessable) as refused:
        await guild.publish(ONE, unit_caps=[{"unit": "xp", "limit": 1}, {"unit": "xp", "limit": 9, "per": "season"}])
    errors = refused.value.errors
    assert {(e.pointer, e.code) for e in errors} == {
        ("/rules/0/caps/0/per", "seasons_missing"), ("/unit_caps/1/per", "seasons_missing")
    }  # fmt: skip
    assert '"seasons": [{"key": "2026-s4"' in errors[0].message


async def test_the_api_takes_shows_compares_simulates_and_rolls_back_seasons(rewards: Rewards) -> None:
    body: dict[str, Any] = {"rules": [ONE], "seasons": [AUTUMN]}
    assert (await rewards.client.post("/v1/rules/check", json=body)).json() == {"ok": True, "errors": []}
    assert (await rewards.get("/v1/rules"))["seasons"] == []
    assert (await rewards.client.post("/v1/rules", json=body)).status_code == 201
    assert (await rewards.get("/v1/rules"))["seasons"] == [AUTUMN]
    longer = {**body, "seasons": [{**AUTUMN, "last_day": "2026-11-30"}]}
    (change,) = (await rewards.client.post("/v1/rules/diff", json=longer)).json()["items"]
    assert change["text"] == "seasons of limits: seasons/0/last_day 2026-11-24 → 2026-11-30"
    reply = await rewards.client.post("/v1/rules/simulations", json={**longer, "days": 3})
    assert reply.status_code == 202, reply.text
    assert (await rewards.client.post("/v1/rules", json=longer)).status_code == 201
    rolled = await rewards.client.post("/v1/rules/versions/2/rollback", json={})
    assert (rolled.status_code, rolled.json()["seasons"]) == (201, [AUTUMN])
    wrong = {**body, "seasons": [{**AUTUMN, "last_day": "soon"}]}
    (error,) = (await rewards.client.post("/v1/rules/check", json=wrong)).json()["errors"]
    assert (error["pointer"], error["code"]) == ("/seasons/0/last_day", "schema_violation")
    schema = await rewards.get("/v1/rules/schema")
    assert set(schema["$defs"]["Season"]["required"]) == {"key", "first_day", "last_day"}
    assert "season" in schema["$defs"]["UnitCap"]["properties"]["per"]["enum"]


async def test_a_version_from_before_there_were_seasons_is_shown_compared_and_holds_without_any(
    rewards: Rewards,
) -> None:
    guild = rewards.guild
    await guild.publish(rule(amount=2))
    async with guild.db.begin() as tx:
        body = {"rules": [rule(amount=2)], "unit_caps": [{"unit": "xp", "limit": 5}]}
        await tx.execute(rule_sets.update().where(rule_sets.c.version == 2).values(body=body))
    assert (await rewards.get("/v1/rules"))["seasons"] == []
    assert await paid(guild, *[guild.act() for _ in range(3)]) == [2, 2, 1]
    draft = {**body, "seasons": [AUTUMN]}
    (change,) = (await rewards.client.post("/v1/rules/diff", json=draft)).json()["items"]
    assert (change["rule_id"], change["text"][:19]) == (None, "seasons of limits: ")


async def test_an_explanation_says_that_it_was_the_seasons_limit_or_that_of_the_days_between(rewards: Rewards) -> None:
    guild = rewards.guild
    await guild.publish(rule("talk", name="Talk", caps=[{"per": "season", "limit": 1}]), seasons=[AUTUMN])
    days = "2026-11-23", "2026-11-25"
    said = {}
    for day, window in zip(days, ("this season", "between seasons"), strict=True):
        first, second = guild.act(at=noon(day)), guild.act(at=noon(day))
        await guild.score(first, second)
        (one,) = (await rewards.get(f"/v1/events/{second.event_id}/decisions"))["items"]
        said[window] = phrase(Decided("Talk", "xp", one["verdict"], one["wanted"], one["amount"], one["reason"]), "en")
    for window, text in said.items():
        assert text == f"rule Talk would have given 1 xp, but it is capped at 1 xp {window}"
