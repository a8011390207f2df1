"""Signals in `review_when`: what they looked at is kept for who looks at the grant."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.rewards.tables.reviews import reviews
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.serving import Rewards
from tests.support.databases import MakeDatabase

FAST = {"review_when": "signals.minute > 2 || text.distinct < counts.ever"}


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


async def grounds(guild: Guild) -> list[Any]:
    async with guild.db.read() as tx:
        rows = await tx.all(select(reviews).where(reviews.c.community_id == guild.id).order_by(reviews.c.at))
    return [row.grounds for row in rows]


async def test_the_numbers_that_a_review_is_for_are_those_of_then(guild: Guild) -> None:
    await guild.publish(rule(**FAST))
    await guild.score(*[guild.act(at=MORNING + timedelta(seconds=n), data={"distinct": 9}) for n in range(4)])
    assert await grounds(guild) == [{"counts.ever": n, "signals.minute": n, "text.distinct": 9} for n in (3, 4)], (
        "the first two are fine"
    )


async def test_what_waits_for_a_place_keeps_them_until_it_is_under_review(guild: Guild) -> None:
    cap = {"per": "day", "limit": 1, "of": "grants", "refill": True}
    await guild.publish(rule(caps=[cap], review_when="counts.day >= 1"))
    first, second = (guild.act(subject=f"m{n}", at=MORNING + timedelta(minutes=n)) for n in (1, 2))
    await guild.score(first, second)
    await guild.score(guild.act("message.recalled", subject="m1", at=MORNING + timedelta(minutes=3)))
    assert await grounds(guild) == [{"counts.day": 1}, {"counts.day": 2}]


async def test_the_queue_shows_them(rewards: Rewards) -> None:
    await rewards.guild.publish(rule(**FAST), rule("plain", review_when="true"))
    await rewards.guild.score(rewards.guild.act())
    shown = {one["rule_id"]: one["grounds"] for one in (await rewards.get("/v1/reviews"))["items"]}
    assert shown == {"plain": {}, "talk": {"counts.ever": 1, "signals.minute": 1, "text.distinct": 0}}


async def test_the_schema_for_editors_names_what_expressions_may_look_at(rewards: Rewards) -> None:
    fields = (await rewards.get("/v1/rules/schema"))["$defs"]["Rule"]["properties"]
    for name in ("when", "review_when"):
        assert "signals.ring, signals.share" in fields[name]["description"]


async def test_an_expression_that_compares_a_signal_with_a_text_is_refused(rewards: Rewards) -> None:
    body = {"rules": [rule(when="signals.ring == 'much'"), rule("b", when="signals.rings > 2")]}
    reply = (await rewards.client.post("/v1/rules/check", json=body)).json()
    assert [one["pointer"] for one in reply["errors"]] == ["/rules/0/when", "/rules/1/when"]
    assert "did you mean signals.ring?" in reply["errors"][1]["message"]
