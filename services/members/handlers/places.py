"""Communities and the operators who run them."""

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

from kit import copies, outbox
from kit.auth import hash_secret
from kit.clock import uuid7
from kit.contracts.members import CommunityChanged, SessionChanged
from kit.database import Tx
from kit.errors import NotFound, Unauthorized
from services.members.store import places

LINK_LIFETIME = timedelta(minutes=15)
SESSION_LIFETIME = timedelta(days=14)

CHARTER_FIELDS = ("purpose", "audience", "gives", "gets")


async def _announce_community(tx: Tx, community_id: UUID) -> Any:
    row = await places.community(tx, community_id=community_id)
    assert row is not None
    event = CommunityChanged(
        community_id=row.id,
        version=row.version,
        name=row.name,
        zone=row.zone,
        day_start=row.day_start,
        locale=row.locale,
        state=row.state,
        purpose=row.charter.get("purpose", ""),
        audience=row.charter.get("audience", ""),
    )
    outbox.add(tx, event)
    await copies.apply(tx, [event])
    return row


async def create_community(
    tx: Tx, *, name: str, zone: str, day_start: int, locale: str, charter: dict[str, str]
) -> Any:
    """A new community; its row."""
    community_id = uuid7(tx.now)
    row = {
        "id": community_id,
        "version": 1,
        "name": name,
        "zone": zone,
        "day_start": day_start,
        "locale": locale,
        "state": "active",
        "charter": charter,
        "created_at": tx.now,
        "changed_at": tx.now,
    }
    await places.add_community(tx, row=row)
    return await _announce_community(tx, community_id)


async def existing_community(tx: Tx, community_id: UUID, *, lock: bool = False) -> Any:
    row = await places.community(tx, community_id=community_id, lock=lock)
    if row is None:
        raise NotFound("no such community", code="community_unknown")
    return row


async def change_community(tx: Tx, row: Any, changes: dict[str, Any]) -> Any:
    """Write changed fields as a new version; `charter` parts are merged."""
    charter = {**row.charter, **{k: changes.pop(k) for k in CHARTER_FIELDS if k in changes}}
    values = {**changes, "charter": charter, "version": row.version + 1, "changed_at": tx.now}
    await places.save_community(tx, community_id=row.id, values=values)
    return await _announce_community(tx, row.id)


async def make_sign_in_link(tx: Tx, *, operator: str) -> str:
    """The token of a one-time link, good for 15 minutes. NotFound for an operator we do not have."""
    if await places.operator(tx, name=operator) is None:
        raise NotFound("no such operator", code="operator_unknown")
    token = secrets.token_urlsafe(32)
    await places.add_link(tx, digest=hash_secret(token), operator=operator, expires_at=tx.now + LINK_LIFETIME)
    return token


async def sign_in(tx: Tx, *, token: str) -> str:
    """Use a one-time link up and begin a session; the cookie's secret. Unauthorized when the link is not good."""
    name = await places.take_link(tx, digest=hash_secret(token))
    operator = await places.operator(tx, name=name) if name else None
    if operator is None:
        raise Unauthorized("this link was used or has expired; ask for a new one", code="sign_in_link_invalid")
    secret = secrets.token_urlsafe(32)
    session = {
        "id": uuid7(tx.now),
        "version": 1,
        "hash": hash_secret(secret),
        "operator": operator.name,
        "role": operator.role,
        "communities": operator.communities,
        "expires_at": tx.now + SESSION_LIFETIME,
        "revoked_at": None,
    }
    await places.add_session(tx, row=session)
    await _announce_session(tx, session)
    return secret


async def sign_out(tx: Tx, *, secret: str) -> None:
    """End the session of this cookie; nothing when there is none."""
    row = await places.session_by_hash(tx, digest=hash_secret(secret))
    if row is not None and row.revoked_at is None:
        await places.end_session(tx, session_id=row.id, version=row.version + 1)
        await _announce_session(tx, {**row._mapping, "version": row.version + 1, "revoked_at": tx.now})


async def _announce_session(tx: Tx, session: dict[str, Any]) -> None:
    event = SessionChanged(
        session_id=session["id"],
        version=session["version"],
        hash=session["hash"],
        operator=session["operator"],
        role=session["role"],
        communities=tuple(UUID(c) for c in session["communities"]),
        expires_at=session["expires_at"],
        revoked_at=session["revoked_at"],
    )
    outbox.add(tx, event)
    await copies.apply(tx, [event])


async def operator_communities(tx: Tx, name: str) -> list[str]:
    """The communities an operator runs; empty means all."""
    row = await places.operator(tx, name=name)
    return list(row.communities) if row is not None else []
