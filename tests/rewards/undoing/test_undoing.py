"""Inverse events take back exactly what the events they are about paid, whichever comes first."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from kit.contracts.rewards import ActivityScored, PointsAdjusted
from services.rewards.domain.ledger import RECORD_DEBT, REFUSE, Unit
from services.rewards.handlers import earning, units
from services.rewards.handlers.adjusting import post_one, reverse
from services.rewards.store import entries as reading
from services.rewards.tables.ledger import entries, transactions
from tests.rewards.boards.support import page
from tests.rewards.guild import MORNING, Guild, envelope, make_guild, rule
from tests.rewards.ledger.support import Statements, announced, change_unit, check_books, wish
from tests.rewards.undoing.support import LIKED, POST, delete, explained, minute, post, react, unreact
from tests.support.databases import MakeDatabase


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    """Three for a post, two for a heart."""
    guild = await make_guild(await make_database("rewards"))
    await guild.publish(POST, LIKED)
    return guild


async def test_a_recalled_post_leaves_nothing_and_says_why(guild: Guild) -> None:
    written, recalled = post(guild), delete(guild, by="ann", type="message.recalled", at=minute(5))
    await guild.score(written)
    await guild.score(recalled)
    assert await guild.has("ann") == 0
    assert await guild.verdicts(written) == [("post", "granted", 3)]
    assert await guild.verdicts(recalled) == [("post", "undone", -3)]
    async with guild.db.read() as tx:
        rows = await tx.all(select(transactions).where(transactions.c.kind == "reversal"))
        (line,) = await tx.all(select(entries).where(entries.c.transaction_id == rows[0].id, entries.c.line == 0))
    assert [(r.rule_id, r.source_event_id, r.reason) for r in rows] == [
        ("post", written.event_id, "Taken back because the message was recalled")
    ]
    assert (line.amount, line.effective_at) == (-3, written.effective_at)
    await check_books(guild.db)


async def test_what_is_undone_is_announced_like_a_reversal_by_hand_and_on_the_inverse_event(guild: Guild) -> None:
    written, gone = post(guild), delete(guild)
    await guild.score(written)
    await guild.score(gone)
    (event,) = await announced(guild.db, PointsAdjusted)
    assert (event.member_id, event.amount, event.cause_id, event.undone_by, event.notify) == (
        guild.member("ann"), -3, written.event_id, gone.event_id, False,
    )  # fmt: skip
    scored = (await announced(guild.db, ActivityScored))[-1]
    assert (scored.event_id, scored.event_type, scored.actor_id) == (
        gone.event_id, "message.deleted", guild.member("mod"),
    )  # fmt: skip
    (decision,) = scored.decisions
    assert (decision.verdict, decision.amount, decision.reason) == ("undone", -3, "message.deleted")
    assert decision.transaction_id == event.transaction_id


async def test_who_was_told_of_the_grant_is_told_of_its_end_unless_it_is_history(guild: Guild) -> None:
    await guild.publish({**POST, "notify": True})
    await guild.score(post(guild, "m1"), post(guild, "m2"))
    await guild.score(delete(guild, "m1"), delete(guild, "m2", import_name="old"))
    assert [event.notify for event in await announced(guild.db, PointsAdjusted)] == [True, False]


async def test_with_a_post_go_the_reactions_to_it(guild: Guild) -> None:
    await guild.score(post(guild), react(guild, by="bob"), react(guild, by="cy", kind="star"), react(guild, "m2"))
    assert await guild.has("ann") == 3 + 2 + 2 + 2
    gone = delete(guild, at=minute(1))
    await guild.score(gone)
    assert await guild.has("ann") == 2
    assert await guild.verdicts(gone) == [("liked", "undone", -4), ("post", "undone", -3)]
    await guild.score(unreact(guild, at=minute(2)), delete(guild, type="message.recalled", at=minute(3)))
    assert await guild.has("ann") == 2
    await check_books(guild.db)


async def test_an_inverse_event_takes_nothing_of_another_thing_person_kind_group_source_or_community(
    guild: Guild,
) -> None:
    await guild.score(post(guild), react(guild), post(guild, "n1", by="cy", group=None))
    other = await make_guild(guild.db)
    await guild.score(
        delete(guild, "m2"),
        delete(guild, group="qq:200"),
        delete(guild, group=None),
        delete(guild, "n1", group=None, source="/elsewhere"),
        unreact(guild, by="cy"),
        unreact(guild, kind="star"),
        unreact(guild, group="qq:200"),
        guild.act("reaction.removed", None, subject="m1", data={"kind": "heart"}),
        guild.act("message.deleted", "mod"),
        guild.act("checkin.voided", subject="m1"),
    )
    await other.score(delete(other), unreact(other))
    assert (await guild.has("ann"), await guild.has("cy")) == (5, 3)


async def test_what_has_no_subject_is_named_by_its_id(guild: Guild) -> None:
    await guild.publish(rule("day", "checkin.submitted", 10))
    one, two = guild.act("checkin.submitted", "ann"), guild.act("checkin.submitted", "ann", minute(1))
    await guild.score(one, two)
    voided = guild.act("checkin.voided", "boss", minute(2), subject=one.id, of="ann")
    not_hers = guild.act("checkin.voided", "boss", minute(2), subject=two.id, of="bob")
    await guild.score(voided, not_hers)
    assert await guild.has("ann") == 10
    assert await guild.verdicts(voided) == [("day", "undone", -10)]
    assert await guild.verdicts(not_hers) == []


async def test_a_refund_undoes_the_payment(guild: Guild) -> None:
    await guild.publish(rule("buy", "order.paid", 7))
    await guild.score(guild.act("order.paid", group=None, subject="o1"))
    await guild.score(guild.act("order.refunded", "shop", minute(1), group=None, subject="o1"))
    assert await guild.has("ann") == 0


async def test_react_unreact_react_leaves_one(guild: Guild) -> None:
    for act in (react(guild), unreact(guild, at=minute(1)), react(guild, at=minute(2))):
        await guild.score(act)
        await guild.score(act)
    assert await guild.has("ann") == 2
    await check_books(guild.db)


async def test_the_same_in_one_batch_posts_one_grant_and_no_reversal(guild: Guild) -> None:
    first, last = react(guild), react(guild, at=minute(2))
    await guild.score(first, unreact(guild, at=minute(1)), last)
    assert await guild.verdicts(first) == [("liked", "undone", 0)]
    assert await guild.verdicts(last) == [("liked", "granted", 2)]
    async with guild.db.read() as tx:
        assert len(await tx.all(select(transactions))) == 1


async def test_an_inverse_event_that_comes_first_lets_its_event_pay_nothing(guild: Guild) -> None:
    await guild.score(delete(guild, at=minute(3)), unreact(guild, "m9", at=minute(3)))
    written, liked = post(guild), react(guild, "m9", at=minute(2))
    await guild.score(written, liked)
    assert await guild.verdicts(written) == [("post", "undone", 0)]
    assert await guild.verdicts(liked) == [("liked", "undone", 0)]
    assert await guild.has("ann") == 0


async def test_of_two_at_the_same_moment_the_later_to_arrive_decides(guild: Guild) -> None:
    await guild.score(unreact(guild), react(guild))
    assert await guild.has("ann") == 2
    await guild.score(unreact(guild))
    assert await guild.has("ann") == 0
    await guild.score(react(guild))
    assert await guild.has("ann") == 2


async def test_a_deletion_told_before_the_post_by_a_clock_that_is_behind_counts(guild: Guild) -> None:
    await guild.score(post(guild, at=minute(1)))
    await guild.score(delete(guild, at=minute(0)))
    assert await guild.has("ann") == 0


async def test_an_inverse_event_that_is_told_again_takes_nothing_again(guild: Guild) -> None:
    removed = unreact(guild, at=minute(1))
    await guild.score(react(guild), react(guild, "m2"))
    await guild.score(removed)
    later = react(guild, at=minute(1))
    await guild.score(later)
    # A replay: the same event, past the inbox. Arriving again makes it no later than what came in between.
    await guild.score(replace(removed, replay_id=str(uuid4())))
    assert await guild.has("ann") == 4
    await check_books(guild.db)


async def test_a_fine_goes_with_what_it_was_for(guild: Guild) -> None:
    await guild.publish(rule("shout", amount=-4))
    await guild.score(post(guild))
    assert await guild.has("ann") == -4
    await guild.score(delete(guild))
    assert await guild.has("ann") == 0
    await check_books(guild.db)


async def test_a_rule_may_say_what_undoes_it(guild: Guild) -> None:
    await guild.publish(
        {**POST, "undone_by": []},
        {**LIKED, "undone_by": ["reaction.removed"]},
        rule("task", "task.done", 5, undone_by=["task.reopened"]),
    )
    done = guild.act("task.done", "ann", subject="t1")
    await guild.score(post(guild), react(guild), done)
    await guild.score(delete(guild, at=minute(1)))
    assert await guild.has("ann") == 3 + 2 + 5
    await guild.score(unreact(guild, at=minute(1)), guild.act("task.reopened", "boss", minute(1), subject="t1"))
    assert await guild.has("ann") == 3
    again = guild.act("task.done", "ann", minute(2), subject="t1")
    await guild.score(again)
    assert await guild.has("ann") == 8


@pytest.mark.parametrize(("seconds", "left"), [(599, 0), (600, 3)])
@pytest.mark.parametrize("first", [True, False])
async def test_what_is_deleted_within_the_least_lifetime_leaves_nothing_though_the_rule_is_never_undone_later(
    guild: Guild, seconds: int, left: int, first: bool
) -> None:
    await guild.publish({**POST, "undone_by": [], "min_content_lifetime_seconds": 600})
    acts = [post(guild), delete(guild, at=MORNING + timedelta(seconds=seconds))]
    for act in acts if first else reversed(acts):
        await guild.score(act)
    assert await guild.has("ann") == left


async def test_a_limit_is_the_same_whenever_the_inverse_event_comes(guild: Guild) -> None:
    await guild.publish({**POST, "caps": [{"limit": 6}]})
    for name, order in (("ann", (0, 1, 2, 3)), ("bob", (3, 0, 1, 2)), ("cy", (0, 3, 1, 2))):
        acts = [post(guild, f"{name}{n}", by=name) for n in range(3)] + [delete(guild, f"{name}0", at=minute(1))]
        for number in order:
            await guild.score(acts[number])
        assert await guild.has(name) == 3, name


async def test_what_was_reversed_by_hand_in_part_gives_back_the_rest(guild: Guild) -> None:
    written = post(guild)
    await guild.score(written)
    async with guild.db.begin() as tx:
        (row,) = await tx.all(select(transactions.c.id))
        await reverse(tx, guild.id, row.id, amount=1, reason="because", actor="operator:o")
    await guild.score(delete(guild))
    assert await guild.has("ann") == 0
    await check_books(guild.db)


async def test_what_was_reversed_by_hand_in_full_is_not_taken_again(guild: Guild) -> None:
    await guild.score(post(guild))
    async with guild.db.begin() as tx:
        (row,) = await tx.all(select(transactions.c.id))
        await reverse(tx, guild.id, row.id, amount=None, reason="because", actor="operator:o")
    gone = delete(guild)
    await guild.score(gone)
    assert await guild.has("ann") == 0
    assert await guild.verdicts(gone) == []


async def test_a_board_of_the_day_of_the_post_loses_it_and_level_and_balance_follow(guild: Guild) -> None:
    yesterday = MORNING - timedelta(days=1)
    await guild.score(post(guild, at=yesterday), post(guild, "m2"))
    await guild.score(delete(guild, at=minute(1)))
    for key, scores in (("2026-11-22", []), ("2026-11-23", [3])):
        lines = await page(guild, "xp", "day", key)
        assert [line.score for line in lines.items] == scores
    assert [line.score for line in (await page(guild, "xp", "all")).items] == [3]


async def test_points_that_were_spent_are_owed(guild: Guild) -> None:
    await guild.publish({**POST, "give": [{"to": "actor", "unit": "points", "amount": 3}]})
    await guild.score(post(guild))
    async with guild.db.begin() as tx:
        await post_one(tx, guild.id, wish(guild.member("ann"), -2, kind="spend", computed=True), "operator:o")
    await guild.score(delete(guild))
    assert await guild.has("ann", "points") == -2


async def test_a_unit_that_records_debts_takes_what_there_is_and_new_grants_pay_off_the_rest(guild: Guild) -> None:
    await guild.publish({**POST, "give": [{"to": "actor", "unit": "points", "amount": 3}]})
    async with guild.db.begin() as tx:
        await units.put(tx, guild.id, Unit("points", "Points", spendable=True, clawback=RECORD_DEBT, version=2))
    await guild.score(post(guild), post(guild, "m2"), post(guild, "m3"))
    async with guild.db.begin() as tx:
        await post_one(tx, guild.id, wish(guild.member("ann"), -8, kind="spend", computed=True), "operator:o")
    gone = [delete(guild, "m1"), delete(guild, "m2")]
    # New points of the batch come first: of the six that are taken back, four are there then.
    await guild.score(*gone, post(guild, "m4"))
    async with guild.db.read() as tx:
        rows = await reading.accounts_of(tx, guild.id, guild.member("ann"))
    assert [(r.unit, r.balance, r.debt) for r in rows] == [("points", 0, 2)]
    assert [await guild.verdicts(one) for one in gone] == [[("post", "undone", -3)]] * 2
    await guild.score(post(guild, "m5"))
    assert await guild.has("ann", "points") == 1
    assert await explained(guild, "ann", "points") == 9
    await check_books(guild.db)


async def test_a_unit_that_refuses_keeps_what_was_spent_and_the_decision_says_so(guild: Guild) -> None:
    await change_unit(guild, "points", clawback=REFUSE)
    await guild.publish({**POST, "give": [{"to": "actor", "unit": "points", "amount": 3}]})
    await guild.score(post(guild), post(guild, "m2"))
    async with guild.db.begin() as tx:
        await post_one(
            tx, guild.id, wish(guild.member("ann"), -2, kind="spend", unit="points", computed=True), "operator:o"
        )
    kept, taken = delete(guild), delete(guild, "m2")
    await guild.score(taken)
    await guild.score(kept)
    assert await guild.has("ann", "points") == 1
    assert await guild.verdicts(taken) == [("post", "undone", -3)]
    assert await guild.verdicts(kept) == [("post", "refused", 0)]
    assert len(await announced(guild.db, PointsAdjusted)) == 2
    await check_books(guild.db)


async def test_a_rule_that_pays_for_an_inverse_event_has_its_decision_beside(guild: Guild) -> None:
    await guild.publish({**POST, "undone_by": ["chat.tidied"]}, rule("tidy", "chat.tidied", 1))
    tidied = guild.act("chat.tidied", "ann", minute(1), subject="m1")
    await guild.score(post(guild))
    await guild.score(tidied)
    assert await guild.verdicts(tidied) == [("post", "undone", -3), ("tidy", "granted", 1)]
    assert await guild.has("ann") == await explained(guild, "ann") == 1


async def test_a_batch_of_inverse_events_costs_a_fixed_number_of_statements(guild: Guild) -> None:
    counts = []
    # Who comes first in a week is looked at besides: here somebody is first for good.
    await guild.give(guild.grant(guild.member("max"), 10_000, MORNING, unit="xp"))
    # The first time it is noted besides in which group people are.
    for many in (1, 2, 60):
        made = [post(guild, f"{many}/{n}", by=f"p{n % 9}") for n in range(many)]
        made += [react(guild, f"{many}/{n}", of=f"p{n % 9}", by="fan") for n in range(many)]
        await guild.score(*made)
        undo: list[Any] = [delete(guild, f"{many}/{n}", at=minute(1)) for n in range(many)]
        undo += [unreact(guild, f"{many}/{n}", by="fan", at=minute(1)) for n in range(many)]
        with Statements(guild.db) as statements:
            async with guild.db.begin() as tx:
                await earning.score(tx, [envelope(a, a.event_id) for a in undo])
        counts.append(len(statements.texts))
    assert counts[1] == counts[2] <= 45
    assert await guild.has("p0") == 0
    await check_books(guild.db)


async def test_what_two_versions_of_a_rule_gave_is_undone_by_one_event_with_one_decision(guild: Guild) -> None:
    await guild.score(post(guild), react(guild, by="bob"))
    await guild.publish(POST, {**LIKED, "name": "Liked"})
    await guild.score(react(guild, by="cy"))
    gone = delete(guild, at=minute(5))
    await guild.score(gone)
    assert await guild.has("ann") == 0
    assert sorted(await guild.verdicts(gone)) == [("liked", "undone", -4), ("post", "undone", -3)]
