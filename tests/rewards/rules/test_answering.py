"""Commands about points: what there is to say, and that nothing is said about what is over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kit.contracts.events import Activity
from kit.contracts.rewards import CommandAnswered
from services.rewards.domain.checkins import DEFAULT_SERIES
from services.rewards.domain.proofs import Approval, Proof
from services.rewards.handlers import mending, score_and_answer
from tests.rewards.checkins.test_checking_in import change
from tests.rewards.guild import MORNING, Guild, envelope, make_guild, rule
from tests.rewards.ledger.support import announced
from tests.support.databases import MakeDatabase


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


def command(guild: Guild, name: str, **fields: Any) -> Activity:
    data = {"command": name, **fields.pop("data", {})}
    return guild.act("command.invoked", data=data, **fields)


async def answers(guild: Guild, *activities: Activity) -> list[tuple[str, dict[str, Any]]]:
    async with guild.db.begin() as tx:
        await score_and_answer(tx, [envelope(a) for a in activities])
    told = await announced(guild.db, CommandAnswered)
    return [(e.answer, e.facts) for e in told]


async def test_a_check_in_by_chat_is_answered_with_what_it_gave_and_the_second_that_it_was_counted(
    guild: Guild,
) -> None:
    first, second = guild.act("checkin.submitted"), guild.act("checkin.submitted")
    asked = [command(guild, "checkin", data={"counts": one.id}) for one in (first, second)]
    counted, again = await answers(guild, first, asked[0], second, asked[1])
    assert counted[0] == "checkin.counted"
    assert counted[1]["day"] == "2026-11-23"
    assert {grant["unit"] for grant in counted[1]["grants"]} == {"points", "xp"}
    original = {"event_id": str(first.event_id), "at": "2026-11-23T08:00:00+00:00"}
    assert again == ("checkin.again", {"day": "2026-11-23", **original})


async def test_when_the_check_in_that_counts_was_made_is_told_in_the_time_that_its_day_goes_by(
    make_database: MakeDatabase,
) -> None:
    guild = await make_guild(await make_database("rewards"), zone="America/New_York", day_start=240)
    late = {"at": datetime(2026, 11, 24, 7, 30, 59, 5, tzinfo=UTC)}
    first, second = guild.act("checkin.submitted", **late), guild.act("checkin.submitted", **late)
    await guild.score(first)
    [said] = await answers(guild, second, command(guild, "checkin", data={"counts": second.id}, **late))
    assert said == (
        "checkin.again",
        {"day": "2026-11-23", "event_id": str(first.event_id), "at": "2026-11-24T02:30:59-05:00"},
    )


async def test_on_a_day_that_an_operator_set_there_is_no_check_in_to_name(guild: Guild) -> None:
    async with guild.db.begin() as tx:
        await mending.mark(tx, guild.id, "daily", guild.member("ann"), MORNING.date(), "done", "was here", "operator:o")
    await guild.publish()
    second = guild.act("checkin.submitted")
    [said] = await answers(guild, second, command(guild, "checkin", data={"counts": second.id}))
    assert said == ("checkin.again", {"day": "2026-11-23"})


async def test_what_the_group_got_for_a_check_in_is_no_reason_why_the_member_got_nothing(guild: Guild) -> None:
    random = {"min": 1, "max": 9, "effort": {"amount": 4}}
    await guild.publish(rule(on="checkin.submitted", give=[{"to": "group", "unit": "xp", "random": random}]))
    today = guild.act("checkin.submitted")
    [said] = await answers(guild, today, command(guild, "checkin", data={"counts": today.id}))
    assert said == ("checkin.nothing", {"reason": "no rule gives anything for a check-in"})


async def test_days_in_a_row_are_told_with_what_they_gave(guild: Guild) -> None:
    yesterday = guild.act("checkin.submitted", at=MORNING - timedelta(days=1), late=timedelta(days=1))
    today = guild.act("checkin.submitted")
    [said] = await answers(guild, yesterday, today, command(guild, "checkin", data={"counts": today.id}))
    assert (said[0], said[1]["streak"], said[1]["day"]) == ("checkin.streak", 2, "2026-11-23")


async def test_a_second_check_in_of_the_day_is_told_so_where_no_rule_rewards_any(guild: Guild) -> None:
    await guild.publish()
    first, second = guild.act("checkin.submitted"), guild.act("checkin.submitted")
    asked = [command(guild, "checkin", data={"counts": one.id}) for one in (first, second)]
    nothing, again = await answers(guild, first, asked[0], second, asked[1])
    assert (nothing[0], again[0], again[1]["event_id"]) == ("checkin.nothing", "checkin.again", str(first.event_id))


async def test_a_check_in_that_lacks_its_proof_is_told_what_until_one_has_it(guild: Guild) -> None:
    await change(guild, replace(DEFAULT_SERIES, proof=(Proof(kind="media"),)), MORNING.date())
    bare, good = guild.act("checkin.submitted"), guild.act("checkin.submitted", data={"has_media": True})
    asked = [command(guild, "checkin", data={"counts": one.id}) for one in (bare, good)]
    refused, counted = await answers(guild, bare, asked[0], good, asked[1])
    assert refused == ("checkin.refused", {"day": "2026-11-23", "missing": ["media_missing"]})
    assert counted[0] == "checkin.counted"


async def test_a_check_in_that_waits_is_told_so(guild: Guild) -> None:
    await change(guild, replace(DEFAULT_SERIES, approval=Approval(by="peers")), MORNING.date())
    done = guild.act("checkin.submitted")
    [said] = await answers(guild, done, command(guild, "checkin", data={"counts": done.id}))
    assert said == ("checkin.pending", {"day": "2026-11-23"})


async def test_a_check_in_that_no_rule_rewards_says_so(guild: Guild) -> None:
    [said] = await answers(guild, command(guild, "checkin", data={"counts": "none"}))
    assert said == ("checkin.nothing", {"reason": "no rule gives anything for a check-in"})


async def test_points_are_those_of_every_unit_somebody_has_and_none_where_there_are_none(guild: Guild) -> None:
    await guild.score(guild.act())
    mine, theirs = await answers(guild, command(guild, "points"), command(guild, "points", by="bob"))
    assert mine == ("points", {"balances": [{"unit": "points", "amount": 1}, {"unit": "xp", "amount": 1}]})
    assert theirs == ("points", {"balances": [{"unit": "points", "amount": 0}]})


async def test_a_rank_is_that_of_the_week_on_the_board_people_know(guild: Guild) -> None:
    await guild.score(guild.act(), guild.act(), guild.act(by="bob"))
    ann, bob, cat = await answers(guild, *[command(guild, "rank", by=who) for who in ("ann", "bob", "cat")])
    assert ann == (
        "rank", {"board": "Experience", "period": "2026-W48", "rank": 1, "total": 2, "score": 2, "unit": "xp"},
    )  # fmt: skip
    assert (bob[1]["rank"], cat) == (2, ("rank.none", {"board": "Experience"}))


@pytest.mark.parametrize(
    "fields",
    [{"import_name": "old"}, {"flags": ("stale",)}, {"flags": ("late",)}, {"flags": ("throttled",)}, {"by": None}],
)
async def test_what_is_history_or_told_again_or_nobodys_is_not_answered(guild: Guild, fields: dict[str, Any]) -> None:
    assert await answers(guild, command(guild, "points", **fields)) == []


async def test_commands_of_others_are_none_of_ours(guild: Guild) -> None:
    assert await answers(guild, command(guild, "weather"), command(guild, "bind"), command(guild, "stop")) == []
