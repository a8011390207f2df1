"""Rules that pay the chat group in which something happened (R71)."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from kit.contracts.rewards import ActivityScored, LevelReached, PointsAdjusted
from services.rewards.domain.groups import account_name, is_group
from services.rewards.domain.ledger import system_account_id
from services.rewards.handlers import adjusting, reviewing
from services.rewards.handlers.unit_days import add_up_some, economy
from services.rewards.store import groups as store
from services.rewards.tables.boards import board_scores
from services.rewards.tables.ledger import accounts, entries
from services.rewards.tables.lots import lots
from services.rewards.tables.reviews import reviews
from services.rewards.tables.rules import decisions
from tests.rewards.erasing.support import erase, faults, forms, naming
from tests.rewards.guild import MORNING, Guild, make_guild
from tests.rewards.ledger.support import Statements, announced, change_unit, check_books, wish
from tests.rewards.plans.support import plans_of
from tests.rewards.undoing.support import consume, delete, minute, post
from tests.support.databases import MakeDatabase

TO_GROUP: dict[str, Any] = {"to": "group", "unit": "points", "amount": 5}
TALK: dict[str, Any] = {"id": "talk", "on": ["message.created"], "give": [TO_GROUP]}


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    """Five points to the group for each message."""
    guild = await make_guild(await make_database("rewards"))
    await guild.publish(TALK)
    return guild


def account(guild: Guild, group: str = "qq:100") -> UUID:
    return system_account_id(guild.id, account_name(group))


async def has(guild: Guild, group: str = "qq:100", unit: str = "points") -> int:
    return await guild.balance(account(guild, group), unit)


async def named(guild: Guild) -> dict[str, int]:
    """The community's groups and what they have, the highest first."""
    async with guild.db.read() as tx:
        rows = await store.page(tx, guild.id, "points", limit=200, after=None, before=None)
    return {row.name: row.balance for row in rows}


async def told(guild: Guild, group: str = "qq:100") -> int:
    """What the decisions on a group's account say in sum."""
    t = decisions.c
    async with guild.db.read() as tx:
        return int(await tx.scalar(select(func.sum(t.amount)).where(t.member_id == account(guild, group))) or 0)


async def by_hand(guild: Guild, amount: int, group: str = "qq:100", **more: Any) -> None:
    name = account_name(group)
    wanted = wish(system_account_id(guild.id, name), amount, group_account=name, **more)
    async with guild.db.begin() as tx:
        await adjusting.post_one(tx, guild.id, wanted, "operator:o")


async def test_the_group_is_paid_and_nobody_in_it(guild: Guild) -> None:
    first = post(guild)
    await guild.score(first, post(guild, "m2", "bob"), post(guild, "m3", group="qq:200"))
    assert await named(guild) == {"group:qq:100": 10, "group:qq:200": 5}
    assert await guild.verdicts(first) == [("talk", "granted", 5)]
    assert (await guild.has("ann", "points"), await guild.has("bob", "points")) == (0, 0)
    (decided,) = next(e for e in await announced(guild.db, ActivityScored) if e.event_id == first.event_id).decisions
    assert (decided.member_id, decided.group_account) == (None, account(guild))
    await check_books(guild.db)


async def test_amounts_may_be_drawn_computed_and_beside_others(guild: Guild) -> None:
    drawn = {"to": "group", "unit": "points", "random": {"min": 2, "max": 9}}
    computed = {"to": "group", "unit": "contribution", "cel": 'group.id == "100" ? 3 : 4'}
    await guild.publish({**TALK, "give": [drawn, computed, {"to": "actor", "unit": "points", "amount": 1}]})
    await guild.score(post(guild), post(guild, "m2", group="qq:200"))
    assert 2 <= await has(guild) <= 9
    assert (await has(guild, unit="contribution"), await has(guild, "qq:200", "contribution")) == (3, 4)
    assert await guild.has("ann", "points") == 2


async def test_what_happened_in_no_group_pays_none(guild: Guild) -> None:
    alone = post(guild, group=None)
    await guild.score(alone)
    assert await guild.verdicts(alone) == [("talk", "ineligible", 0)]
    assert await named(guild) == {}


async def test_nobody_is_paid_by_naming_a_group_as_a_person(guild: Guild) -> None:
    await guild.publish({**TALK, "give": [{**TO_GROUP, "to": "inviter"}]})
    brought = post(guild, data={"invited_by": f"member:{account(guild)}"})
    await guild.score(brought)
    assert (await guild.verdicts(brought), await named(guild)) == ([("talk", "ineligible", 0)], {})


async def test_a_group_of_the_same_name_elsewhere_is_another(guild: Guild) -> None:
    other = await make_guild(guild.db)
    await other.publish(TALK)
    await guild.score(post(guild), post(other, "m2"), post(other, "m3"))
    assert (await has(guild), await has(other)) == (5, 10)


async def test_no_two_groups_share_an_account_however_long_and_odd_their_names(guild: Guild) -> None:
    hashed = account_name("qq:" + "9" * 290).removeprefix("group:")
    odd = ["qq:" + "9" * n for n in (91, 92, 290)] + ["QQ:1", "qq:1", "qq:#1", "qq: 1", "qq:群", hashed]
    await guild.score(*[post(guild, f"m{n}", group=group) for n, group in enumerate(odd)])
    assert sorted((await named(guild)).values()) == [5] * len(odd)
    assert all(is_group(account(guild, group)) and len(account_name(group)) <= 100 for group in odd)


async def test_a_group_stands_on_no_board_rises_to_no_level_and_is_told_nothing(guild: Guild) -> None:
    await guild.publish({**TALK, "give": [{"to": "group", "unit": "xp", "amount": 5000}], "notify": True})
    await guild.score(post(guild))
    assert await has(guild, unit="xp") == 5000
    async with guild.db.read() as tx:
        assert await tx.all(select(board_scores)) == []
        assert {row.scored for row in await tx.all(select(entries.c.scored))} == {0}
    assert [*await announced(guild.db, LevelReached), *await announced(guild.db, PointsAdjusted)] == []


async def test_bots_and_who_is_put_out_or_left_out_earn_their_group_nothing(guild: Guild) -> None:
    await guild.publish(TALK, excluded_segments=["staff"])
    await guild.know("robot", kind="bot")
    await guild.know("gone", state="banned")
    await guild.know("sam", segments=("staff",))
    some = [post(guild, by, by) for by in ("robot", "gone", "sam")] + [post(guild, data={"bot": True})]
    await guild.score(*some)
    for one in some:
        assert await guild.verdicts(one) == [("talk", "ineligible", 0)]
    assert await named(guild) == {}


async def test_an_event_is_paid_once_however_often_it_comes(guild: Guild) -> None:
    message = post(guild)
    await guild.score(message)
    await guild.score(message)
    await asyncio.gather(*(consume(guild, message) for _ in range(3)))
    assert (await has(guild), await told(guild)) == (5, 5)


@pytest.mark.parametrize("order", ["before", "together", "after"])
async def test_what_is_undone_leaves_the_group_nothing_whenever_that_comes(guild: Guild, order: str) -> None:
    message, gone = post(guild), delete(guild, at=minute(1))
    batches = {"before": ([gone], [message]), "together": ([message, gone],), "after": ([message], [gone])}
    for batch in batches[order]:
        await guild.score(*batch)
    await guild.score(delete(guild, at=minute(2), group="qq:200"), post(guild, "m2"))
    assert (await has(guild), await told(guild)) == (5, 5)
    assert await announced(guild.db, PointsAdjusted) == []
    await check_books(guild.db)


async def test_caps_count_each_group_by_itself_and_pairs_each_actor_in_it(guild: Guild) -> None:
    caps = [{"per": "day", "limit": 12}, {"scope": "pair", "per": "day", "of": "grants", "limit": 2}]
    await guild.publish({**TALK, "caps": caps})
    some = [post(guild, f"a{n}") for n in range(3)]
    await guild.score(*some, post(guild, "b", "bob"), post(guild, "c", group="qq:200"))
    assert (await has(guild), await has(guild, "qq:200")) == (12, 5)
    assert await guild.verdicts(some[2]) == [("talk", "capped", 0)], "ann has had her two"


async def test_budgets_of_everybody_count_groups_and_cooldowns_each(guild: Guild) -> None:
    await guild.publish({**TALK, "cooldown_seconds": 60, "caps": [{"scope": "community", "limit": 12}]})
    some = [post(guild, f"m{n}", group=f"qq:{group}") for n, group in enumerate((1, 1, 2, 3))]
    await guild.score(*some)
    assert [(await guild.verdicts(one))[0][1:] for one in some] == [
        ("granted", 5), ("cooldown", 0), ("granted", 5), ("capped", 2)
    ]  # fmt: skip


async def test_a_place_that_becomes_free_goes_to_the_group_that_waited(guild: Guild) -> None:
    cap = {"scope": "community", "per": "day", "of": "grants", "limit": 1, "refill": True}
    await guild.publish({**TALK, "caps": [cap]})
    await guild.score(post(guild), post(guild, "m2", group="qq:200"))
    assert (await has(guild), await has(guild, "qq:200")) == (5, 0)
    await guild.score(delete(guild, at=minute(1)))
    assert (await has(guild), await has(guild, "qq:200")) == (0, 5)
    await check_books(guild.db)


@pytest.mark.parametrize("undone", [False, True])
async def test_what_waits_for_review_is_the_group_s_when_it_is_approved(guild: Guild, undone: bool) -> None:
    await guild.publish({**TALK, "review_when": "true"})
    message = post(guild)
    await guild.score(message)
    assert await guild.verdicts(message) == [("talk", "pending", 0)]
    if undone:
        await guild.score(delete(guild, at=minute(1)))
    async with guild.db.begin() as tx:
        (one,) = await tx.all(select(reviews))
        await reviewing.decide(tx, guild.id, [one.id], "approve", reason="fine", actor="operator:o")
    assert (await has(guild), await told(guild)) == ((0, 0) if undone else (5, 5))
    await guild.score(delete(guild, at=minute(2)))
    assert await has(guild) == 0
    await check_books(guild.db)


async def test_a_unit_that_refuses_takes_nothing_from_a_group_that_spent_it(guild: Guild) -> None:
    await change_unit(guild, clawback="refuse")
    await guild.score(post(guild), post(guild, "m2", "bob"))
    await by_hand(guild, -7, kind="spend")
    one, other = delete(guild, at=minute(1)), delete(guild, "m2", at=minute(1))
    await guild.score(one)
    assert (await guild.verdicts(one), await has(guild)) == ([("talk", "refused", 0)], 3)
    await by_hand(guild, 2)
    await guild.score(other)
    assert (await guild.verdicts(other), await has(guild)) == ([("talk", "undone", -5)], 0)
    await check_books(guild.db)


async def test_a_group_owes_nobody_and_falls_below_zero_instead(guild: Guild) -> None:
    await change_unit(guild, clawback="to_zero_and_record_debt")
    await guild.score(post(guild))
    await by_hand(guild, -5, kind="spend")
    await guild.score(delete(guild, at=minute(1)))
    assert await has(guild) == -5
    async with guild.db.read() as tx:
        assert {row.debt for row in await tx.all(select(accounts.c.debt))} == {0}
    await check_books(guild.db)


async def test_what_a_group_has_never_expires(guild: Guild) -> None:
    await change_unit(guild, expires_after_days=1)
    await guild.publish({**TALK, "give": [TO_GROUP, {**TO_GROUP, "to": "actor"}]})
    await guild.score(post(guild), post(guild, "m2"))
    await guild.score(delete(guild, at=minute(1)))
    async with guild.db.read() as tx:
        assert {row.owner_id for row in await tx.all(select(lots))} == {guild.member("ann")}
    assert (await has(guild), await guild.has("ann", "points")) == (5, 5)
    assert await faults(guild) == []


async def test_a_recompute_posts_the_difference_and_a_second_one_nothing(guild: Guild, tmp_path: Path) -> None:
    await guild.score(post(guild), post(guild, "m2"), post(guild, "m3", group="qq:200"), post(guild, "m4"))
    await guild.score(delete(guild, "m4", at=minute(3)))
    seven = {**TALK, "give": [{**TO_GROUP, "amount": 7}]}
    plans = plans_of(guild, tmp_path)
    plan, done = await plans.recompute(seven)
    assert (await named(guild), done.posted["entries"]) == ({"group:qq:100": 14, "group:qq:200": 7}, 3)
    assert (plan.result["members_affected"], plan.result["units"][0]["winners"]) == (0, [])
    assert (await told(guild), await told(guild, "qq:200")) == (14, 7)
    _, again = await plans.recompute(seven)
    assert again.posted["entries"] == 0
    await guild.score(delete(guild, at=minute(9)))
    assert await has(guild) == 7, "what the recompute gave goes with the message too"
    assert await faults(guild) == []


async def test_a_recompute_pays_groups_that_no_rule_paid_before_and_takes_from_those_none_pays_now(
    guild: Guild, tmp_path: Path
) -> None:
    await guild.publish()
    await guild.score(*[post(guild, f"m{n}", group=f"qq:{n}") for n in (1, 2, 3)])
    plans = plans_of(guild, tmp_path)
    cap = {"scope": "community", "per": "day", "of": "grants", "limit": 2, "refill": True}
    await plans.recompute({**TALK, "caps": [cap]})
    assert await named(guild) == {"group:qq:1": 5, "group:qq:2": 5, "group:qq:3": 0}, "3 waits"
    await guild.score(delete(guild, "m1", at=minute(5), group="qq:1"))
    assert await named(guild) == {"group:qq:2": 5, "group:qq:3": 5, "group:qq:1": 0}
    await plans.recompute({**TALK, "give": [{**TO_GROUP, "to": "actor"}]})
    assert (set((await named(guild)).values()), await guild.has("ann", "points")) == ({0}, 10)
    await check_books(guild.db)


async def test_a_backfill_leaves_what_a_group_has_and_counts_it_under_limits(guild: Guild, tmp_path: Path) -> None:
    await guild.score(post(guild), post(guild, "m2"))
    more = {**TALK, "on": ["message.created", "file.uploaded"], "caps": [{"per": "day", "limit": 12}]}
    await guild.score(guild.act("file.uploaded"), guild.act("file.uploaded"))
    _, done = await plans_of(guild, tmp_path).recompute(more, mode="backfill")
    assert (done.state, await has(guild)) == ("done", 12)


async def test_what_somebody_earned_their_group_stays_when_they_are_erased_and_names_them_nowhere(
    guild: Guild, tmp_path: Path
) -> None:
    message = post(guild)
    await guild.score(message, post(guild, "m2", "bob"))
    await erase(guild, "ann")
    assert await has(guild) == 10
    assert await naming(guild.db, "qq:ann", *forms([guild.member("ann")])) == []
    late = post(guild, "m3", at=minute(1))
    await guild.score(late)
    assert (await guild.verdicts(late), await has(guild)) == ([("talk", "ineligible", 0)], 10)
    _, done = await plans_of(guild, tmp_path).recompute(TALK)
    assert (done.posted["entries"], await has(guild)) == (0, 10)
    await guild.score(delete(guild, at=minute(2)))
    assert (await has(guild), await faults(guild)) == (5, [])


async def test_the_days_of_a_unit_add_up_with_all_groups_in_one_line(guild: Guild) -> None:
    give = [TO_GROUP, {**TO_GROUP, "to": "actor", "amount": 2}]
    await guild.publish({**TALK, "give": give})
    await guild.score(*[post(guild, f"m{n}", group=f"qq:{n}") for n in range(3)])
    assert await faults(guild) == []
    await add_up_some(guild.db)
    async with guild.db.read() as tx:
        (day,) = (await economy(tx, guild.id, "points", MORNING.date(), MORNING.date())).days
    assert (day.issued, day.balances) == (21, 6)


async def test_a_batch_of_many_groups_costs_as_many_statements_as_of_one_and_one_more_than_members(
    guild: Guild,
) -> None:
    async def count(first: int, many: int) -> int:
        some = [post(guild, f"m{first + n}", group=f"qq:{first + n}") for n in range(many)]
        with Statements(guild.db) as statements:
            await guild.score(*some)
        return len(statements.texts)

    await guild.score(post(guild))
    one = await count(1000, 1)
    assert await count(2000, 40) == one
    await guild.publish({**TALK, "give": [{**TO_GROUP, "to": "actor"}]})
    await guild.score(post(guild))
    assert await count(3000, 1) == one - 1


async def test_writers_to_the_same_new_groups_wait_for_each_other_and_all_end(guild: Guild) -> None:
    await change_unit(guild, clawback="refuse")
    give = [TO_GROUP, {**TO_GROUP, "to": "actor", "amount": 1}]
    await guild.publish({**TALK, "give": give, "review_when": 'event.subject.startsWith("r")'})
    batches = []
    for writer in range(8):
        some = [post(guild, f"{'r' if n % 3 == 0 else 'm'}{writer}/{n}", f"p{n}", group=f"qq:{n}") for n in range(9)]
        batches += [some[writer:] + some[:writer], [delete(guild, f"m{writer}/{n}", group=f"qq:{n}") for n in (1, 2)]]
    work = [consume(guild, *batch) for batch in batches]
    # Which holds the unit's accounts meanwhile.
    work.insert(5, change_unit(guild, expires_after_days=9))
    await asyncio.wait_for(asyncio.gather(*work), 60)
    names = await named(guild)
    assert {names[f"group:qq:{n}"] for n in (0, 3, 6)} == {0}
    assert {names[f"group:qq:{n}"] for n in (4, 5, 7, 8)} == {40}
    assert {names[f"group:qq:{n}"] for n in (1, 2)} == {0}
    await check_books(guild.db)
