"""Who is erased leaves a row without a name, and does not come back by what was theirs."""

from typing import Any

import pytest
from sqlalchemy import select

from kit.contracts import identity_member_id
from kit.contracts.members import MemberChanged, MemberTokensRevoked
from tests.members.support import Members

WHY = {"to": "erased", "reason": "asked for it"}


async def everything(members: Members) -> str:
    """All rows but of what waits to be sent or answered again."""
    out = []
    async with members.db.read() as tx:
        for name, table in members.db.metadata.tables.items():
            if table.name not in ("outbox", "inbox", "dead_letters", "idempotency_keys"):
                out += [f"{name}: {row}" for row in await tx.all(select(table))]
    return "\n".join(out)


async def erased(members: Members) -> Any:
    """Somebody seen as `qq:77`, named, linked as `telegram:ada` too, in a segment, with a code at hand."""
    await members.hear(members.seen("qq:77"))
    id = identity_member_id(members.community, "qq:77")
    path = f"/v1/members/{id}"
    await members.client.patch(path, json={"display_name": "Countess", "locale": "eo", "zone": "Europe/Malta"})
    linked = await members.client.post(f"{path}/identities", json={"platform": "telegram", "external_id": "ada"})
    assert linked.status_code == 200, linked.text
    await members.client.put(f"/v1/segments/staff/members/{id}", json={"reason": "helps"})
    await members.client.post("/v1/identities/codes", json={"member_id": str(id)})
    assert "Countess" in await everything(members)
    reply = await members.client.post(f"{path}/transitions", json=WHY)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_what_names_them_is_gone_and_it_is_announced(members: Members) -> None:
    found = await erased(members)
    assert (found["state"], found["display_name"], found["identities"], found["segments"]) == ("erased", "", [], [])
    left = await everything(members)
    assert [name for name in ("Countess", "qq:77", "telegram:ada", "Malta", "'eo'") if name in left] == []
    last = (await members.announced(MemberChanged))[-1]
    assert (last.state, last.display_name, last.identities, last.segments) == ("erased", "", (), ())
    assert [str(e.member_id) for e in await members.announced(MemberTokensRevoked)] == [found["id"]]


async def test_nobody_comes_back_by_what_was_theirs(members: Members) -> None:
    found = await erased(members)
    before = len(await members.announced(MemberChanged))
    await members.hear(members.seen("qq:77"), members.seen("telegram:ada"))
    assert len(await members.announced(MemberChanged)) == before
    assert (await members.get(f"/v1/members/{found['id']}"))["identities"] == []
    assert "qq:77" not in await everything(members)
    # Who comes by another identity is somebody new.
    await members.hear(members.seen("qq:78"))
    assert len((await members.get("/v1/members"))["items"]) == 2
    new = str(identity_member_id(members.community, "qq:78"))
    for platform, external_id in (("qq", "77"), ("telegram", "ada")):
        identity = {"platform": platform, "external_id": external_id}
        path = f"/v1/members/{new}/identities"
        assert await members.refused("POST", path, json=identity) == (409, "member_erased")
        body = {"display_name": "Ada", "identity": identity}
        assert await members.refused("POST", "/v1/members", json=body) == (409, "member_erased")


@pytest.mark.parametrize("type", ["member.joined", "member.left", "member.unbanned"])
async def test_no_word_of_a_platform_brings_them_back(members: Members, type: str) -> None:
    found = await erased(members)
    await members.hear(members.said(type, "qq:77"), members.said(type, "telegram:ada"))
    assert (await members.get(f"/v1/members/{found['id']}"))["state"] == "erased"
    assert "qq:77" not in await everything(members)


async def test_they_are_changed_no_more(members: Members) -> None:
    path = f"/v1/members/{(await erased(members))['id']}"
    assert await members.refused("PATCH", path, json={"display_name": "Ada"}) == (409, "member_erased")
    assert await members.refused("POST", f"{path}/transitions", json=WHY) == (409, "transition_illegal")
    code = {"member_id": path.rpartition("/")[2]}
    assert await members.refused("POST", "/v1/identities/codes", json=code) == (409, "member_erased")
