"""Ways out of a community's own: set up for a connection, their secrets sealed and never shown."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from kit.clock import uuid7
from kit.database import Tx
from kit.errors import Conflict, FieldError, NotFound, Unprocessable
from kit.outside import Refused, checked
from kit.sealing import Box
from kit.service import ServiceRuntime
from services.notify.channels import channels
from services.notify.channels.form import Channel
from services.notify.store import channels as store

PURPOSE = "notify: channels"
MOST_OF_A_COMMUNITY = 200


def kind_named(kind: str) -> Channel[Any, Any]:
    found = channels().get(kind)
    if found is None:
        wrong = FieldError("/kind", "channel_kind_unknown", f"one of {', '.join(channels())}")
        raise Unprocessable("there is no channel of this kind", code="channel_kind_unknown", errors=[wrong])
    return found


def settings_of(way: Channel[Any, Any], given: Mapping[str, Any]) -> Any:
    """The settings as the channel takes them; Unprocessable names what is wrong."""
    try:
        return msgspec.convert(dict(given), way.settings)
    except msgspec.ValidationError as error:
        raise _unfit(way, "settings", str(error)) from error


def _secrets_of(way: Channel[Any, Any], given: Mapping[str, str]) -> Any:
    try:
        made = msgspec.convert(dict(given), way.secrets)
    except msgspec.ValidationError as error:
        raise _unfit(way, "secrets", str(error)) from error
    strange = [name for name, value in given.items() if not value.isascii() or not value.isprintable() or " " in value]
    if strange:
        raise _unfit(way, "secrets", f"{strange[0]} has characters that no token has")
    return made


def _unfit(way: Channel[Any, Any], part: str, message: str) -> Unprocessable:
    wrong = FieldError(f"/{part}", f"{part}_invalid", message)
    return Unprocessable(f"{part} of {way.title}: {message}", code=f"{part}_invalid", errors=[wrong])


def _checked_settings(one: ServiceRuntime, way: Channel[Any, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """As they are kept. What a name stands for is looked at again at every call."""
    settings = settings_of(way, given)
    for address in way.addresses(settings):
        try:
            if checked(address, private=one.settings.private_channels).query:
                raise Refused("an address has no ?query here")
        except Refused as error:
            wrong = FieldError("/settings", "address_refused", str(error))
            raise Unprocessable(
                f"this address cannot be called: {error}", code="address_refused", errors=[wrong]
            ) from None
    kept: dict[str, Any] = msgspec.to_builtins(settings)
    return kept


def _box(one: ServiceRuntime) -> Box:
    return Box(one.settings.secret_key, PURPOSE)


def opened(one: ServiceRuntime, row: Any) -> Any:
    """The secrets of a channel. InvalidToken (cryptography) when they were sealed under another secret key."""
    return msgspec.json.decode(_box(one).open(row.sealed), type=channels()[row.kind].secrets)


async def create(
    tx: Tx,
    one: ServiceRuntime,
    *,
    community_id: UUID,
    connection_id: UUID,
    kind: str,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    by: str,
) -> dict[str, Any]:
    """The row of a new channel; Conflict when the connection has one."""
    way = kind_named(kind)
    if (
        len(await store.page(tx, community_id=community_id, after=None, limit=MOST_OF_A_COMMUNITY))
        == MOST_OF_A_COMMUNITY
    ):
        raise Conflict(f"a community has at most {MOST_OF_A_COMMUNITY} channels", code="too_many_channels")
    row = {
        "id": uuid7(tx.now),
        "community_id": community_id,
        "connection_id": connection_id,
        "kind": kind,
        "settings": _checked_settings(one, way, settings),
        "sealed": _box(one).seal(msgspec.json.encode(_secrets_of(way, secrets))),
        "active": 1,
        "failures": 0,
        "paused_until": None,
        "created_at": tx.now,
        "created_by": by,
    }
    if not await store.add(tx, row=row):
        raise Conflict("this connection has a channel; change that one", code="channel_exists")
    return row


async def found(tx: Tx, *, community_id: UUID, channel_id: UUID, lock: bool = False) -> Any:
    """The community's channel; NotFound otherwise."""
    row = await store.of_community(tx, community_id=community_id, channel_id=channel_id, lock=lock)
    if row is None:
        raise NotFound("no such channel", code="channel_unknown")
    return row


async def change(
    tx: Tx,
    one: ServiceRuntime,
    *,
    row: Any,
    active: bool | None,
    settings: Mapping[str, Any] | None,
    secrets: Mapping[str, str] | None,
) -> dict[str, Any]:
    """The row as it is from now on; what is None stays. A change of where it leads forgets its troubles."""
    way = channels()[row.kind]
    changed: dict[str, Any] = {}
    if active is not None:
        changed["active"] = int(active)
    if settings is not None:
        changed["settings"] = _checked_settings(one, way, settings)
    if secrets is not None:
        changed["sealed"] = _box(one).seal(msgspec.json.encode(_secrets_of(way, secrets)))
    if settings is not None or secrets is not None:
        changed.update(failures=0, paused_until=None)
    if changed:
        await store.change(tx, channel_id=row.id, values=changed)
    return {**row._mapping, **changed}
