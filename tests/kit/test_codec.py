"""Events to bytes and back: CloudEvents, for every contract there is, and refused when the bytes are something else."""

import json
import types
import typing
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kit.contracts.members
import kit.contracts.notify
import kit.contracts.platform
import kit.contracts.rewards  # noqa: F401  (registers its contracts)
from kit import codec
from kit.contracts import ACTIVITY_TOPIC, MEMBERS_TOPIC, all_contracts, contract_of, identity_member_id
from kit.contracts.platform import KeyUsed
from kit.errors import BadMessage
from kit.log import Stored

NOW = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)
instants = st.datetimes(timezones=st.just(UTC))


def stored(body: bytes | None, topic: str = MEMBERS_TOPIC) -> Stored:
    return Stored(topic, 3, 17, b"k", body)


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    simple = {
        int: st.integers(-(2**63), 2**63 - 1),
        str: st.text(max_size=20),
        bool: st.booleans(),
        UUID: st.uuids(),
        datetime: instants,
        float: st.floats(allow_nan=False, allow_infinity=False),
        type(None): st.none(),
    }
    if kind in simple:
        return simple[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([any_of(one) for one in inner])
    if origin is tuple:
        return st.lists(any_of(inner[0]), max_size=3).map(tuple)
    if origin is dict or kind is dict:
        return st.dictionaries(st.text(max_size=5), st.integers(-9, 9) | st.text(max_size=5), max_size=3)
    return st.sampled_from(typing.get_args(kind)) if origin is typing.Literal else st.builds(kind, **members_of(kind))


def members_of(cls: type) -> dict[str, st.SearchStrategy[Any]]:
    hints = typing.get_type_hints(cls)
    return {field.name: any_of(hints[field.name]) for field in fields(cls)}


@pytest.mark.parametrize("contract", all_contracts(), ids=lambda c: c.type)
@given(data=st.data())
def test_every_contract_comes_back_as_it_went(contract: Any, data: st.DataObject) -> None:
    event = data.draw(st.builds(contract.event, **members_of(contract.event)))
    id = uuid4()
    body = codec.encode(event, id=id, time=NOW, request_id="r-1")
    envelope = codec.decode(stored(body, contract.topic))
    assert envelope is not None
    assert (envelope.event, envelope.id, envelope.time, envelope.request_id) == (event, id, NOW, "r-1")
    assert envelope.community_id == getattr(event, "community_id", None)
    assert tuple(envelope.origin) == (contract.topic, 3, 17)


def test_what_travels_is_a_cloudevent() -> None:
    event = KeyUsed(key_id=uuid4(), used_at=NOW)
    body = json.loads(codec.encode(event, id=UUID(int=5), time=NOW))
    assert {name: body[name] for name in ("specversion", "id", "source", "type", "time")} == {
        "specversion": "1.0",
        "id": str(UUID(int=5)),
        "source": "/guildhall/members",
        "type": "guildhall.members.key_used",
        "time": "2026-11-23T09:00:00.123456Z",
    }
    assert body["data"]["key_id"] == str(event.key_id)


def test_a_class_that_is_no_contract_is_not_encoded() -> None:
    with pytest.raises(KeyError):
        codec.encode(object(), id=uuid4(), time=NOW)


def test_a_tombstone_and_a_type_of_a_later_version_are_nothing() -> None:
    body = json.loads(codec.encode(KeyUsed(key_id=uuid4(), used_at=NOW), id=uuid4(), time=NOW))
    body["type"] = "guildhall.members.of_tomorrow"
    assert codec.decode(stored(None)) is None
    assert codec.decode(stored(json.dumps(body).encode())) is None


def test_a_field_of_a_later_version_is_passed_over() -> None:
    event = KeyUsed(key_id=uuid4(), used_at=NOW)
    body = json.loads(codec.encode(event, id=uuid4(), time=NOW))
    body["data"]["of_tomorrow"] = {"deep": 1}
    body["extension"] = "x"
    envelope = codec.decode(stored(json.dumps(body).encode()))
    assert envelope is not None
    assert envelope.event == event


@pytest.mark.parametrize(
    "change",
    [
        {"type": 5},
        {"id": "not-a-uuid"},
        {"time": "yesterday"},
        {"communityid": "x"},
        {"data": {"key_id": "x"}},
        {"data": None},
        {"data": {"key_id": "b5dfad97-87ba-43bb-ac4d-7697d5533e2c"}},
    ],
    ids=str,
)
def test_an_event_that_is_not_as_its_contract_says_is_a_bad_message(change: dict[str, Any]) -> None:
    body = json.loads(codec.encode(KeyUsed(key_id=uuid4(), used_at=NOW), id=uuid4(), time=NOW))
    with pytest.raises(BadMessage) as bad:
        codec.decode(stored(json.dumps({**body, **change}).encode()))
    assert bad.value.code == "undecodable"


@given(st.binary(max_size=80) | st.text(max_size=40).map(str.encode) | st.just(b"[]") | st.just(b"null"))
def test_any_bytes_are_an_event_or_a_bad_message_on_every_topic(body: bytes) -> None:
    for topic in (MEMBERS_TOPIC, ACTIVITY_TOPIC):
        with pytest.raises(BadMessage):
            codec.decode(stored(body, topic))


COMMUNITY = UUID(int=7)


def activity(**more: Any) -> bytes:
    wire = {
        "specversion": "1.0",
        "id": "42",
        "source": "/bots/telegram",
        "type": "message.created",
        "time": "2026-11-23T11:00:00+02:00",
        "communityid": str(COMMUNITY),
        "receivedtime": "2026-11-23T09:00:01Z",
        "effectivetime": "2026-11-23T09:00:00Z",
        "data": {"actor": "telegram:1", "author": "telegram:2", "group": "telegram:-100", "words": 3},
        **more,
    }
    return msgspec.json.encode(wire)


def test_an_activity_carries_three_times_in_utc_and_the_ids_everybody_computes() -> None:
    envelope = codec.decode(stored(activity(late=True), ACTIVITY_TOPIC))
    assert envelope is not None
    event = envelope.event
    assert event.occurred_at == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert event.occurred_at.tzinfo == UTC
    assert event.received_at - event.effective_at == timedelta(seconds=1)
    assert event.actor_id == identity_member_id(COMMUNITY, "telegram:1")
    assert event.author_id == identity_member_id(COMMUNITY, "telegram:2")
    assert (event.group, event.flags, event.data["words"]) == ("telegram:-100", ("late",), 3)
    assert envelope.id == event.event_id


def test_the_same_activity_has_the_same_id_however_often_and_whenever_it_is_sent() -> None:
    ids = {codec.decode(stored(activity(time=t), ACTIVITY_TOPIC)).id for t in ("2026-01-01T00:00:00Z", NOW.isoformat())}  # type: ignore[union-attr]
    assert len(ids) == 1
    for other in ({"id": "43"}, {"source": "/bots/another"}, {"communityid": str(UUID(int=8))}):
        assert codec.decode(stored(activity(**other), ACTIVITY_TOPIC)).id not in ids  # type: ignore[union-attr]


def test_an_actor_that_is_no_identity_is_a_bad_message_and_one_that_is_missing_is_none() -> None:
    for actor in ("nocolon", ":x", "member:not-a-uuid"):
        with pytest.raises(BadMessage):
            codec.decode(stored(activity(data={"actor": actor}), ACTIVITY_TOPIC))
    for data in ({}, {"actor": ""}, {"actor": 5}):
        envelope = codec.decode(stored(activity(data=data), ACTIVITY_TOPIC))
        assert envelope is not None
        assert (envelope.event.actor, envelope.event.actor_id) == (None, None)


def test_a_time_with_another_offset_is_the_same_instant() -> None:
    event = KeyUsed(key_id=uuid4(), used_at=NOW)
    body = codec.encode(event, id=uuid4(), time=NOW.astimezone(timezone(timedelta(hours=5, minutes=30))))
    envelope = codec.decode(stored(body))
    assert envelope is not None
    assert (envelope.time, envelope.time.tzinfo) == (NOW, UTC)
    assert contract_of(KeyUsed).topic == MEMBERS_TOPIC
