"""Many writers at once: a cap is never passed, an event never paid twice, and nobody waits in a circle."""

import asyncio
import random
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from kit import inbox
from kit.contracts.events import Activity
from services.rewards.handlers import badges, checkins, earning
from services.rewards.handlers import rules as rule_sets
from services.rewards.tables.ledger import transactions
from tests.rewards.guild import MORNING, Guild, envelope, make_guild, rule
from tests.rewards.ledger.support import check_books
from tests.support.databases import MakeDatabase


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


SCOPES = ["member", "object", "actor_object", "pair", "community"]
WINDOWS = [
    {"per": "day"},
    {"per": "week"},
    {"per": "month"},
    {"per": "season"},
    {"per": "lifetime"},
    {"per": "rolling", "seconds": 3600},
]


@pytest.mark.parametrize("together", [False, True], ids=["fifty writers", "one batch"])
@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: str(window["per"]))
@pytest.mark.parametrize("scope", SCOPES)
async def test_fifty_at_one_below_the_cap_get_exactly_one_grant(
    guild: Guild, scope: str, window: dict[str, object], together: bool
) -> None:
    cap = {"scope": scope, "limit": 10, "of": "grants" if together else "amount", **window}
    liked = {**rule(on="reaction.added", caps=[cap]), "give": [{"to": "subject_author", "unit": "xp", "amount": 1}]}
    season = {"key": "2026-s4", "first_day": "2026-10-01", "last_day": "2026-12-31"}
    await guild.publish(liked, seasons=[season])
    some = [guild.act("reaction.added", "bob", of="ann", subject="m1") for _ in range(59)]
    await guild.score(*some[:9])
    if together:
        await guild.score(*some[9:])
    else:
        await asyncio.gather(*(guild.score(one) for one in some[9:]))
    verdicts = [(await guild.verdicts(one))[0][1] for one in some[9:]]
    left_out = "budget_exhausted" if scope == "community" else "capped"
    assert sorted(verdicts) == sorted(["granted"] + [left_out] * 49)
    assert await guild.has("ann") == 10
    await check_books(guild.db)


async def test_fifty_writers_of_different_rules_share_what_a_unit_may_give_a_member(guild: Guild) -> None:
    kinds = ["message.created", "file.uploaded"]
    await guild.publish(
        *[rule(kind.partition(".")[0], kind, 3) for kind in kinds],
        unit_caps=[{"unit": "xp", "per": "day", "limit": 10}],
    )
    some = [guild.act(kinds[n % 2]) for n in range(50)]
    await asyncio.gather(*(guild.score(one) for one in some))
    assert await guild.has("ann") == 10
    given = sorted([(await guild.verdicts(one))[0][2] for one in some])
    assert (given[-4:], sum(given)) == ([1, 3, 3, 3], 10)
    await check_books(guild.db)


async def test_fifty_writers_under_a_unit_cap_that_skips_are_paid_whole_or_not_at_all(guild: Guild) -> None:
    cap = {"unit": "xp", "scope": "community", "limit": 10, "on_exceed": "skip"}
    await guild.publish(rule(amount=3), unit_caps=[cap])
    some = [guild.act(by=f"m{n}") for n in range(50)]
    await asyncio.gather(*(guild.score(one) for one in some))
    given = sorted([(await guild.verdicts(one))[0][2] for one in some])
    assert given == [0] * 47 + [3] * 3
    await check_books(guild.db)


async def test_fifty_writers_under_a_cooldown_get_exactly_one_grant(guild: Guild) -> None:
    await guild.publish(rule(cooldown_seconds=60))
    some = [guild.act(at=MORNING + timedelta(seconds=n)) for n in range(50)]
    await asyncio.gather(*(guild.score(one) for one in some))
    assert await guild.has("ann") == 1


async def consume(guild: Guild, *some: Activity) -> None:
    """A batch as the consumer takes it: what the inbox knows is dropped."""
    async with guild.db.begin() as tx:
        fresh = await inbox.keep_new(tx, [envelope(a, a.event_id) for a in some])
        if fresh:
            await earning.score(tx, fresh)


async def test_the_same_event_from_fifty_writers_is_paid_once(guild: Guild) -> None:
    message = guild.act()
    await asyncio.gather(*(consume(guild, message) for _ in range(50)))
    assert await guild.has("ann") == 1
    async with guild.db.read() as tx:
        assert await tx.scalar(select(func.count()).select_from(transactions)) == 2


async def test_batches_that_overlap_in_members_and_caps_wait_for_each_other_and_all_end(guild: Guild) -> None:
    caps = [{"limit": 40}, {"scope": "community", "limit": 300}, {"per": "rolling", "seconds": 600, "limit": 30}]
    await guild.publish(rule(caps=caps), rule("other", caps=caps[:1], cooldown_seconds=1))
    dice = random.Random(7)
    names = [f"m{n}" for n in range(12)]
    batches = [[guild.act(by=dice.choice(names), at=MORNING + timedelta(seconds=dice.randrange(900)))
                for _ in range(20)] for _ in range(24)]  # fmt: skip
    await asyncio.wait_for(asyncio.gather(*(consume(guild, *batch) for batch in batches)), 60)
    await check_books(guild.db)
    balances = [await guild.has(name) for name in names]
    granted = [v for batch in batches for a in batch for v in await guild.verdicts(a)]
    assert sum(balances) == sum(amount for _, _, amount in granted)
    assert sum(amount for id, _, amount in granted if id == "talk") <= 300
    assert all(balance <= 80 for balance in balances)


async def test_many_communities_at_once_need_not_all_be_remembered(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (rule_sets, checkins, badges):
        monkeypatch.setattr(module, "MOST_REMEMBERED", 0)
    db = await make_database("rewards")
    guilds = [await make_guild(db) for _ in range(8)]
    for _ in range(3):
        await asyncio.gather(*(one.score(one.act("checkin.submitted", at=MORNING)) for one in guilds))
    assert [await one.has("ann") > 0 for one in guilds] == [True] * 8
