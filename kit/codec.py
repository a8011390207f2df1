"""Events to bytes and back: CloudEvents 1.0, structured JSON.

A contract event carries its fields in `data` and our `communityid`, `requestid` as extension attributes.
An activity is the client's own CloudEvent plus the attributes of `ActivityWire`; whoever writes one splices the
client's `data` in as it came. Decoding checks what later code relies on and raises `BadMessage` otherwise.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from kit.contracts import (
    ACTIVITY_TOPIC,
    RESERVED_PREFIX,
    Envelope,
    Origin,
    activity_event_id,
    contract_named,
    contract_of,
    identity_member_id,
)
from kit.contracts.events import Activity
from kit.errors import BadMessage
from kit.ids import to_uuid
from kit.log import Stored


class _Wire(msgspec.Struct, frozen=True, omit_defaults=True):
    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    data: msgspec.Raw
    datacontenttype: str = "application/json"
    communityid: UUID | None = None
    requestid: str | None = None


class ActivityWire(msgspec.Struct, frozen=True, omit_defaults=True):
    """An activity as it stands on the log. CloudEvents attribute names are lower case without separators.

    `effectivetime` stands there only when it is not `time`.
    """

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    communityid: UUID
    receivedtime: datetime
    data: dict[str, Any]
    effectivetime: datetime | None = None
    subject: str | None = None
    importname: str | None = None
    replayid: str | None = None
    requestid: str | None = None
    connection: str | None = None
    platformseq: str | None = None
    sealedtext: str | None = None
    late: bool = False
    clamped: bool = False
    stale: bool = False
    throttled: bool = False


FLAGS = ("late", "clamped", "stale", "throttled")

_encoder = msgspec.json.Encoder()
_decode_activity = msgspec.json.Decoder(ActivityWire).decode
_decode_wire = msgspec.json.Decoder(_Wire).decode


class _TypeOnly(msgspec.Struct):
    type: str


_decode_type = msgspec.json.Decoder(_TypeOnly).decode


def encode(event: Any, *, id: UUID, time: datetime, request_id: str | None = None) -> bytes:
    """A contract event as structured CloudEvents JSON. KeyError when the class is no contract."""
    contract = contract_of(type(event))
    return _encoder.encode(
        _Wire(
            specversion="1.0",
            id=str(id),
            source=f"/{contract.topic.replace('.', '/')}",
            type=contract.type,
            time=time,
            communityid=getattr(event, "community_id", None),
            requestid=request_id,
            data=msgspec.Raw(_encoder.encode(event)),
        )
    )


def encode_activity(wire: ActivityWire) -> bytes:
    """An activity that was stored, as it stands on the log."""
    return _encoder.encode(wire)


@lru_cache(maxsize=256)
def _data_decoder(cls: type) -> Callable[[msgspec.Raw], Any]:
    return msgspec.json.Decoder(cls).decode


def decode(stored: Stored, wanted: Callable[[str], bool] = lambda _: True) -> Envelope[Any] | None:
    """The event in a log record; None for a tombstone, a type this version does not know or one not `wanted`.

    Raises BadMessage for bytes that are no event, or whose data is not what the contract says; the data of what is
    not wanted is not looked at.
    """
    if stored.value is None:
        return None
    try:
        if stored.topic != ACTIVITY_TOPIC:
            return _contract_event(stored, wanted)
        kind = _decode_type(stored.value).type
        if not wanted(kind):
            return None
        return _contract_event(stored, wanted) if kind.startswith(RESERVED_PREFIX) else _activity(stored)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise BadMessage("undecodable", f"not an event as its contract says: {error}") from error


def _contract_event(stored: Stored, wanted: Callable[[str], bool]) -> Envelope[Any] | None:
    assert stored.value is not None
    wire = _decode_wire(stored.value)
    contract = contract_named(wire.type)
    if contract is None or not wanted(wire.type):
        return None
    return Envelope(
        id=UUID(wire.id),
        time=_utc(wire.time),
        community_id=wire.communityid,
        request_id=wire.requestid,
        event=_data_decoder(contract.event)(wire.data),
        origin=Origin(stored.topic, stored.partition, stored.offset),
    )


def _activity(stored: Stored) -> Envelope[Activity]:
    assert stored.value is not None
    wire = _decode_activity(stored.value)
    community_id = _the_same(wire.communityid)
    event_id = activity_event_id(community_id, wire.source, wire.id)
    data = wire.data
    actor, author, group = _text(data, "actor"), _text(data, "author"), _text(data, "group")
    activity = Activity(
        event_id=event_id,
        community_id=community_id,
        source=wire.source,
        id=wire.id,
        type=wire.type,
        subject=wire.subject,
        occurred_at=_utc(wire.time),
        received_at=_utc(wire.receivedtime),
        effective_at=_utc(wire.effectivetime or wire.time),
        actor=actor,
        actor_id=identity_member_id(community_id, actor) if actor else None,
        author=author,
        author_id=identity_member_id(community_id, author) if author else None,
        group=group,
        import_name=wire.importname,
        replay_id=wire.replayid,
        connection_id=UUID(wire.connection) if wire.connection else None,
        platform_seq=wire.platformseq,
        flags=tuple(flag for flag in FLAGS if getattr(wire, flag)),
        sealed_text=wire.sealedtext,
        data=data,
    )
    return Envelope(
        id=event_id,
        time=activity.occurred_at,
        community_id=community_id,
        request_id=wire.requestid,
        event=activity,
        origin=Origin(stored.topic, stored.partition, stored.offset),
    )


@lru_cache(maxsize=4096)
def _the_same(community_id: UUID) -> UUID:
    """One object for one community: what is equal is found in dictionaries without being compared."""
    return to_uuid(community_id.bytes)


def _utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


def _text(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) and value else None
