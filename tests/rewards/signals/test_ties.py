"""Who does things for whom: each other, mostly one, in a circle of three."""

import random
from datetime import timedelta

import pytest

from kit.contracts.events import Activity
from tests.rewards.guild import MORNING, Guild, make_guild, rule
from tests.rewards.signals.support import said, values, watching
from tests.support.databases import MakeDatabase

WEEK = timedelta(weeks=1)
TIES = ("signals.mutual", "signals.share", "signals.ring")


@pytest.fixture
async def guild(make_database: MakeDatabase) -> Guild:
    guild = await make_guild(await make_database("rewards"))
    await guild.publish(*watching(*TIES, on=["reaction.added"]))
    return guild


def like(guild: Guild, by: str, of: str | None, **fields: object) -> Activity:
    return guild.act("reaction.added", by, of=of, **fields)


async def test_mutual_is_how_often_the_other_did_it_in_this_week_and_the_four_before(guild: Guild) -> None:
    await guild.score(*[like(guild, "bob", "ann", at=MORNING + n * WEEK) for n in (-5, -4, -1, 0)])
    some = [like(guild, "ann", "bob", at=MORNING + n * WEEK) for n in (-1, 0, 4, 5)]
    await guild.score(*some)
    assert await values(guild, "signals.mutual", *some) == [3, 3, 1, 0]


async def test_share_is_how_much_of_what_one_does_goes_to_the_same(guild: Guild) -> None:
    some = [like(guild, "ann", name) for name in ("bob", "cy", "bob", "dan")]
    await guild.score(*some)
    assert await values(guild, "signals.share", *some) == [100, 50, 66, 25]


async def test_nobody_is_tied_to_themselves_or_to_nobody(guild: Guild) -> None:
    own, nobodys, stranger = like(guild, "ann", "ann"), like(guild, "ann", None), like(guild, None, "ann")
    await guild.score(own, nobodys, stranger)
    zero = dict.fromkeys(TIES, 0)
    assert await said(guild, own, nobodys) == [zero, zero]


async def test_a_ring_of_three_shows_among_people_who_like_what_is_good(guild: Guild) -> None:
    """Twelve people like whatever they read; three of them besides each other's, round and round."""
    dice = random.Random(3)
    names = [f"m{n}" for n in range(12)]
    chat = [like(guild, *dice.sample(names, 2)) for _ in range(60)]
    ring = [like(guild, a, b) for _ in range(15) for a, b in (("m0", "m1"), ("m1", "m2"), ("m2", "m0"))]
    acts = [*chat, *ring]
    dice.shuffle(acts)
    for start in range(0, len(acts), 7):
        await guild.score(*acts[start : start + 7])
    last, other = [like(guild, "m0", "m1"), like(guild, "m1", "m2")], [like(guild, "m5", "m6"), like(guild, "m1", "m0")]
    await guild.score(*last, *other)
    assert min(await values(guild, "signals.ring", *last)) >= 15
    assert max(await values(guild, "signals.ring", *other)) <= 3


async def test_a_ring_of_two_is_mutual_and_no_ring_of_three(guild: Guild) -> None:
    await guild.score(*[like(guild, *pair) for pair in (("ann", "bob"), ("bob", "ann")) for _ in range(5)])
    await guild.score(last := like(guild, "ann", "bob"))
    assert (await said(guild, last)) == [{"signals.mutual": 5, "signals.share": 100, "signals.ring": 0}]


async def test_a_friend_is_not_hidden_among_hundreds_of_strangers(guild: Guild) -> None:
    """Kept are the hundred strongest either way."""
    await guild.score(*[like(guild, "bob", "ann") for _ in range(3)])
    for start in range(0, 300, 100):
        await guild.score(*[like(guild, "bob", f"s{n}") for n in range(start, start + 100)])
        await guild.score(*[like(guild, f"s{n}", "ann") for n in range(start, start + 100)])
    await guild.score(last := like(guild, "ann", "bob"))
    assert await values(guild, "signals.mutual", last) == [3]
    assert (await values(guild, "signals.ring", last))[0] <= 1


async def test_received_is_how_many_others_did_something_for_one_of_whatever_rules_listen_to(guild: Guild) -> None:
    await guild.publish(*watching("signals.received"), rule("liked", "reaction.added"), rule("good", "answer.accepted"))
    given = [("bob", 0), ("bob", 0), ("cy", -4), ("dan", -5), ("ann", 0)]
    await guild.score(*[like(guild, by, "ann", at=MORNING + n * WEEK) for by, n in given])
    await guild.score(guild.act("answer.accepted", "eve", of="ann"), guild.act("poll.voted", "fay", of="ann"))
    some = [guild.act("message.created", "ann", at=MORNING + n * WEEK) for n in (0, 4, 5)]
    other = guild.act("message.created", "bob")
    await guild.score(*some, other)
    assert await values(guild, "signals.received", *some, other) == [3, 2, 0, 0]


async def test_a_text_may_pay_only_those_whose_texts_others_react_to(guild: Guild) -> None:
    """Quality over volume (R20): who writes and is never answered earns nothing by writing more."""
    await guild.publish(rule("talk", "message.created", when="signals.received >= 2"), rule("liked", "reaction.added"))
    await guild.score(*[guild.act("message.created", name) for name in ("ann", "bob") for _ in range(3)])
    before = await guild.balance(guild.member("ann"), "xp")
    await guild.score(like(guild, "cy", "ann"), like(guild, "dan", "ann"), like(guild, "cy", "bob"))
    liked = await guild.balance(guild.member("ann"), "xp")
    await guild.score(guild.act("message.created", "ann"), guild.act("message.created", "bob"))
    assert (before, await guild.balance(guild.member("ann"), "xp") - liked) == (0, 1)
    assert await guild.balance(guild.member("bob"), "xp") == 0
