"""Identities: linked by hand or by a code said in a chat, taken off where that is safe, never two people's (M26)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from kit.contracts import identity_member_id
from kit.contracts.members import IdentityLinked, MemberChanged
from tests.members.support import Members


def named(identity: str) -> dict[str, str]:
    platform, _, external_id = identity.partition(":")
    return {"platform": platform, "external_id": external_id}


async def link(members: Members, member: dict[str, Any], identity: str) -> Any:
    return await members.client.post(f"/v1/members/{member['id']}/identities", json=named(identity))


async def code_for(members: Members, member: dict[str, Any]) -> str:
    reply = await members.client.post("/v1/identities/codes", json={"member_id": member["id"]})
    assert (reply.status_code, reply.json()["expires_in"], reply.headers["cache-control"]) == (201, 600, "no-store")
    return str(reply.json()["code"])


async def say(members: Members, code: str, identity: str) -> Any:
    return await members.client.post("/v1/identities/confirmations", json={"code": code, **named(identity)})


async def test_a_linked_identity_is_the_members_and_every_service_is_told(members: Members) -> None:
    ada = await members.add()
    done = await link(members, ada, "telegram:42")
    assert (done.status_code, done.json()["identities"], done.json()["version"]) == (200, ["telegram:42"], 2)
    assert (await members.get("/v1/identities", **named("telegram:42")))["member_id"] == ada["id"]
    [told] = await members.announced(IdentityLinked)
    assert (told.identity, str(told.member_id), told.version) == ("telegram:42", ada["id"], 1)
    assert (await members.announced(MemberChanged))[-1].identities == ("telegram:42",)
    again = await link(members, ada, "telegram:42")
    assert (again.status_code, again.json()["version"]) == (200, 2)


async def test_what_a_linked_identity_does_later_makes_no_second_member(members: Members) -> None:
    ada = await members.add()
    await link(members, ada, "qq:77")
    await members.hear(members.seen("qq:77"))
    assert [m["id"] for m in (await members.get("/v1/members"))["items"]] == [ada["id"]]


async def test_an_identity_of_somebody_else_is_refused_and_one_that_was_seen_wants_a_merge(members: Members) -> None:
    ada, ben = await members.add(), await members.add(display_name="Ben", identity=named("qq:1"))
    await link(members, ben, "qq:2")
    await members.hear(members.seen("qq:3"))
    replies = [await link(members, ada, f"qq:{n}") for n in (1, 2, 3)]
    assert [(r.status_code, r.json()["code"]) for r in replies] == [
        (409, "identity_in_use"),
        (409, "identity_in_use"),
        (409, "merge_required"),
    ]
    assert (await members.get(f"/v1/members/{ada['id']}"))["identities"] == []


async def test_of_two_who_link_one_identity_at_once_one_gets_it(members: Members) -> None:
    people = [await members.add(display_name=f"P{n}") for n in range(5)]
    replies = await asyncio.gather(*(link(members, p, "qq:77") for p in people))
    assert sorted(r.status_code for r in replies) == [200, 409, 409, 409, 409]
    holder = (await members.get("/v1/identities", **named("qq:77")))["member_id"]
    [winner] = [p["id"] for p, r in zip(people, replies, strict=True) if r.status_code == 200]
    assert holder == winner


async def test_taken_off_before_anybody_saw_it_an_identity_is_nobodys_and_may_become_anybodys(
    members: Members,
) -> None:
    ada, ben = await members.add(), await members.add(display_name="Ben")
    await link(members, ada, "qq:77")
    off = await members.client.delete(f"/v1/members/{ada['id']}/identities", params=named("qq:77"))
    assert (off.status_code, off.json()["identities"]) == (200, [])
    assert await members.refused("GET", "/v1/identities", params=named("qq:77")) == (404, "identity_unknown")
    assert (await link(members, ben, "qq:77")).status_code == 200
    await members.client.delete(f"/v1/members/{ben['id']}/identities", params=named("qq:77"))
    cleo = await members.add(display_name="Cleo", identity=named("qq:77"))
    assert (await members.get("/v1/identities", **named("qq:77")))["member_id"] == cleo["id"]
    assert [e.version for e in await members.announced(IdentityLinked)] == [1, 2, 3, 4]


async def test_taken_off_after_it_was_seen_an_identity_is_a_member_of_its_own(members: Members) -> None:
    ada = await members.add()
    await link(members, ada, "qq:77")
    await members.hear(members.seen("qq:77"))
    await members.client.delete(f"/v1/members/{ada['id']}/identities", params=named("qq:77"))
    own = await members.get(f"/v1/members/{identity_member_id(members.community, 'qq:77')}")
    assert (own["state"], own["identities"]) == ("observed", ["qq:77"])
    [step] = (await members.get(f"/v1/members/{own['id']}/transitions"))["items"]
    assert step["reason"] == f"unlinked from {ada['id']}"


async def test_the_identity_a_member_exists_by_stays(members: Members) -> None:
    ada = await members.add(identity=named("qq:77"))
    path = f"/v1/members/{ada['id']}/identities"
    assert await members.refused("DELETE", path, params=named("qq:77")) == (409, "identity_native")
    assert await members.refused("DELETE", path, params=named("qq:78")) == (404, "identity_unknown")
    stale = await members.client.delete(path, params=named("qq:77"), headers={"If-Match": '"9"'})
    assert stale.status_code == 412


async def test_a_code_said_in_the_chat_links_who_said_it_once(members: Members) -> None:
    ada = await members.add()
    code = await code_for(members, ada)
    typed = f" {code[:4].lower()}-{code[4:]} "
    done = await say(members, typed, "qq:77")
    assert (done.status_code, done.json()) == (200, {"identity": "qq:77", "member_id": ada["id"]})
    again = await say(members, code, "qq:78")
    assert (again.status_code, again.json()["code"]) == (422, "code_unknown")
    assert again.json()["errors"][0]["pointer"] == "/code"


async def test_a_code_ends_after_ten_minutes_or_when_another_is_asked_for(members: Members) -> None:
    ada = await members.add()
    first, second = await code_for(members, ada), await code_for(members, ada)
    assert (await say(members, first, "qq:77")).status_code == 422
    members.clock.advance(timedelta(minutes=10))
    assert (await say(members, second, "qq:77")).status_code == 422
    third = await code_for(members, ada)
    members.clock.advance(timedelta(minutes=9, seconds=59))
    assert (await say(members, third, "qq:77")).status_code == 200


async def test_of_many_who_say_one_code_at_once_one_is_linked(members: Members) -> None:
    ada = await members.add()
    code = await code_for(members, ada)
    replies = await asyncio.gather(*(say(members, code, f"qq:{n}") for n in range(8)))
    assert sorted(r.status_code for r in replies) == [200] + [422] * 7
    assert len((await members.get(f"/v1/members/{ada['id']}"))["identities"]) == 1


async def test_a_code_said_by_who_is_a_member_already_is_not_used_up(members: Members) -> None:
    ada = await members.add()
    await members.hear(members.seen("qq:77"))
    code = await code_for(members, ada)
    refused = await say(members, code, "qq:77")
    assert (refused.status_code, refused.json()["code"]) == (409, "merge_required")
    assert (await say(members, code, "qq:78")).status_code == 200


async def test_guessing_codes_is_stopped_for_the_one_who_guesses_and_for_a_while(members: Members) -> None:
    ada = await members.add()
    for _ in range(5):
        assert (await say(members, "ABCD2345", "qq:77")).status_code == 422
    code = await code_for(members, ada)
    stopped = await say(members, code, "qq:77")
    assert (stopped.status_code, stopped.json()["code"]) == (429, "too_many_attempts")
    wait = int(stopped.headers["retry-after"])
    assert 0 < wait <= 900
    members.clock.advance(timedelta(seconds=wait))
    code = await code_for(members, ada)
    assert (await say(members, code, "qq:77")).status_code == 200


async def test_a_member_asks_for_their_own_code_only_and_confirms_nothing(members: Members) -> None:
    ada, ben = await members.add(), await members.add(display_name="Ben")
    token = (await members.client.post("/v1/tokens", json={"member_id": ada["id"]})).json()["token"]
    own = members.with_key(token)
    mine = await own.post("/v1/identities/codes", json={})
    assert (mine.status_code, mine.json()["member_id"]) == (201, ada["id"])
    assert (await own.post("/v1/identities/codes", json={"member_id": ben["id"]})).status_code == 403
    said = {"code": mine.json()["code"], **named("qq:77")}
    assert (await own.post("/v1/identities/confirmations", json=said)).status_code == 403
    nobody = await members.client.post("/v1/identities/codes", json={})
    assert (nobody.status_code, nobody.json()["errors"][0]["pointer"]) == (422, "/member_id")


async def test_a_code_is_kept_as_a_keyed_hash_only(members: Members) -> None:
    ada = await members.add()
    code = await code_for(members, ada)
    async with members.db.read() as tx:
        for table in members.db.metadata.sorted_tables:
            rows = await tx.all(table.select())
            assert not any(code in str(value) for row in rows for value in row), table.name


@pytest.mark.parametrize("identity", ["QQ:1", "member:1", "qq:", ":1", "qq:a\0b"])
async def test_what_is_no_identity_is_refused(members: Members, identity: str) -> None:
    ada = await members.add()
    reply = await link(members, ada, identity)
    assert (reply.status_code, reply.json()["code"]) == (422, "identity_malformed")
