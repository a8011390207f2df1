"""API keys: made, rotated, revoked, announced to every service."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from kit import copies, outbox
from kit.auth import COMMUNITY_SCOPES, Principal, new_key
from kit.clock import uuid7
from kit.contracts import Envelope
from kit.contracts.members import KeyChanged
from kit.contracts.platform import KeyUsed
from kit.database import Tx
from kit.errors import Conflict, FieldError, Forbidden, NotFound, Unprocessable
from services.members import domain
from services.members.store import credentials

LONGEST = timedelta(days=3660)


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
    maker_mode: str = "live",
    successor_of: UUID | None = None,
) -> tuple[dict[str, Any], str]:
    """A new key: its row, and the secret that is shown once. `held` are the scopes its maker has to give.

    A key cannot give what its maker lacks: scopes, and the right to send outside that a test key has not.
    """
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
    if mode == "live" and maker_mode != "live":
        raise Forbidden("a test key makes test keys only", code="mode_missing")
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
        "expires_at": _checked_expiry(tx, expires_at),
        "revoked_at": None,
        "successor_of": successor_of,
        "last_used_at": None,
        "created_by": created_by,
        "created_at": tx.now,
    }
    await credentials.add_key(tx, row=row)
    await _announce_key(tx, row)
    return row, secret


def _checked_expiry(tx: Tx, expires_at: datetime | None) -> datetime | None:
    if expires_at is None:
        return None
    if not tx.now < expires_at <= tx.now + LONGEST:
        wrong = FieldError("/expires_at", "expiry_out_of_range", "a moment to come, within ten years")
        raise Unprocessable("a key expires in the future, within ten years", errors=[wrong])
    return expires_at.astimezone(UTC)


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
    if old["expires_at"] is not None and old["expires_at"] <= tx.now:
        raise Conflict("this key has expired; make a new one", code="key_expired")
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
        maker_mode=principal.mode,
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
