"""API keys (K20): shown once, kept as a hash, no wider than their maker, rotated with an overlap, ended at once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from kit.auth import COMMUNITY_SCOPES, hash_secret
from kit.contracts.members import KeyChanged
from kit.contracts.platform import KeyUsed
from tests.members.support import Members


async def made(maker: httpx2.AsyncClient, *scopes: str, **fields: Any) -> dict[str, Any]:
    body = {"name": "bot", "scopes": list(scopes) or ["members:read"], **fields}
    reply = await maker.post("/v1/keys", json=body)
    assert reply.status_code == 201, reply.text
    assert reply.headers["cache-control"] == "no-store"
    key: dict[str, Any] = reply.json()
    return key


async def status(members: Members, secret: str) -> int:
    """What a key gets for asking after the members."""
    return int((await members.with_key(secret).get("/v1/members")).status_code)


@pytest.mark.parametrize("mode", ["live", "test"])
async def test_a_key_is_shown_once_and_kept_as_a_hash(members: Members, mode: str) -> None:
    key = await made(members.client, mode=mode)
    assert key["secret"].startswith(f"gh_{mode}_")
    assert key["secret"].startswith(key["hint"])
    assert "secret" not in await members.get(f"/v1/keys/{key['id']}")
    told = (await members.announced(KeyChanged))[-1]
    assert (told.hash, told.communities, told.scopes) == (
        hash_secret(key["secret"]),
        (members.community,),
        ("members:read",),
    )
    async with members.db.read() as tx:
        for table in members.db.metadata.sorted_tables:
            assert not any(key["secret"] in str(v) for row in await tx.all(table.select()) for v in row), table.name


async def test_a_key_may_what_its_scopes_say_and_nothing_else(members: Members) -> None:
    client = members.with_key((await made(members.client, "members:read"))["secret"])
    assert (await client.get("/v1/members")).status_code == 200
    for method, path, scope in (
        ("POST", "/v1/members", "members:write"),
        ("GET", "/v1/keys", "keys:write"),
        ("POST", "/v1/tokens", "tokens:write"),
        ("POST", "/v1/communities", "communities:write"),
        ("POST", "/v1/sessions/links", "keys:write"),
    ):
        body = {"display_name": "Ada", "name": "x", "scopes": ["a"]} if method == "POST" else None
        refused = await client.request(method, path, json=body)
        assert refused.status_code in (403, 422), path
        if refused.status_code == 403:
            assert (refused.json()["code"], refused.json()["scope"]) == ("scope_missing", scope)


async def test_a_key_gives_no_scope_that_its_maker_lacks(members: Members) -> None:
    maker = members.with_key((await made(members.client, "keys:write", "members:read"))["secret"])
    body = {"name": "bot", "scopes": ["members:read", "members:write"]}
    refused = await maker.post("/v1/keys", json=body)
    assert (refused.status_code, refused.json()["scope"]) == (403, "members:write")
    assert (await made(maker, "members:read"))["created_by"].startswith("key:")
    wide = await made(members.client, "members:write")
    rotated = await maker.post(f"/v1/keys/{wide['id']}/rotate")
    assert rotated.status_code == 403
    assert await status(members, wide["secret"]) == 403
    assert (await members.get(f"/v1/keys/{wide['id']}"))["revoked_at"] is None


async def test_a_test_key_makes_test_keys_only(members: Members) -> None:
    maker = members.with_key((await made(members.client, "keys:write", mode="test"))["secret"])
    refused = await maker.post("/v1/keys", json={"name": "bot", "scopes": ["keys:write"]})
    assert (refused.status_code, refused.json()["code"]) == (403, "mode_missing")
    assert (await made(maker, "keys:write", mode="test"))["secret"].startswith("gh_test_")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"scopes": ["everything"]}, "scope_unknown"),
        ({"scopes": []}, "validation_failed"),
        ({"name": " "}, "validation_failed"),
        ({"kind": "king"}, "validation_failed"),
        ({"expires_at": "2026-11-23T09:00:00Z"}, "validation_failed"),
        ({"expires_at": "2046-11-23T09:00:00Z"}, "validation_failed"),
        ({"expires_at": "2026-12-01T09:00:00"}, "validation_failed"),
    ],
)
async def test_what_is_no_key_is_refused(members: Members, fields: dict[str, Any], code: str) -> None:
    body = {"name": "bot", "scopes": ["members:read"], **fields}
    reply = await members.client.post("/v1/keys", json=body)
    assert reply.status_code == 422, reply.text
    assert code in (reply.json()["code"], "validation_failed")
    assert reply.json()["errors"][0]["pointer"].startswith(f"/{next(iter(fields))}")


async def test_a_key_expires_at_its_instant(members: Members) -> None:
    key = await made(members.client, expires_at="2026-11-23T09:01:00Z")
    members.clock.advance(timedelta(seconds=59))
    assert await status(members, key["secret"]) == 200
    members.clock.advance(timedelta(seconds=1))
    refused = await members.with_key(key["secret"]).get("/v1/members")
    assert (refused.status_code, refused.json()["code"]) == (401, "key_expired")
    rotated = await members.client.post(f"/v1/keys/{key['id']}/rotate")
    assert (rotated.status_code, rotated.json()["code"]) == (409, "key_expired")


async def test_during_a_rotation_both_secrets_work_and_then_only_the_new_one(members: Members) -> None:
    old = await made(members.client, "members:read", "events:write", expires_at="2027-01-01T00:00:00Z")
    reply = await members.client.post(f"/v1/keys/{old['id']}/rotate", json={"overlap_seconds": 3600})
    new = reply.json()
    assert (reply.status_code, new["successor_of"]) == (201, old["id"])
    same = ("name", "kind", "mode", "scopes", "expires_at")
    assert [new[name] for name in same] == [old[name] for name in same]
    members.clock.advance(timedelta(minutes=59))
    assert [await status(members, k["secret"]) for k in (old, new)] == [200, 200]
    members.clock.advance(timedelta(minutes=1))
    refused = await members.with_key(old["secret"]).get("/v1/members")
    assert (refused.status_code, refused.json()["code"]) == (401, "key_revoked")
    assert await status(members, new["secret"]) == 200
    again = await members.client.post(f"/v1/keys/{old['id']}/rotate")
    assert (again.status_code, again.json()["code"]) == (409, "key_revoked")


async def test_a_rotation_without_overlap_ends_the_old_secret_at_once(members: Members) -> None:
    old = await made(members.client)
    await members.client.post(f"/v1/keys/{old['id']}/rotate", json={"overlap_seconds": 0})
    assert await status(members, old["secret"]) == 401


async def test_of_many_rotations_at_once_one_makes_a_successor(members: Members) -> None:
    old = await made(members.client)
    replies = await asyncio.gather(*(members.client.post(f"/v1/keys/{old['id']}/rotate") for _ in range(6)))
    assert sorted(r.status_code for r in replies) == [201] + [409] * 5


async def test_a_lost_answer_is_asked_for_again_and_shows_the_same_secret(members: Members) -> None:
    body, again = {"name": "bot", "scopes": ["members:read"]}, {"Idempotency-Key": "once"}
    first, second = [await members.client.post("/v1/keys", json=body, headers=again) for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert len((await members.get("/v1/keys"))["items"]) == 2


async def test_a_revoked_key_is_refused_and_only_shown_among_the_ended(members: Members) -> None:
    key = await made(members.client)
    gone = [await members.client.delete(f"/v1/keys/{key['id']}") for _ in range(2)]
    assert [r.status_code for r in gone] == [200, 200]
    assert gone[0].json() == gone[1].json()
    assert await status(members, key["secret"]) == 401
    assert key["id"] not in [k["id"] for k in (await members.get("/v1/keys"))["items"]]
    assert key["id"] in [k["id"] for k in (await members.get("/v1/keys", ended=True))["items"]]


async def test_a_key_used_before_it_was_revoked_is_refused_two_seconds_later_at_most(members: Members) -> None:
    key = await made(members.client)
    assert await status(members, key["secret"]) == 200
    await members.client.delete(f"/v1/keys/{key['id']}")
    members.clock.advance(timedelta(seconds=2))
    assert await status(members, key["secret"]) == 401


async def test_when_a_key_was_last_used_is_known_whatever_order_the_news_comes_in(members: Members) -> None:
    key = await made(members.client)
    assert (await members.get(f"/v1/keys/{key['id']}"))["last_used_at"] is None
    now = members.clock()
    uses = [KeyUsed(key_id=UUID(key["id"]), used_at=now + timedelta(minutes=m)) for m in (3, 1)]
    await members.hear(*uses)
    await members.hear(KeyUsed(key_id=UUID(key["id"]), used_at=now + timedelta(minutes=2)))
    assert (await members.get(f"/v1/keys/{key['id']}"))["last_used_at"] == "2026-11-23T09:03:00Z"


async def test_the_first_key_has_every_scope_of_its_community(members: Members) -> None:
    [first] = (await members.get("/v1/keys"))["items"]
    assert set(first["scopes"]) == COMMUNITY_SCOPES
