"""Operators' sessions: a one-time link, then a cookie (K22)."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from kit import copies, outbox
from kit.auth import hash_secret
from kit.clock import uuid7
from kit.contracts.members import SessionChanged
from kit.database import Tx
from kit.errors import NotFound, Unauthorized
from services.members.store import places

LINK_LIFETIME = timedelta(minutes=15)
SESSION_LIFETIME = timedelta(days=14)


async def create_sign_in_link(tx: Tx, *, operator: str, communities: Sequence[UUID] = (), created_by: str) -> str:
    """The token of a one-time link, good for 15 minutes. NotFound for an operator we do not have.

    The session it begins reaches at most these communities (empty: all the operator's own).
    """
    if await places.operator(tx, name=operator) is None:
        raise NotFound("no such operator", code="operator_unknown")
    token = secrets.token_urlsafe(32)
    row = {
        "hash": hash_secret(token),
        "operator": operator,
        "communities": [str(c) for c in communities],
        "created_by": created_by,
        "expires_at": tx.now + LINK_LIFETIME,
    }
    await places.add_link(tx, row=row)
    return token


async def link_is_good(tx: Tx, *, token: str) -> bool:
    """Whether the link would begin a session now; looking does not use it up."""
    return await places.link_is_good(tx, digest=hash_secret(token))


async def sign_in(tx: Tx, *, token: str) -> str:
    """Use a one-time link up and begin a session; the cookie's secret. Unauthorized when the link is not good."""
    link = await places.take_link(tx, digest=hash_secret(token))
    operator = await places.operator(tx, name=link.operator) if link is not None else None
    communities = _narrowed(operator.communities, link.communities) if operator and link else None
    if operator is None or communities is None:
        raise Unauthorized("this link was used or has expired; ask for a new one", code="sign_in_link_invalid")
    secret = secrets.token_urlsafe(32)
    session = {
        "id": uuid7(tx.now),
        "version": 1,
        "hash": hash_secret(secret),
        "operator": operator.name,
        "role": operator.role,
        "communities": communities,
        "expires_at": tx.now + SESSION_LIFETIME,
        "revoked_at": None,
    }
    await places.add_session(tx, row=session)
    await _announce_session(tx, session)
    return secret


def _narrowed(own: list[str], link: list[str]) -> list[str] | None:
    """What both reach, an empty list standing for all; None when that is nothing."""
    if not own or not link:
        return own or link
    return [c for c in own if c in link] or None


async def session_of(tx: Tx, *, secret: str) -> Any:
    """The session of a cookie. Unauthorized when there is none (any more)."""
    row = await places.session_by_hash(tx, digest=hash_secret(secret))
    if row is None or row.revoked_at is not None or row.expires_at <= tx.now:
        raise Unauthorized("you are not signed in, or not any more", code="session_ended")
    return row


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
