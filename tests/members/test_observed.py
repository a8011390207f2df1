"""What the log tells of people: who is seen first becomes somebody, platforms move them, the order does not matter."""

import random
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from kit.contracts import identity_member_id
from kit.contracts.members import MemberChanged, MemberTokensRevoked
from kit.errors import BadMessage
from tests.members.support import Members


async def state_of(members: Members, identity: str) -> str:
    return str((await members.get(f"/v1/members/{identity_member_id(members.community, identity)}"))["state"])


async def test_an_unknown_identity_becomes_an_observed_member_under_the_id_that_everybody_computes(
    members: Members,
) -> None:
    await members.hear(members.seen("qq:77"), members.seen("telegram:bot", is_bot=True))
    ids = [identity_member_id(members.community, identity) for identity in ("qq:77", "telegram:bot")]
    found = [await members.get(f"/v1/members/{id}") for id in ids]
    assert [(m["state"], m["kind"], m["display_name"], m["identities"]) for m in found] == [
        ("observed", "person", "77", ["qq:77"]),
        ("observed", "bot", "bot", ["telegram:bot"]),
    ]
    [step] = (await members.get(f"/v1/members/{ids[0]}/transitions"))["items"]
    assert (step["from_state"], step["to_state"], step["actor"], step["rule"]) == (
        None,
        "observed",
        "platform",
        "identity-observed",
    )
    assert [e.member_id for e in await members.announced(MemberChanged)] == ids
    assert (await members.get("/v1/identities", platform="qq", external_id="77"))["member_id"] == str(ids[0])


def test_the_id_of_a_member_is_the_same_for_ever() -> None:
    community = UUID("01939e2c-7000-7000-8000-000000000000")
    assert identity_member_id(community, "qq:2627274551") == UUID("862713f8-e676-5169-bb24-6584da688854")
    assert identity_member_id(community, "qq:2627274551") != identity_member_id(uuid4(), "qq:2627274551")
    themselves = uuid4()
    assert identity_member_id(community, f"member:{themselves}") == themselves


async def test_being_seen_again_or_twice_in_one_batch_changes_nothing(members: Members) -> None:
    seen = members.seen("qq:77")
    await members.hear(seen, members.seen("qq:77"))
    await members.hear(seen)
    assert len((await members.get("/v1/members"))["items"]) == 1
    assert len(await members.announced(MemberChanged)) == 1


async def test_one_identity_in_two_communities_is_two_members(members: Members) -> None:
    owner = await members.owner()
    second = UUID((await owner.post("/v1/communities", json={"name": "Second"})).json()["id"])
    there = replace(members.seen("qq:77"), community_id=second, member_id=identity_member_id(second, "qq:77"))
    await members.hear(members.seen("qq:77"), there)
    assert len((await members.get("/v1/members"))["items"]) == 1
    assert identity_member_id(second, "qq:77") != identity_member_id(members.community, "qq:77")


async def test_an_identity_of_a_member_that_exists_already_makes_no_second_one(members: Members) -> None:
    made = await members.add(identity={"platform": "qq", "external_id": "77"})
    assert made["id"] == str(identity_member_id(members.community, "qq:77"))
    await members.hear(members.seen("qq:77"))
    assert [(m["id"], m["state"], m["version"]) for m in (await members.get("/v1/members"))["items"]] == [
        (made["id"], "active", 1)
    ]


@pytest.mark.parametrize("identity", ["qq:" + "x" * 298, "qq:a\0b", "qq:\ud800"])
async def test_an_identity_that_nobody_can_keep_is_a_bad_message(members: Members, identity: str) -> None:
    event = replace(members.seen("qq:1"), identity=identity)
    with pytest.raises(BadMessage):
        await members.hear(event)


async def test_platforms_move_members_and_the_steps_say_which_activity_did(members: Members) -> None:
    joined = members.said("member.joined", "qq:77")
    await members.hear(joined)
    members.clock.advance(timedelta(minutes=1))
    kicked = members.said("member.kicked", "qq:1", member="qq:77")
    await members.hear(kicked)
    member_id = identity_member_id(members.community, "qq:77")
    steps = (await members.get(f"/v1/members/{member_id}/transitions"))["items"]
    assert [(s["from_state"], s["to_state"], s["reason"], s["actor"]) for s in steps] == [
        ("active", "removed", "member.kicked", f"activity:{kicked.event_id}"),
        ("observed", "active", "member.joined", f"activity:{joined.event_id}"),
        (None, "observed", "seen in a chat", "platform"),
    ]
    assert {s["rule"] for s in steps} == {"platform-membership", "identity-observed"}
    assert [e.member_id for e in await members.announced(MemberTokensRevoked)] == [member_id]


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_order_news_arrives_in_members_end_in_the_same_state(members: Members, seed: int) -> None:
    start = members.clock()
    story = ["member.joined", "member.left", "member.joined", "member.banned", "member.unbanned", "member.joined"]
    news = [
        members.said(word, f"qq:{who}", start + timedelta(minutes=minute))
        for who in range(3)
        for minute, word in enumerate(story[: 3 + who])
    ]
    random.Random(seed).shuffle(news)
    while news:
        await members.hear(*[news.pop() for _ in range(min(len(news), 1 + seed))])
    assert [await state_of(members, f"qq:{who}") for who in range(3)] == ["active", "banned", "left"]


async def test_a_person_bans_and_no_platform_brings_them_back(members: Members) -> None:
    await members.hear(members.said("member.joined", "qq:77"))
    path = f"/v1/members/{identity_member_id(members.community, 'qq:77')}/transitions"
    await members.client.post(path, json={"to": "banned", "reason": "spam"})
    members.clock.advance(timedelta(minutes=1))
    await members.hear(members.said("member.unbanned", "qq:77"), members.said("member.joined", "qq:77"))
    assert await state_of(members, "qq:77") == "banned"


async def test_an_applicant_stays_before_the_gate_and_leaving_one_channel_is_not_leaving(members: Members) -> None:
    await members.add(identity={"platform": "qq", "external_id": "1"}, state="applied")
    await members.add(identity={"platform": "qq", "external_id": "2"})
    members.clock.advance(timedelta(minutes=1))
    await members.hear(members.said("member.joined", "qq:1"), members.said("member.left", "qq:2", scope="channel"))
    assert [await state_of(members, f"qq:{n}") for n in (1, 2)] == ["applied", "active"]


async def test_news_of_nobody_we_could_name_is_passed_over(members: Members) -> None:
    nobody = members.said("member.joined", None)
    nul = members.said("member.kicked", "qq:1", member="qq:a\0b")
    malformed = members.said("member.kicked", "qq:1", member="member:no-uuid")
    await members.hear(nobody, nul, malformed, members.said("message.created", "qq:3"))
    assert (await members.get("/v1/members"))["items"] == []


async def test_two_hundred_strangers_in_one_batch_are_all_there(members: Members) -> None:
    await members.hear(*(members.seen(f"qq:{n}") for n in range(200)))
    page = await members.get("/v1/members", limit=200)
    assert (len(page["items"]), page["next"]) == (200, None)
    assert len(await members.announced(MemberChanged)) == 200
