"""Activity into points, over a database: who gets what, what is kept of it, what is announced."""

from datetime import timedelta
from uuid import uuid4

import pytest

from kit.consumer import NotYet
from kit.contracts.rewards import ActivityScored
from services.rewards.handlers import earning
from services.rewards.store import decisions, entries
from tests.rewards.guild import MORNING, Guild, envelope, make_guild, rule
from tests.rewards.ledger.support import Statements, announced, check_books
from tests.support.databases import MakeDatabase


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    return await make_guild(await make_database("rewards"))


async def test_a_message_gives_points_and_xp_and_names_the_rule_its_version_and_the_event(guild: Guild) -> None:
    message = guild.act()
    await guild.score(message)
    assert (await guild.has("ann", "points"), await guild.has("ann")) == (1, 1)
    assert await guild.verdicts(message) == [("message", "granted", 1), ("message", "granted", 1)]
    async with guild.db.read() as tx:
        (first, _) = await decisions.of_event(tx, community_id=guild.id, event_id=message.event_id)
        row = await entries.entry(tx, guild.id, first.transaction_id)
    assert row is not None
    assert (row.rule_id, row.rule_version, row.source_event_id) == ("message", 1, message.event_id)
    assert row.effective_at == MORNING
    await check_books(guild.db)


async def test_what_a_reaction_is_worth_goes_to_the_author_and_never_for_ones_own(guild: Guild) -> None:
    liked = guild.act("reaction.added", by="ann", of="bob", subject="m1")
    own = guild.act("reaction.added", by="bob", of="bob", subject="m1")
    down = guild.act("reaction.added", by="cat", of="bob", subject="m1", data={"kind": "downvote"})
    await guild.score(liked, own, down)
    assert (await guild.has("ann"), await guild.has("bob")) == (0, 2)
    assert await guild.verdicts(own) == [("reaction-received", "ineligible", 0)] * 2
    assert await guild.verdicts(down) == []


async def test_ten_reactions_of_one_person_to_one_post_are_one(guild: Guild) -> None:
    await guild.score(*[guild.act("reaction.added", of="bob", subject="m1") for _ in range(10)])
    assert await guild.has("bob") == 2
    await guild.score(guild.act("reaction.added", of="bob", subject="m2"))
    assert await guild.has("bob") == 4


@pytest.mark.parametrize("fields", [{"by": None}, {"by": None, "of": "bob"}])
async def test_an_event_without_its_actor_gives_the_actor_nothing_and_says_so(
    guild: Guild, fields: dict[str, str | None]
) -> None:
    message = guild.act(**fields)  # type: ignore[arg-type]  # a table of fields
    await guild.score(message)
    assert await guild.verdicts(message) == [("message", "ineligible", 0)] * 2


async def test_bots_do_not_earn_whoever_says_that_they_are(guild: Guild) -> None:
    await guild.know("robo", kind="bot")
    await guild.score(guild.act(by="robo"), guild.act(by="ann", data={"bot": True}))
    await guild.score(guild.act("reaction.added", by="robo", of="bob", subject="m1"))
    await guild.score(guild.act("reaction.added", by="ann", of="robo", subject="m1"))
    assert [await guild.has(name) for name in ("robo", "ann", "bob")] == [0, 0, 0]


@pytest.mark.parametrize("state", ["removed", "banned", "erased"])
async def test_who_is_out_earns_nothing(guild: Guild, state: str) -> None:
    await guild.know("ann", state=state)
    message = guild.act()
    await guild.score(message)
    assert await guild.verdicts(message) == [("message", "ineligible", 0)] * 2


async def test_a_linked_identity_earns_for_the_member_it_belongs_to(guild: Guild) -> None:
    await guild.link("ann2", to="ann")
    await guild.score(guild.act(by="ann2"), guild.act("reaction.added", by="ann2", of="ann", subject="m1"))
    assert (await guild.has("ann"), await guild.has("ann2")) == (1, 0)


async def test_an_event_read_again_pays_nobody_not_even_after_a_link(guild: Guild) -> None:
    message = guild.act()
    await guild.score(message)
    await guild.score(message)
    await guild.link("ann", to="bob")
    await guild.score(message)
    assert (await guild.has("ann"), await guild.has("bob")) == (1, 0)
    assert len(await announced(guild.db, ActivityScored)) == 1
    await check_books(guild.db)


async def test_a_new_version_of_a_rule_does_not_pay_an_event_again(guild: Guild) -> None:
    await guild.publish(rule(amount=1))
    message = guild.act()
    await guild.score(message)
    await guild.publish(rule(amount=50))
    await guild.score(message)
    assert await guild.has("ann") == 1
    await guild.score(guild.act())
    assert await guild.has("ann") == 51


async def test_the_same_event_in_two_batches_of_two_consumers_uses_a_cap_up_once(guild: Guild) -> None:
    await guild.publish(rule(caps=[{"limit": 2}]))
    message = guild.act()
    await guild.score(message)
    await guild.score(message, guild.act(), guild.act())
    assert await guild.has("ann") == 2


async def test_a_random_amount_is_the_same_when_everything_is_worked_out_again(make_database: MakeDatabase) -> None:
    dice = [{"to": "actor", "unit": "xp", "random": {"min": 1, "max": 1000}}]
    drawn = []
    id = uuid4()
    for secret in ("a", "a", "b"):
        db = await make_database("rewards")
        db.secret = secret * 32
        guild = await make_guild(db, id=id)
        await guild.publish(rule(give=dice))
        rolls = [guild.act(id=f"roll{n}") for n in range(20)]
        await guild.score(*rolls)
        drawn.append([(await guild.verdicts(roll))[0][2] for roll in rolls])
        assert await guild.has("ann") == sum(drawn[-1])
    assert drawn[0] == drawn[1] != drawn[2]


async def test_a_late_event_counts_on_its_own_day(guild: Guild) -> None:
    await guild.publish(rule(caps=[{"limit": 2}]))
    yesterday = MORNING - timedelta(days=1)
    await guild.score(*[guild.act() for _ in range(3)])
    late = [guild.act(at=yesterday, late=timedelta(hours=23)) for _ in range(3)]
    await guild.score(*late)
    assert await guild.has("ann") == 4
    assert [(await guild.verdicts(a))[0][2] for a in late] == [1, 1, 0]


async def test_days_and_weeks_are_those_of_the_community(make_database: MakeDatabase) -> None:
    guild = await make_guild(await make_database("rewards"), zone="Asia/Shanghai", day_start=240)
    await guild.publish(rule(caps=[{"limit": 1}]))
    # In Shanghai 03:59 and 04:00 on the 23rd: the last minute of one day and the first of the next.
    await guild.score(guild.act(at=MORNING.replace(day=22, hour=19, minute=59)))
    await guild.score(guild.act(at=MORNING.replace(day=22, hour=20, minute=0)))
    await guild.score(guild.act(at=MORNING.replace(day=23, hour=19, minute=59)))
    assert await guild.has("ann") == 2


async def test_what_arrives_later_than_the_rule_allows_is_late_unless_it_is_history(guild: Guild) -> None:
    await guild.publish(rule(lateness_hours=24))
    day = timedelta(hours=24)
    just, late = guild.act(late=day), guild.act(late=day + timedelta(seconds=1))
    history = guild.act(late=400 * day, import_name="old")
    await guild.score(just, late, history)
    assert [(await guild.verdicts(a))[0][1] for a in (just, late, history)] == ["granted", "late", "granted"]


async def test_a_condition_decides_and_its_failure_is_told_and_does_not_stop_the_batch(guild: Guild) -> None:
    await guild.publish(
        rule(when="event.data.length >= 10", give=[{"to": "actor", "unit": "xp", "cel": "event.data.n"}])
    )
    short, long = guild.act(data={"length": 9}), guild.act(data={"length": 10, "n": 7})
    without, words = guild.act(), guild.act(data={"length": 10, "n": "seven"})
    nothing, huge = guild.act(data={"length": 10, "n": 0}), guild.act(data={"length": 10, "n": 2**62})
    await guild.score(short, long, without, words, nothing, huge)
    assert await guild.verdicts(short) == []
    assert await guild.verdicts(long) == [("talk", "granted", 7)]
    assert [(await guild.verdicts(a))[0][1] for a in (without, words, huge)] == ["error"] * 3
    assert await guild.verdicts(nothing) == [("talk", "ineligible", 0)]
    await check_books(guild.db)


async def test_a_condition_sees_who_acts_on_what_and_when(guild: Guild) -> None:
    await guild.know("ann", state="active")
    when = (
        "actor.state == 'active' && author.state == 'observed' && event.group == 'qq:100' && event.subject == 'm1' "
        "&& event.actor == 'qq:ann' && event.author == 'qq:bob' && event.time.getHours() == 8 && !event.history "
        f"&& actor.id == '{guild.member('ann')}' && event.data.kind == 'like'"
    )
    await guild.publish(rule(on="reaction.added", when=when))
    await guild.score(guild.act("reaction.added", of="bob", subject="m1", data={"kind": "like"}))
    assert await guild.has("ann") == 1


async def test_a_disabled_rule_and_a_type_that_no_rule_names_decide_nothing(guild: Guild) -> None:
    await guild.publish(rule(enabled=False))
    message, other = guild.act(), guild.act("something.else")
    await guild.score(message, other)
    assert await guild.verdicts(message) == await guild.verdicts(other) == []
    assert await announced(guild.db, ActivityScored) == []


async def test_a_rule_may_take_and_a_balance_may_fall_below_nothing(guild: Guild) -> None:
    await guild.publish(rule(amount=-5))
    await guild.score(guild.act())
    assert await guild.has("ann") == -5
    await check_books(guild.db)


async def test_what_was_decided_is_announced_once_an_event_with_every_verdict(guild: Guild) -> None:
    await guild.publish(rule(caps=[{"limit": 1}], notify=True), rule("other", amount=3))
    one, two = guild.act(), guild.act(import_name="old")
    await guild.score(one, two)
    first, second = await announced(guild.db, ActivityScored)
    assert (first.event_id, first.actor_id, first.history) == (one.event_id, guild.member("ann"), False)
    assert [(d.rule_id, d.verdict, d.amount, d.notify) for d in first.decisions] == [
        ("talk", "granted", 1, True),
        ("other", "granted", 3, False),
    ]
    assert second.history is True
    capped = second.decisions[0]
    assert (capped.verdict, capped.wanted, capped.amount, capped.transaction_id) == ("capped", 1, 0, None)


async def test_an_event_of_a_community_not_heard_of_yet_waits(guild: Guild) -> None:
    message = guild.act()
    other = await make_guild(guild.db)
    stranger = Guild(guild.db, other.member("nobody"))
    with pytest.raises(NotYet):
        await guild.score(message, stranger.act())
    assert await guild.verdicts(message) == []


@pytest.mark.parametrize("size", [1, 40, 400])
async def test_the_statements_of_a_batch_do_not_grow_with_it(guild: Guild, size: int) -> None:
    names = [f"m{n}" for n in range(20)]
    await guild.score(*[guild.act(by=name) for name in names])
    some = [guild.act(by=names[n % 20], at=MORNING - timedelta(hours=n)) for n in range(size)]
    with Statements(guild.db) as statements:
        async with guild.db.begin() as tx:
            await earning.score(tx, [envelope(a, a.event_id) for a in some])
    assert len(statements.texts) <= 32
    await check_books(guild.db)


@pytest.mark.parametrize(("flag", "verdict"), [("throttled", "throttled"), ("stale", "late"), ("clamped", "granted")])
async def test_a_flood_and_old_news_earn_nothing_and_say_why(guild: Guild, flag: str, verdict: str) -> None:
    done = guild.act(flags=(flag,))
    await guild.score(done)
    assert {v[1] for v in await guild.verdicts(done)} == {verdict}
    assert (await guild.has("ann") > 0) is (verdict == "granted")
