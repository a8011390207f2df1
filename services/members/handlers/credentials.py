"""API keys and member tokens: made, rotated, revoked, announced to every service."""

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kit import copies, outbox
from kit.auth import AUDIENCE, COMMUNITY_SCOPES, Principal, new_key
from kit.clock import uuid7
from kit.contracts import Envelope
from kit.contracts.members import KeyChanged, MemberTokensRevoked, SigningKeyChanged
from kit.contracts.platform import KeyUsed
from kit.database import Tx, try_lock
from kit.errors import Conflict, FieldError, Forbidden, NotFound, Unprocessable
from services.members import domain
from services.members.handlers.people import existing
from services.members.store import credentials

TOKEN_SECONDS = 900
SIGNING_KEY_GRACE = timedelta(seconds=2 * TOKEN_SECONDS)


async def _announce_key(tx: Tx, row: dict[str, Any]) -> None:
    event = KeyChanged(
        key_id=row["id"],
        version=row["version"],
        name=row["name"],
        hash=row["hash"],
        kind=row["kind"],
        mode=row["mode"],
        communities=(row["community_id"],),
        scopes=tuple(row["scopes"]),
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
    outbox.add(tx, event)
    await copies.apply(tx, [event])


async def create_key(
    tx: Tx,
    *,
    community_id: UUID,
    name: str,
    kind: str,
    mode: str,
    scopes: list[str],
    expires_at: datetime | None,
    created_by: str,
    held: frozenset[str] = COMMUNITY_SCOPES,
    successor_of: UUID | None = None,
) -> tuple[dict[str, Any], str]:
    """A new key: its row, and the secret that is shown once. `held` are the scopes its maker has to give."""
    unknown = domain.unknown_scopes(scopes, COMMUNITY_SCOPES)
    if unknown:
        known = ", ".join(sorted(COMMUNITY_SCOPES))
        wrong = FieldError("/scopes", "scope_unknown", f"unknown: {', '.join(unknown)}; known: {known}")
        raise Unprocessable("there is no such scope", code="scope_unknown", errors=[wrong])
    beyond = sorted(set(scopes) - held)
    if beyond:
        raise Forbidden(
            f"a key cannot give what its maker lacks: {', '.join(beyond)}", code="scope_missing", scope=beyond[0]
        )
    secret, digest = new_key(mode)
    row = {
        "id": uuid7(tx.now),
        "community_id": community_id,
        "version": 1,
        "name": name,
        "hash": digest,
        "hint": secret[:12],
        "kind": kind,
        "mode": mode,
        "scopes": sorted(set(scopes)),
        "expires_at": expires_at,
        "revoked_at": None,
        "successor_of": successor_of,
        "last_used_at": None,
        "created_by": created_by,
        "created_at": tx.now,
    }
    await credentials.add_key(tx, row=row)
    await _announce_key(tx, row)
    return row, secret


async def existing_key(tx: Tx, community_id: UUID, key_id: UUID, *, lock: bool = False) -> dict[str, Any]:
    row = await credentials.key(tx, community_id=community_id, key_id=key_id, lock=lock)
    if row is None:
        raise NotFound("no such key", code="key_unknown")
    return dict(row._mapping)


async def rotate_key(
    tx: Tx, *, community_id: UUID, key_id: UUID, overlap: timedelta, principal: Principal
) -> tuple[dict[str, Any], str]:
    """A successor with the same rights; the old secret works for `overlap` more, so that nothing stops meanwhile."""
    old = await existing_key(tx, community_id, key_id, lock=True)
    if old["revoked_at"] is not None:
        raise Conflict("this key was rotated or revoked already", code="key_revoked")
    made = await create_key(
        tx,
        community_id=community_id,
        name=old["name"],
        kind=old["kind"],
        mode=old["mode"],
        scopes=old["scopes"],
        expires_at=old["expires_at"],
        created_by=principal.actor,
        held=principal.scopes,
        successor_of=key_id,
    )
    await end_key(tx, old, tx.now + overlap)
    return made


async def end_key(tx: Tx, row: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Revoke from `at` on."""
    ended = {**row, "version": row["version"] + 1, "revoked_at": at}
    await credentials.end_key(tx, key_id=row["id"], version=ended["version"], revoked_at=at)
    await _announce_key(tx, ended)
    return ended


async def note_use(tx: Tx, batch: list[Envelope[KeyUsed]]) -> None:
    """Remember when each key was last seen anywhere."""
    uses: dict[UUID, datetime] = {}
    for envelope in batch:
        event = envelope.event
        uses[event.key_id] = max(event.used_at, uses.get(event.key_id, event.used_at))
    await credentials.mark_used(tx, uses=uses)


def _box(secret_key: str) -> Fernet:
    """Private keys rest encrypted under the installation's secret."""
    digest = hashlib.sha256(b"guildhall signing keys\n" + secret_key.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


async def rotate_signing_key(tx: Tx, *, secret_key: str) -> str:
    """A new key signs from now on; the old ones verify until the last token they signed is over. Returns its kid."""
    private = Ed25519PrivateKey.generate()
    raw = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    x = (
        base64.urlsafe_b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        .rstrip(b"=")
        .decode()
    )
    kid = hashlib.sha256(x.encode()).hexdigest()[:16]
    for row in await credentials.signing_keys(tx):
        if row.retired_at is None:
            retired = tx.now + SIGNING_KEY_GRACE
            await credentials.retire_signing_key(tx, kid=row.kid, version=row.version + 1, retired_at=retired)
            await _announce_signing_key(tx, row.kid, row.version + 1, row.x, row.created_at, retired)
    sealed = _box(secret_key).encrypt(raw)
    row = {"kid": kid, "version": 1, "x": x, "sealed": sealed, "created_at": tx.now, "retired_at": None}
    await credentials.add_signing_key(tx, row=row)
    await _announce_signing_key(tx, kid, 1, x, tx.now, None)
    return kid


async def _announce_signing_key(
    tx: Tx, kid: str, version: int, x: str, created_at: datetime, retired_at: datetime | None
) -> None:
    event = SigningKeyChanged(kid=kid, version=version, x=x, created_at=created_at, retired_at=retired_at)
    outbox.add(tx, event)
    await copies.apply(tx, [event])


async def make_token(
    tx: Tx, *, community_id: UUID, member_id: UUID, seconds: int, secret_key: str
) -> tuple[str, datetime]:
    """A token for one member and when it ends. NotFound for nobody, Conflict for one who is out."""
    member = await existing(tx, community_id, member_id)
    if member.state in ("removed", "banned", "erased", "rejected"):
        raise Conflict(f"this member is {member.state} and gets no token", code="member_out")
    signing = next((k for k in await credentials.signing_keys(tx) if k.retired_at is None), None)
    if signing is None:
        # Two replicas that both find no key make one after the other.
        if not await try_lock(tx, "first signing key"):
            raise Conflict("the first signing key is being made; try again", code="try_again", retry_after=1)
        await rotate_signing_key(tx, secret_key=secret_key)
        signing = (await credentials.signing_keys(tx))[0]
    private = Ed25519PrivateKey.from_private_bytes(_box(secret_key).decrypt(signing.sealed))
    expires = tx.now + timedelta(seconds=seconds)
    claims = {
        "sub": str(member_id),
        "community": str(community_id),
        "aud": AUDIENCE,
        "jti": str(uuid7(tx.now)),
        "iat": int(tx.now.timestamp()),
        "exp": int(expires.timestamp()),
    }
    return jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": signing.kid}), expires


async def revoke_tokens(tx: Tx, *, community_id: UUID, member_id: UUID) -> None:
    """Every token this member holds now is void, within seconds everywhere."""
    await existing(tx, community_id, member_id)
    version = int(tx.now.timestamp() * 1_000_000)
    row = {"community_id": community_id, "member_id": member_id, "version": version, "issued_before": tx.now}
    await credentials.revoke_tokens(tx, row=row)
    event = MemberTokensRevoked(community_id=community_id, member_id=member_id, version=version, issued_before=tx.now)
    outbox.add(tx, event)
    await copies.apply(tx, [event])
