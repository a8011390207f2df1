"""A plan says which badges its postings grant and take, and then they do."""

from typing import Any

import pytest

from tests.rewards.badges.support import badge, define, held
from tests.rewards.guild import Guild, rule
from tests.rewards.ledger.support import check_books
from tests.rewards.plans.support import Plans
from tests.rewards.undoing.support import minute


async def _history(guild: Guild) -> None:
    """Ann wrote four times, Bob twice, Cat once, for five each."""
    await guild.publish(rule(amount=5))
    names = ("ann", "ann", "ann", "ann", "bob", "bob", "cat")
    await guild.score(*(guild.act(by=name, at=minute(n)) for n, name in enumerate(names)))


def _told(plan: Any, guild: Guild) -> dict[str, tuple[int, int, list[tuple[str, bool]]]]:
    names = {str(guild.member(name)): name for name in ("ann", "bob", "cat")}
    return {
        one["badge_id"]: (
            one["granted"],
            one["ended"],
            sorted((names[some["member_id"]], some["granted"]) for some in one["some"]),
        )
        for one in plan.result["badges"]
    }


async def test_badges_for_a_balance_and_a_level_change_as_the_plan_says(guild: Guild, plans: Plans) -> None:
    await define(
        guild,
        badge("rich", what="balance", unit="xp", least=20, kind="auto_revoke"),
        badge("once", what="balance", unit="xp", least=20),
        badge("keen", what="level", least=2),
        badge("busy", least=4),
    )
    await _history(guild)
    assert [await held(guild, "ann", id) is not None for id in ("rich", "once", "busy")] == [True, True, True]
    less = await plans.simulate(rule(amount=4))
    assert _told(less, guild) == {"rich": (0, 1, [("ann", False)])}
    more, over = await plans.recompute(rule(amount=60))
    assert over.state == "done"
    told = _told(more, guild)
    assert told["rich"] == told["once"] == (2, 0, [("bob", True), ("cat", True)])
    assert set(told) == {"rich", "once", "keen"}
    granted = [name for name in ("ann", "bob", "cat") if await held(guild, name, "keen") is not None]
    assert [name for name, _ in told["keen"][2]] == granted
    assert "ann" in granted
    for name in ("ann", "bob", "cat"):
        assert await held(guild, name, "rich") is not None
    again, _ = await plans.recompute(rule(amount=60))
    assert again.result["badges"] == []
    fewer, _ = await plans.recompute(rule(amount=6))
    assert _told(fewer, guild)["rich"] == (0, 2, [("bob", False), ("cat", False)])
    assert [await held(guild, name, "rich") is not None for name in ("ann", "bob", "cat")] == [True, False, False]
    assert await held(guild, "bob", "once") is not None
    await check_books(guild.db)


@pytest.mark.parametrize("amount", [1, 60])
async def test_a_badge_that_is_not_in_force_is_in_no_plan(guild: Guild, plans: Plans, amount: int) -> None:
    await define(guild, badge("rich", what="balance", unit="xp", least=20, kind="auto_revoke", enabled=False))
    await _history(guild)
    plan = await plans.simulate(rule(amount=amount))
    assert plan.result["badges"] == []


async def test_levels_of_both_directions_are_named_however_many_rise(guild: Guild, plans: Plans) -> None:
    await guild.publish(rule(amount=200, on="message.created"))
    await guild.score(guild.act(by="ann", at=minute(0)))
    risers = [f"riser{n:02}" for n in range(14)]
    await guild.score(*(guild.act("reaction.added", by=name, at=minute(n + 1)) for n, name in enumerate(risers)))
    plan = await plans.simulate(rule(amount=200, on="reaction.added"))
    found = plan.result["levels"]
    assert (found["up"], found["down"], len(found["some"])) == (14, 1, 11)
    assert [one["member_id"] for one in found["some"] if one["now"] < one["was"]] == [str(guild.member("ann"))]
