"""Segments put together by hand: who is in them and why, limits, and what the other services hear (M24)."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from kit.contracts.members import MemberChanged
from kit.copies import known_members
from services.members.handlers import segments as handlers
from services.members.store import segments as store
from tests.members.support import Members
from tests.support.upgrading import upgrade

WHY = {"reason": "hosts on Mondays"}


async def make(members: Members, id: str, **fields: Any) -> None:
    reply = await members.client.put(f"/v1/segments/{id}", json={"name": id.title(), **fields})
    assert reply.status_code == 201, reply.text


async def put_in(members: Members, segment: str, member: str, **why: str) -> None:
    reply = await members.client.put(f"/v1/segments/{segment}/members/{member}", json=why or WHY)
    assert reply.status_code == 204, reply.text


async def take_out(members: Members, segment: str, member: str) -> None:
    reply = await members.client.delete(f"/v1/segments/{segment}/members/{member}", params={"reason": "moved away"})
    assert reply.status_code == 204, reply.text


async def newest(members: Members, member: str) -> MemberChanged:
    told = [e for e in await members.announced(MemberChanged) if e.member_id == UUID(member)]
    assert [e.version for e in told] == list(range(1, len(told) + 1))
    return told[-1]


async def test_every_community_begins_with_an_empty_segment_for_its_staff(members: Members) -> None:
    [staff] = (await members.get("/v1/segments"))["items"]
    assert (staff["id"], staff["name"], staff["size"]) == ("staff", "Staff", 0)
    assert await members.refused("DELETE", "/v1/segments/staff") == (409, "segment_permanent")


async def test_communities_from_before_there_were_segments_get_theirs_for_the_staff(members: Members) -> None:
    ada = (await members.add())["id"]
    async with members.db.begin() as tx:
        for table in ("segments", "segment_members", "segment_changes"):
            await tx.execute(text(f"DROP TABLE {table}"))
        await tx.execute(text("ALTER TABLE known_members DROP COLUMN segments"))
        await upgrade(tx, "members", "0002_segments")
    [staff] = (await members.get("/v1/segments"))["items"]
    assert (staff["id"], staff["name"], staff["size"]) == ("staff", "Staff", 0)
    async with members.db.read() as tx:
        assert (await known_members(tx, members.community, [UUID(ada)]))[UUID(ada)].segments == ()
    await put_in(members, "staff", ada)
    assert (await newest(members, ada)).segments == ("staff",)


async def test_who_is_put_in_is_announced_with_their_segments(members: Members) -> None:
    ada = (await members.add())["id"]
    await make(members, "hosts")
    await put_in(members, "staff", ada)
    await put_in(members, "hosts", ada)
    told = await newest(members, ada)
    assert (told.segments, told.version) == (("hosts", "staff"), 3)
    assert (await members.get(f"/v1/members/{ada}"))["segments"] == ["hosts", "staff"]
    async with members.db.read() as tx:
        assert (await known_members(tx, members.community, [UUID(ada)]))[UUID(ada)].segments == ("hosts", "staff")

    await take_out(members, "hosts", ada)
    assert (await newest(members, ada)).segments == ("staff",)


async def test_other_changes_of_a_member_leave_their_segments_as_they_are(members: Members) -> None:
    ada = (await members.add())["id"]
    await put_in(members, "staff", ada)
    reply = await members.client.patch(f"/v1/members/{ada}", json={"display_name": "Ada L."})
    assert reply.json()["segments"] == ["staff"]
    told = await newest(members, ada)
    assert (told.display_name, told.segments) == ("Ada L.", ("staff",))


async def test_a_platforms_word_on_a_member_leaves_their_segments_as_they_are(members: Members) -> None:
    await members.hear(members.seen("chat:7"))
    [ada] = (await members.get("/v1/members"))["items"]
    await put_in(members, "staff", ada["id"])
    await members.hear(members.said("member.joined", "chat:7"))
    told = await newest(members, ada["id"])
    assert (told.state, told.segments) == ("active", ("staff",))


async def test_the_page_of_a_segment_says_since_when_by_whom_and_why(members: Members) -> None:
    ada, bob = (await members.add(display_name="Ada"))["id"], (await members.add(display_name="Bob"))["id"]
    await put_in(members, "staff", bob)
    members.clock.advance(timedelta(minutes=1))
    await put_in(members, "staff", ada, reason="keeps the books")
    first = await members.get("/v1/segments/staff/members", limit=1)
    second = await members.get("/v1/segments/staff/members", limit=1, cursor=first["next"])
    [one], [other] = first["items"], second["items"]
    assert (one["display_name"], one["reason"]) == ("Bob", WHY["reason"])
    assert (other["display_name"], other["reason"], second["next"]) == ("Ada", "keeps the books", None)
    assert one["actor"].startswith("key:")
    assert one["since"] < other["since"]
    assert (await members.get("/v1/segments/staff"))["size"] == 2


async def test_coming_and_going_is_written_down_and_doing_it_again_is_not(members: Members) -> None:
    ada = (await members.add())["id"]
    await put_in(members, "staff", ada)
    await put_in(members, "staff", ada, reason="said once more")
    await take_out(members, "staff", ada)
    await take_out(members, "staff", ada)
    changes = (await members.get("/v1/segments/staff/changes"))["items"]
    assert [(c["change"], c["reason"]) for c in changes] == [("left", "moved away"), ("entered", WHY["reason"])]
    assert (await members.get("/v1/segments/staff/changes", member=str(uuid4())))["items"] == []
    assert (await newest(members, ada)).version == 3


async def test_a_deleted_segment_is_taken_off_its_members(members: Members) -> None:
    ada, bob = (await members.add())["id"], (await members.add())["id"]
    await make(members, "hosts")
    for one in (ada, bob):
        await put_in(members, "hosts", one)
    await put_in(members, "staff", bob)
    assert (await members.client.delete("/v1/segments/hosts")).status_code == 204
    assert (await newest(members, ada)).segments == ()
    assert (await newest(members, bob)).segments == ("staff",)
    assert await members.refused("GET", "/v1/segments/hosts") == (404, "segment_unknown")
    left = [c for c in (await members.get("/v1/segments/hosts/changes"))["items"] if c["change"] == "left"]
    assert {(c["member_id"], c["reason"]) for c in left} == {
        (ada, "the segment was deleted"),
        (bob, "the segment was deleted"),
    }
    await make(members, "hosts")
    assert (await members.get("/v1/segments/hosts"))["size"] == 0


async def test_many_come_in_at_once_or_nobody_does(members: Members) -> None:
    ids = [(await members.add())["id"] for _ in range(3)]
    await put_in(members, "staff", ids[0])
    reply = await members.client.post("/v1/segments/staff/members", json={"members": [*ids, ids[1]], **WHY})
    assert reply.json() == {"entered": 2, "there_before": 1}

    await make(members, "hosts")
    stranger = str(uuid4())
    reply = await members.client.post("/v1/segments/hosts/members", json={"members": [ids[0], stranger], **WHY})
    assert (reply.status_code, reply.json()["code"]) == (422, "segment_refused")
    assert [(e["pointer"], e["code"]) for e in reply.json()["errors"]] == [("/members/1", "member_unknown")]
    assert (await members.get("/v1/segments/hosts"))["size"] == 0


async def test_who_was_erased_comes_into_no_segment(members: Members) -> None:
    ada = (await members.add())["id"]
    reply = await members.client.post(f"/v1/members/{ada}/transitions", json={"to": "erased", "reason": "asked"})
    assert reply.status_code == 200, reply.text
    reply = await members.client.put(f"/v1/segments/staff/members/{ada}", json=WHY)
    assert [e["code"] for e in reply.json()["errors"]] == ["member_erased"]


async def test_another_communitys_members_and_segments_are_not_there(members: Members) -> None:
    owner = await members.owner()
    reply = await owner.post("/v1/communities", json={"name": "Others"})
    there = {"Guildhall-Community": reply.json()["id"], "Origin": "http://members.example"}
    stranger = (await owner.post("/v1/members", json={"display_name": "Bo"}, headers=there)).json()["id"]
    made = await owner.put("/v1/segments/theirs", json={"name": "Theirs"}, headers=there)
    assert made.status_code == 201
    assert await members.refused("PUT", f"/v1/segments/staff/members/{stranger}", json=WHY) == (404, "member_unknown")
    assert await members.refused("GET", "/v1/segments/theirs") == (404, "segment_unknown")
    assert await members.refused("DELETE", "/v1/segments/theirs") == (404, "segment_unknown")
    await owner.put(f"/v1/segments/staff/members/{stranger}", json=WHY, headers=there)
    assert (await members.get("/v1/segments/staff"))["size"] == 0
    assert (await members.get("/v1/segments/staff/changes"))["items"] == []


async def test_a_lost_update_of_a_segment_is_refused(members: Members) -> None:
    await make(members, "hosts", description="Who opens.")
    reply = await members.client.put("/v1/segments/hosts", json={"name": "Hosts of Mondays"})
    assert (reply.status_code, reply.headers["etag"], reply.json()["description"]) == (200, '"2"', "")
    late = {"json": {"name": "Hosts"}, "headers": {"If-Match": '"1"'}}
    assert await members.refused("PUT", "/v1/segments/hosts", **late) == (412, "version_changed")


async def test_a_community_has_two_hundred_segments_and_no_more(members: Members) -> None:
    async with members.db.begin() as tx:
        for number in range(handlers.SEGMENTS_MOST - 2):
            await store.add_segment(
                tx, community_id=members.community, segment_id=f"s{number}", name="S", description=""
            )
    answers = await asyncio.gather(
        *(members.client.put(f"/v1/segments/last-{n}", json={"name": "Last"}) for n in range(4))
    )
    assert sorted(reply.status_code for reply in answers) == [201, 422, 422, 422]
    assert {r.json()["code"] for r in answers if r.status_code == 422} == {"segments_too_many"}
    assert (await members.client.put("/v1/segments/s1", json={"name": "Renamed"})).status_code == 200


async def test_a_member_is_in_fifty_segments_and_no_more_whoever_adds_at_the_same_time(members: Members) -> None:
    ada = (await members.add())["id"]
    async with members.db.begin() as tx:
        for number in range(handlers.OF_MEMBER_MOST + 3):
            id = f"s{number}"
            await store.add_segment(tx, community_id=members.community, segment_id=id, name="S", description="")
            if number < handlers.OF_MEMBER_MOST - 1:
                await store.put_in(
                    tx,
                    community_id=members.community,
                    segment_id=id,
                    member_ids=[UUID(ada)],
                    reason="r",
                    actor="a",
                )
    last = [f"s{handlers.OF_MEMBER_MOST - 1 + n}" for n in range(4)]
    answers = await asyncio.gather(*(members.client.put(f"/v1/segments/{id}/members/{ada}", json=WHY) for id in last))
    assert sorted(reply.status_code for reply in answers) == [204, 422, 422, 422]
    refused = next(reply for reply in answers if reply.status_code == 422)
    assert [e["code"] for e in refused.json()["errors"]] == ["segments_too_many"]
    assert len((await newest(members, ada)).segments) == handlers.OF_MEMBER_MOST


async def test_many_who_put_the_same_member_in_at_once_do_it_once(members: Members) -> None:
    ada = (await members.add())["id"]
    answers = await asyncio.gather(
        *(members.client.put(f"/v1/segments/staff/members/{ada}", json=WHY) for _ in range(6))
    )
    assert {reply.status_code for reply in answers} == {204}
    assert len((await members.get("/v1/segments/staff/changes"))["items"]) == 1
    assert (await newest(members, ada)).version == 2


async def test_a_segment_that_is_deleted_while_somebody_comes_in_leaves_nobody_inside(members: Members) -> None:
    ids = [(await members.add())["id"] for _ in range(6)]
    await make(members, "hosts")
    await asyncio.gather(
        *(members.client.put(f"/v1/segments/hosts/members/{id}", json=WHY) for id in ids[:3]),
        members.client.delete("/v1/segments/hosts"),
        *(members.client.put(f"/v1/segments/hosts/members/{id}", json=WHY) for id in ids[3:]),
    )
    for id in ids:
        assert (await newest(members, id)).segments == ()


async def test_an_identity_that_is_taken_off_a_member_of_the_staff_is_not_of_the_staff(members: Members) -> None:
    ada = (await members.add())["id"]
    await put_in(members, "staff", ada)
    await members.client.post(f"/v1/members/{ada}/identities", json={"platform": "chat", "external_id": "7"})
    await members.hear(members.seen("chat:7"))
    gone = await members.client.delete(f"/v1/members/{ada}/identities?platform=chat&external_id=7")
    assert gone.json()["segments"] == ["staff"]
    found = await members.get("/v1/members", identity="chat:7")
    assert [m["segments"] for m in found["items"]] == [[]]
