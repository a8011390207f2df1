"""Who is in a segment, for rules: what expressions see of it, and who earns nothing (R18, R71)."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from kit.contracts.events import Activity
from kit.database import Database
from kit.errors import Unprocessable
from services.rewards.domain.explaining import Decided, phrase
from services.rewards.domain.reasons import Why
from services.rewards.expressions import check
from services.rewards.handlers.keeping import Person
from services.rewards.starter_rules import STARTER
from tests.rewards.guild import Guild, make_guild, rule
from tests.rewards.plans.support import plans_of
from tests.rewards.serving import Rewards
from tests.rewards.undoing.support import minute
from tests.support.databases import MakeDatabase

THANKS = rule("thanks", "reaction.added", give=[{"to": "subject_author", "unit": "xp", "amount": 5}])


@pytest.fixture
async def db(make_database: MakeDatabase) -> Database:
    return await make_database("rewards")


@pytest.fixture
async def guild(db: Database) -> Guild:
    return await make_guild(db)


async def matched(guild: Guild, when: str, *acts: Activity) -> list[bool]:
    await guild.publish(rule(when=when, on="poke"))
    await guild.score(*acts)
    return [await guild.verdicts(act) != [] for act in acts]


async def test_a_condition_sees_the_segments_of_actor_and_author(guild: Guild) -> None:
    await guild.know("ann", segments=("hosts", "staff"))
    acts = [guild.act("poke", by=by, of=of) for by, of in (("ann", "bob"), ("bob", "ann"), ("bob", None))]
    assert await matched(guild, '"hosts" in actor.segments', *acts) == [True, False, False]
    again = [guild.act("poke", by=by, of=of) for by, of in (("ann", "bob"), ("bob", "ann"), (None, None))]
    assert await matched(guild, "size(author.segments) == 2", *again) == [False, True, False]


async def test_a_condition_sees_the_group_and_its_platform(guild: Guild) -> None:
    groups = ("qq:100", "discord:7:8", "hall", None)
    acts = [guild.act("poke", group=group) for group in groups]
    assert await matched(guild, 'group.platform == "discord" && group.id == "7:8"', *acts) == [0, 1, 0, 0]
    acts = [guild.act("poke", group=group) for group in groups]
    assert await matched(guild, 'group.platform == "" && group.id == "hall"', *acts) == [0, 0, 1, 0]
    acts = [guild.act("poke", group=group) for group in groups]
    assert await matched(guild, 'group.platform == "" && group.id == ""', *acts) == [0, 0, 0, 1]


def test_segments_are_lists_of_texts_and_are_checked_as_such() -> None:
    assert check('"staff" in actor.segments', "bool") is None
    for wrong in ("1 in actor.segments", 'actor.segments == "staff"', "group.id == 100"):
        assert check(wrong, "bool") is not None, wrong


async def test_who_is_in_an_excluded_segment_earns_nothing_and_is_told_why(guild: Guild) -> None:
    await guild.publish(rule(amount=3), THANKS, excluded_segments=["staff"])
    await guild.know("ann", segments=("hosts", "staff"))
    own = guild.act(by="ann")
    await guild.score(own, guild.act(by="bob"), guild.act("reaction.added", by="bob", of="ann"))
    assert await guild.verdicts(own) == [("talk", "ineligible", 0)]
    assert (await guild.has("ann"), await guild.has("bob")) == (0, 3)
    # What they do for others counts.
    await guild.score(guild.act("reaction.added", by="ann", of="bob"))
    assert await guild.has("bob") == 8


async def test_who_leaves_the_segment_earns_from_then_on(guild: Guild) -> None:
    await guild.publish(rule(amount=3), excluded_segments=["staff"])
    await guild.know("ann", segments=("staff",), version=2)
    await guild.score(guild.act(by="ann"))
    await guild.know("ann", segments=(), version=3)
    # News that comes late change nothing.
    await guild.know("ann", segments=("staff",), version=2)
    await guild.score(guild.act(by="ann"))
    assert await guild.has("ann") == 3


async def test_an_identity_that_is_linked_to_one_of_the_staff_earns_nothing_more(guild: Guild) -> None:
    await guild.publish(rule(amount=3), excluded_segments=["staff"])
    await guild.know("ann", segments=("staff",))
    await guild.score(guild.act(by="bob"))
    await guild.link("bob", to="ann")
    await guild.score(guild.act(by="bob"))
    assert (await guild.has("ann"), await guild.has("bob")) == (0, 3)


async def test_another_communitys_staff_earns_here(guild: Guild) -> None:
    other = await make_guild(guild.db, id=uuid4())
    for one in (guild, other):
        await one.publish(rule(amount=3), excluded_segments=["staff"])
    await other.know("ann", segments=("staff",))
    await guild.score(guild.act(by="ann"))
    assert await guild.has("ann") == 3


async def test_sets_from_before_there_were_segments_leave_out_nobody_and_the_starter_set_does(guild: Guild) -> None:
    assert STARTER.excluded_segments == ("staff",)
    await guild.know("ann", segments=("staff",))
    first = guild.act(by="ann")
    await guild.score(first)
    assert {verdict for _, verdict, _ in await guild.verdicts(first)} == {"ineligible"}
    await guild.publish(rule(amount=3))
    await guild.score(guild.act(by="ann"))
    assert await guild.has("ann") == 3


async def test_a_set_says_which_of_its_segments_are_no_names(guild: Guild) -> None:
    with pytest.raises(Unprocessable) as caught:
        await guild.publish(rule(), excluded_segments=["staff", "The Staff", ""])
    assert [(e.pointer, e.code) for e in caught.value.errors] == [
        ("/excluded_segments/1", "segment_invalid"),
        ("/excluded_segments/2", "segment_invalid"),
    ]


async def test_other_rules_over_what_was_meet_the_segments_of_then(guild: Guild, tmp_path: Path) -> None:
    await guild.publish(rule(amount=3))
    await guild.know("ann", segments=("staff",), version=2)
    await guild.score(guild.act(by="ann", at=minute(1)), guild.act(by="bob", at=minute(1)))
    await guild.know("ann", segments=(), version=3)
    await guild.know("bob", segments=("staff",), version=3)
    await guild.score(guild.act(by="ann", at=minute(2)), guild.act(by="bob", at=minute(2)))
    plans = plans_of(guild, tmp_path)
    hosts = rule(amount=2, when='!("staff" in actor.segments)')
    await plans.recompute(hosts)
    assert (await guild.has("ann"), await guild.has("bob")) == (2, 2)
    await plans.recompute(rule(amount=4), excluded_segments=["staff"])
    assert (await guild.has("ann"), await guild.has("bob")) == (4, 4)


def test_who_was_kept_before_there_were_segments_was_in_none() -> None:
    id = uuid4()
    kept = msgspec.msgpack.encode([id.bytes, "person", "active"])
    assert msgspec.msgpack.decode(kept, type=Person) == Person(id, "person", "active", ())


def test_the_reason_is_said_in_both_languages() -> None:
    told = Decided("Message", "xp", "ineligible", 1, 0, Why.EXCLUDED.reason(segment="staff"))
    assert phrase(told, "en") == "rule Message gave nothing: the member is in the segment staff"
    assert phrase(told, "zh") == "规则「Message」未给分:成员属于分组「staff」"


async def test_the_api_takes_shows_and_compares_the_excluded_segments(rewards: Rewards) -> None:
    assert (await rewards.get("/v1/rules"))["excluded_segments"] == ["staff"]
    body: dict[str, Any] = {"rules": [rule()], "excluded_segments": ["hosts", "staff"]}
    assert (await rewards.client.post("/v1/rules/check", json=body)).json() == {"ok": True, "errors": []}
    assert (await rewards.client.post("/v1/rules", json=body)).status_code == 201
    assert (await rewards.get("/v1/rules"))["excluded_segments"] == ["hosts", "staff"]
    found = await rewards.get("/v1/rules/diff", **{"from": 1, "to": 2})
    assert [one["text"] for one in found["items"] if one["rule_id"] is None] == [
        "who earns nothing: excluded_segments staff → hosts, staff"
    ]
    reply = await rewards.client.post("/v1/rules/simulations", json={**body, "days": 3})
    assert reply.status_code == 202, reply.text
    await rewards.guild.know("ann", segments=("hosts",))
    await rewards.guild.score(rewards.guild.act(by="ann"))
    ann = f"/v1/members/{rewards.guild.member('ann')}/points/explain"
    assert "the member is in the segment hosts" in (await rewards.get(ann))["items"][0]["text"]
    reply = await rewards.client.get(ann, headers={"Accept-Language": "zh-CN"})
    assert "成员属于分组「hosts」" in reply.json()["items"][0]["text"]
