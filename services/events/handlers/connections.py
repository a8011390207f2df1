"""Connections of bots: made, changed, their secrets replaced, what is known of them kept for the door."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from kit.clock import uuid7
from kit.database import DatabaseUnavailable, Tx
from kit.errors import FieldError, NotFound, Unprocessable
from kit.sealing import Box
from kit.service import ServiceRuntime
from services.events.commands import PREFIXES
from services.events.receivers import receivers
from services.events.receivers.form import Malformed, Receiver
from services.events.store import connections as store

FRESH = timedelta(seconds=2)
STALE = timedelta(minutes=15)
LOOKUP_SECONDS = 0.5
PURPOSE = "events: connections"


class _Kept(msgspec.Struct):
    """One version of a connection's secrets. `until` None: the present one."""

    secrets: msgspec.Raw
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A connection as the door needs it; `secrets` are those in force, the present ones first; `prefixes` what commands
    begin with, none: there are none."""

    id: UUID
    community_id: UUID
    name: str
    active: bool
    receiver: Receiver[Any, Any]
    settings: Any
    secrets: tuple[Any, ...]
    prefixes: tuple[str, ...]


def receiver_named(platform: str) -> Receiver[Any, Any]:
    found = receivers().get(platform)
    if found is None:
        wrong = FieldError("/platform", "platform_unknown", f"one of {', '.join(receivers())}")
        raise Unprocessable("there is no receiver for this platform", code="platform_unknown", errors=[wrong])
    return found


def settings_of(receiver: Receiver[Any, Any], given: Mapping[str, Any]) -> Any:
    """The settings as the receiver takes them; Unprocessable names the first that is wrong."""
    try:
        return msgspec.convert(dict(given), receiver.settings)
    except msgspec.ValidationError as error:
        wrong = FieldError("/settings", "settings_invalid", str(error))
        message = f"these are no settings for {receiver.title}: {error}"
        raise Unprocessable(message, code="settings_invalid", errors=[wrong]) from error


def secrets_of(receiver: Receiver[Any, Any], given: Mapping[str, str]) -> Any:
    """Those given, and ours for the rest; Unprocessable for one that only the platform can tell."""
    unknown = sorted(set(given) - set(receiver.secrets.__struct_fields__))
    if unknown:
        raise _unfit(receiver, "", f"there is no secret {unknown[0]!r}")
    try:
        return receiver.make_secrets(given)
    except Malformed as error:
        raise _unfit(receiver, error.pointer, error.message) from error


def _unfit(receiver: Receiver[Any, Any], pointer: str, message: str) -> Unprocessable:
    wrong = FieldError(f"/secrets{pointer}", "secrets_invalid", message)
    return Unprocessable(f"secrets for {receiver.title}: {message}", code="secrets_invalid", errors=[wrong])


def sealed(one: ServiceRuntime, versions: Sequence[tuple[Any, datetime | None]]) -> bytes:
    kept = [_Kept(msgspec.Raw(msgspec.json.encode(secrets)), until) for secrets, until in versions]
    return Box(one.settings.secret_key, PURPOSE).seal(msgspec.json.encode(kept))


def opened(one: ServiceRuntime, row: Any) -> list[tuple[Any, datetime | None]]:
    """Every version of a connection's secrets that is kept, newest first, with the instant it ends."""
    receiver = receivers()[row.platform]
    plain = Box(one.settings.secret_key, PURPOSE).open(row.sealed)
    kept = msgspec.json.decode(plain, type=list[_Kept])
    return [(msgspec.json.decode(one.secrets, type=receiver.secrets), one.until) for one in kept]


async def create(
    tx: Tx,
    one: ServiceRuntime,
    *,
    community_id: UUID,
    platform: str,
    name: str,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    by: str,
    prefixes: Sequence[str] | None,
) -> tuple[dict[str, Any], Any]:
    """The row of a new connection, and its secrets."""
    receiver = receiver_named(platform)
    chosen, made = settings_of(receiver, settings), secrets_of(receiver, secrets)
    row = {
        "id": uuid7(tx.now),
        "community_id": community_id,
        "platform": platform,
        "name": name,
        "settings": msgspec.to_builtins(chosen),
        "sealed": sealed(one, [(made, None)]),
        "active": 1,
        "created_at": tx.now,
        "created_by": by,
        "prefixes": prefixes,
    }
    await store.add(tx, row=row)
    return row, made


async def rotate(tx: Tx, one: ServiceRuntime, *, row: Any, given: Mapping[str, str], overlap: timedelta) -> Any:
    """New secrets; the present ones are good for `overlap` more, earlier ones no longer."""
    made = secrets_of(receivers()[row.platform], given)
    (present, _), *_ = opened(one, row)
    versions = [(made, None), (present, tx.now + overlap)] if overlap else [(made, None)]
    await store.change(tx, connection_id=row.id, values={"sealed": sealed(one, versions)})
    return made


async def found(tx: Tx, *, community_id: UUID, connection_id: UUID, lock: bool = False) -> Any:
    """The community's connection; NotFound otherwise."""
    row = await store.of_community(tx, community_id=community_id, connection_id=connection_id, lock=lock)
    if row is None:
        raise NotFound("no such connection", code="connection_unknown")
    return row


async def known(one: ServiceRuntime, connection_id: UUID) -> Known:
    """The connection a delivery came to, looked up at most every two seconds; while the database is away, or does not
    answer within half a second, one seen before is good for 15 minutes. NotFound when there is none."""
    cache: dict[UUID, tuple[datetime, Known]] = one.memory.setdefault("connections", {})
    now = one.clock()
    kept = cache.get(connection_id)
    if kept is not None and now - kept[0] < FRESH:
        return kept[1]
    usable = kept[1] if kept is not None and now - kept[0] < STALE else None
    try:
        async with asyncio.timeout(LOOKUP_SECONDS if usable is not None else None), one.db.read() as tx:
            row = await store.one(tx, connection_id=connection_id)
    except (DatabaseUnavailable, TimeoutError):
        if usable is None:
            raise
        return usable
    if row is None or row.platform not in receivers():
        cache.pop(connection_id, None)
        raise NotFound("no such connection; it may take a second to be known here", code="connection_unknown")
    made = known_of(one, row, now)
    cache[connection_id] = now, made
    return made


def known_of(one: ServiceRuntime, row: Any, now: datetime) -> Known:
    """A connection as the door knows it, made of its row."""
    receiver = receivers()[row.platform]
    in_force = tuple(secrets for secrets, until in opened(one, row) if until is None or until > now)
    chosen = msgspec.convert(row.settings, receiver.settings)
    prefixes = PREFIXES if row.prefixes is None else tuple(row.prefixes)
    return Known(row.id, row.community_id, row.name, bool(row.active), receiver, chosen, in_force, prefixes)
