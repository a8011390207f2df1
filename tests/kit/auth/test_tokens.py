"""Member tokens: signed by the members service, checked here against the published keys (K21)."""

import base64
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.auth import AUDIENCE, FRESH
from kit.contracts.members import MemberTokensRevoked, SigningKeyChanged
from tests.kit.stand import Stand, bearer

WHO = "/v1/scratch/who"


class Signer:
    """The members service's side: a key, its announcement, and tokens."""

    def __init__(self, now: datetime) -> None:
        self.private = Ed25519PrivateKey.generate()
        raw = self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        self.changed = SigningKeyChanged(kid=uuid4().hex, version=1, x=x, created_at=now, retired_at=None)

    def token(self, member: UUID, community: UUID, now: datetime, claims: dict[str, Any] | None = None) -> str:
        body: dict[str, Any] = {
            "sub": str(member),
            "community": str(community),
            "aud": AUDIENCE,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(minutes=15)).timestamp()),
            **(claims or {}),
        }
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, self.private, algorithm="EdDSA", headers={"kid": self.changed.kid})


@pytest.fixture
async def signer(stand: Stand) -> Signer:
    signer = Signer(stand.clock.now)
    await stand.known(signer.changed)
    return signer


async def code_of(stand: Stand, token: str, **headers: str) -> str:
    """ "ok", or the code of the refusal."""
    reply = await stand.client.get(WHO, headers={**bearer(token), **headers})
    return "ok" if reply.status_code == 200 else str(reply.json()["code"])


async def test_a_token_speaks_for_one_member_of_one_community(stand: Stand, signer: Signer) -> None:
    member = uuid4()
    reply = await stand.client.get(WHO, headers=bearer(signer.token(member, stand.community, stand.clock.now)))
    body = reply.json()
    assert (body["kind"], body["member"], body["community"]) == ("member", str(member), str(stand.community))
    assert body["scopes"] == ["self"]


async def test_a_token_opens_only_what_is_open_to_members(stand: Stand, signer: Signer) -> None:
    headers = bearer(signer.token(uuid4(), stand.community, stand.clock.now))
    assert (await stand.client.get("/v1/scratch/mine", headers=headers)).status_code == 200
    for path in ("/v1/scratch/read", "/v1/scratch/both"):
        reply = await stand.client.get(path, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (403, "scope_missing")


async def test_a_token_cannot_name_another_community(stand: Stand, signer: Signer) -> None:
    other = await stand.community_known()
    token = signer.token(uuid4(), stand.community, stand.clock.now)
    assert await code_of(stand, token, **{"Guildhall-Community": str(other)}) == "community_unknown"


async def test_a_token_ends_at_its_instant_also_while_it_is_kept(stand: Stand, signer: Signer) -> None:
    token = signer.token(uuid4(), stand.community, stand.clock.now)
    stand.clock.advance(timedelta(minutes=14, seconds=59))
    assert await code_of(stand, token) == "ok"
    stand.clock.advance(timedelta(seconds=1))
    assert await code_of(stand, token) == "token_expired"


async def test_a_token_of_another_signer_audience_or_form_is_refused(stand: Stand, signer: Signer) -> None:
    member, now = uuid4(), stand.clock.now
    stranger = Signer(now)
    assert await code_of(stand, stranger.token(member, stand.community, now)) == "token_invalid"
    forged = Signer(now)
    forged.changed = signer.changed
    assert await code_of(stand, forged.token(member, stand.community, now)) == "token_invalid"
    for wrong in ({"aud": "another"}, {"sub": "not-an-id"}, {"exp": None}, {"community": None}, {"exp": "soon"}):
        token = signer.token(member, stand.community, now, wrong)
        assert await code_of(stand, token) == "token_invalid", wrong
    good = signer.token(member, stand.community, now)
    head, body, signature = good.split(".")
    assert await code_of(stand, f"{head}.{body}.{signature[:-4]}AAAA") == "token_invalid"


async def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(stand: Stand, signer: Signer) -> None:
    """The classic confusion of algorithms: the published key taken for an HMAC secret."""
    claims = jwt.decode(signer.token(uuid4(), stand.community, stand.clock.now), options={"verify_signature": False})
    token = jwt.encode(claims, signer.changed.x, algorithm="HS256", headers={"kid": signer.changed.kid})
    assert await code_of(stand, token) == "token_invalid"


async def test_keys_rotate_without_anybody_being_turned_away(stand: Stand, signer: Signer) -> None:
    old = signer.token(uuid4(), stand.community, stand.clock.now)
    successor = Signer(stand.clock.now)
    await stand.known(successor.changed)
    new = successor.token(uuid4(), stand.community, stand.clock.now)
    assert [await code_of(stand, old), await code_of(stand, new)] == ["ok", "ok"]
    await stand.known(replace(signer.changed, version=2, retired_at=stand.clock.now))
    stand.clock.advance(FRESH)
    assert [await code_of(stand, old), await code_of(stand, new)] == ["token_invalid", "ok"]


async def test_revoking_a_members_tokens_ends_those_from_before_and_no_others(stand: Stand, signer: Signer) -> None:
    member, other = uuid4(), uuid4()
    tokens = {who: signer.token(who, stand.community, stand.clock.now) for who in (member, other)}
    assert await code_of(stand, tokens[member]) == "ok"
    await stand.known(
        MemberTokensRevoked(community_id=stand.community, member_id=member, version=1, issued_before=stand.clock.now)
    )
    stand.clock.advance(FRESH)
    assert await code_of(stand, tokens[member]) == "token_revoked"
    assert await code_of(stand, tokens[other]) == "ok"
    assert await code_of(stand, signer.token(member, stand.community, stand.clock.now)) == "ok"
