"""Member tokens and the keys that sign them."""

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kit import copies, outbox
from kit.auth import AUDIENCE
from kit.clock import uuid7
from kit.contracts.members import SigningKeyChanged
from kit.database import Tx, try_lock
from kit.errors import Conflict
from kit.metrics import TOKENS_ISSUED
from kit.sealing import Box
from services.members import domain
from services.members.handlers.people import existing
from services.members.handlers.revocations import void_tokens
from services.members.store import credentials

TOKEN_SECONDS = 900
SIGNS_AFTER = timedelta(seconds=30)
"""A new key is published this long before it signs: every service knows it by then."""
LEEWAY = timedelta(seconds=60)


def _box(secret_key: str) -> Box:
    return Box(secret_key, "members: signing keys")


async def rotate_signing_key(tx: Tx, *, secret_key: str) -> Any:
    """Publish a new key, which signs after `SIGNS_AFTER` (at once when it is the first). Its row.

    The earlier ones stay published until the last token they may sign has ended. While a new key is waiting to sign,
    that one is returned and none is made. Conflict when another process is at it.
    """
    if not await try_lock(tx, "signing keys"):
        raise Conflict("the signing keys are being changed; try again", code="try_again", retry_after=1)
    there = await credentials.signing_keys(tx)
    waiting = next((row for row in there if row.signs_from > tx.now), None)
    if waiting is not None:
        return waiting
    present = [row for row in there if row.retired_at is None]
    signs_from = tx.now + SIGNS_AFTER if present else tx.now
    retired_at = signs_from + timedelta(seconds=TOKEN_SECONDS) + LEEWAY
    for row in present:
        await credentials.retire_signing_key(tx, kid=row.kid, version=row.version + 1, retired_at=retired_at)
        await _announce(tx, {**row._mapping, "version": row.version + 1, "retired_at": retired_at})
    made = _new_key(tx, secret_key, signs_from)
    await credentials.add_signing_key(tx, row=made)
    await _announce(tx, made)
    return next(row for row in await credentials.signing_keys(tx) if row.kid == made["kid"])


def _new_key(tx: Tx, secret_key: str, signs_from: datetime) -> dict[str, Any]:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    return {
        "kid": hashlib.sha256(x.encode()).hexdigest()[:16],
        "version": 1,
        "x": x,
        "sealed": _box(secret_key).seal(private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())),
        "created_at": tx.now,
        "signs_from": signs_from,
        "retired_at": None,
    }


async def _announce(tx: Tx, row: dict[str, Any]) -> None:
    event = SigningKeyChanged(
        kid=row["kid"], version=row["version"], x=row["x"], created_at=row["created_at"], retired_at=row["retired_at"]
    )
    outbox.add(tx, event)
    await copies.apply(tx, [event])


async def signing_key(tx: Tx, *, secret_key: str) -> Any:
    """The key that signs now; made when there is none."""
    signing = next((row for row in await credentials.signing_keys(tx) if row.signs_from <= tx.now), None)
    return signing if signing is not None else await rotate_signing_key(tx, secret_key=secret_key)


async def make_token(
    tx: Tx, *, community_id: UUID, member_id: UUID, seconds: int, secret_key: str
) -> tuple[str, datetime]:
    """A token for one member and when it ends. NotFound for nobody, Conflict for one who was put out."""
    member = await existing(tx, community_id, member_id)
    if member.state in domain.WITHOUT_TOKENS:
        raise Conflict(f"this member is {member.state} and gets no token", code="member_out")
    signing = await signing_key(tx, secret_key=secret_key)
    private = Ed25519PrivateKey.from_private_bytes(_box(secret_key).open(signing.sealed))
    issued = int(tx.now.timestamp())
    void_before = await credentials.tokens_void_before(tx, community_id=community_id, member_id=member_id)
    if void_before is not None:
        # Tokens count whole seconds: one made in the second of a revocation would be void with those before it.
        issued = max(issued, int(void_before.timestamp()) + 1)
    expires = tx.now + timedelta(seconds=seconds)
    claims = {
        "sub": str(member_id),
        "community": str(community_id),
        "aud": AUDIENCE,
        "jti": str(uuid7(tx.now)),
        "iat": issued,
        "exp": int(expires.timestamp()),
    }
    tx.after_commit.append(TOKENS_ISSUED.inc)
    return jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": signing.kid}), expires


async def revoke_tokens(tx: Tx, *, community_id: UUID, member_id: UUID) -> None:
    """Every token this member holds now is void, within seconds everywhere. NotFound for nobody."""
    await existing(tx, community_id, member_id)
    await void_tokens(tx, [(community_id, member_id)])
