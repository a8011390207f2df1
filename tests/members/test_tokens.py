"""Member tokens (K21): short, for one member, checked with published keys, rotated without a gap, revoked for good."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import jwt
import pytest

from kit.auth import AUDIENCE
from kit.contracts.members import MemberTokensRevoked, SigningKeyChanged
from tests.members.support import Members


async def token_for(members: Members, member: dict[str, Any], **fields: Any) -> str:
    reply = await members.client.post("/v1/tokens", json={"member_id": member["id"], **fields})
    assert reply.status_code == 201, reply.text
    assert reply.headers["cache-control"] == "no-store"
    return str(reply.json()["token"])


async def answer(members: Members, token: str, member: dict[str, Any]) -> httpx2.Response:
    """What a token gets for asking after the member."""
    return await members.with_key(token).get(f"/v1/members/{member['id']}")


async def published(members: Members) -> dict[str, Any]:
    reply = await members.anonymous().get("/.well-known/jwks.json")
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "public, max-age=10")
    assert reply.json() == (await members.anonymous().get("/v1/tokens/keys")).json()
    return {key["kid"]: key for key in reply.json()["keys"]}


async def test_anybody_checks_a_token_with_the_published_keys_alone(members: Members) -> None:
    ada = await members.add()
    token = await token_for(members, ada)
    keys = await published(members)
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "EdDSA"
    assert set(keys[header["kid"]]) == {"kty", "crv", "alg", "use", "kid", "x"}
    claims = jwt.decode(
        token,
        jwt.PyJWK(keys[header["kid"]]).key,
        algorithms=["EdDSA"],
        audience=AUDIENCE,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert (claims["sub"], claims["community"]) == (ada["id"], str(members.community))
    assert claims["exp"] - claims["iat"] == 900


async def test_a_token_ends_at_its_instant_and_no_later_than_after_fifteen_minutes(members: Members) -> None:
    ada = await members.add()
    token = await token_for(members, ada, ttl=10)
    members.clock.advance(timedelta(seconds=9))
    assert (await answer(members, token, ada)).status_code == 200
    members.clock.advance(timedelta(seconds=1))
    late = await answer(members, token, ada)
    assert (late.status_code, late.json()["code"]) == (401, "token_expired")
    for ttl in (0, 9, 901):
        wrong = await members.client.post("/v1/tokens", json={"member_id": ada["id"], "ttl": ttl})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/ttl")


async def test_a_token_is_made_for_an_identity_too_and_for_nobody_else(members: Members) -> None:
    ada = await members.add(identity={"platform": "qq", "external_id": "77"})
    made = await members.client.post("/v1/tokens", json={"identity": {"platform": "qq", "external_id": "77"}})
    assert (made.status_code, made.json()["member_id"]) == (201, ada["id"])
    nobody = {"identity": {"platform": "qq", "external_id": "78"}}
    assert await members.refused("POST", "/v1/tokens", json=nobody) == (404, "identity_unknown")
    assert (await members.client.post("/v1/tokens", json={})).status_code == 422
    both = {"member_id": ada["id"], **nobody}
    assert (await members.client.post("/v1/tokens", json=both)).status_code == 422


def tampered(token: str, part: int) -> str:
    parts = token.split(".")
    first = parts[part][0]
    parts[part] = ("A" if first != "A" else "B") + parts[part][1:]
    return ".".join(parts)


async def test_a_token_that_is_not_ours_opens_nothing(members: Members) -> None:
    ada = await members.add()
    token = await token_for(members, ada)
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    unsigned = jwt.encode(claims, None, algorithm="none", headers={"kid": kid})
    [x] = [key["x"] for key in (await published(members)).values()]
    confused = jwt.encode(claims, x.ljust(32, "x"), algorithm="HS256", headers={"kid": kid})
    for wrong in (unsigned, confused, *(tampered(token, n) for n in range(3)), token[:-5], "eyJ.eyJ.x", "x"):
        refused = await answer(members, wrong, ada)
        assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid"), wrong


async def test_another_key_is_published_before_it_signs_and_the_old_one_until_its_last_token_ended(
    members: Members,
) -> None:
    ada = await members.add()
    before = await token_for(members, ada)
    [old] = await published(members)
    rotated = (await members.client.post("/v1/tokens/keys/rotate")).json()
    assert set(await published(members)) == {old, rotated["kid"]}
    members.clock.advance(timedelta(seconds=29))
    last_of_old = await token_for(members, ada)
    assert jwt.get_unverified_header(last_of_old)["kid"] == old
    members.clock.advance(timedelta(seconds=1))
    first_of_new = await token_for(members, ada)
    assert jwt.get_unverified_header(first_of_new)["kid"] == rotated["kid"]
    for token in (before, last_of_old, first_of_new):
        assert (await answer(members, token, ada)).status_code == 200
    members.clock.advance(timedelta(seconds=898))
    assert (await answer(members, last_of_old, ada)).status_code == 200
    assert old in await published(members)
    members.clock.advance(timedelta(seconds=120))
    assert set(await published(members)) == {rotated["kid"]}
    told = await members.announced(SigningKeyChanged)
    assert [(e.kid, e.version, e.retired_at is None) for e in told] == [
        (old, 1, True),
        (old, 2, False),
        (rotated["kid"], 1, True),
    ]


async def test_many_rotations_at_once_make_one_key(members: Members) -> None:
    await token_for(members, await members.add())
    replies = await asyncio.gather(*(members.client.post("/v1/tokens/keys/rotate") for _ in range(8)))
    assert {r.status_code for r in replies} <= {200, 409}
    assert len({r.json()["kid"] for r in replies if r.status_code == 200}) == 1
    assert len(await published(members)) == 2


async def test_the_private_key_is_sealed_in_the_database(members: Members) -> None:
    await token_for(members, await members.add())
    async with members.db.read() as tx:
        [row] = await tx.all(members.db.table("signing_keys").select())
    assert row.sealed.startswith(b"gAAAA")
    assert len(row.sealed) > 100


@pytest.mark.parametrize("state", ["removed", "banned", "erased"])
async def test_who_was_put_out_gets_no_token(members: Members, state: str) -> None:
    ada = await members.add()
    await members.client.post(f"/v1/members/{ada['id']}/transitions", json={"to": state, "reason": "x"})
    assert await members.refused("POST", "/v1/tokens", json={"member_id": ada["id"]}) == (409, "member_out")


async def test_revoked_tokens_are_void_and_one_made_in_the_same_second_is_good(members: Members) -> None:
    ada, ben = await members.add(), await members.add(display_name="Ben")
    old, bens = await token_for(members, ada), await token_for(members, ben)
    assert (await answer(members, old, ada)).status_code == 200
    revoked = await members.client.post("/v1/tokens/revocations", json={"member_id": ada["id"]})
    assert revoked.status_code == 200
    new = await token_for(members, ada)
    members.clock.advance(timedelta(seconds=2))
    late = await answer(members, old, ada)
    assert (late.status_code, late.json()["code"]) == (401, "token_revoked")
    assert (await answer(members, new, ada)).status_code == 200
    assert (await answer(members, bens, ben)).status_code == 200
    assert [str(e.member_id) for e in await members.announced(MemberTokensRevoked)] == [ada["id"]]
