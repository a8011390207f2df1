"""What the door acknowledges, the consumer can read: checked over events that nobody would think of."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import codec
from kit.contracts import ACTIVITY_TOPIC
from kit.log import Record, Stored
from services.events import domain, wire
from services.events.api.ingest import _plain_reply, _reply
from services.events.wire import Accepted, Arrival, Rejected

COMMUNITY = UUID("01939e2c-7000-7000-8000-000000000001")
ARRIVAL = Arrival(COMMUNITY, datetime(2026, 11, 23, 9, tzinfo=UTC), None, "req", 64 * 1024)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["specversion", "id", "source", "type", "time", "subject", "datacontenttype", "data", "data_base64", "traceparent",
     *domain.RESERVED]
)  # fmt: skip
likely = st.sampled_from(
    ["1.0", "a", "/s", "poke", "2026-11-23T08:00:00Z", "application/json", "e30=", "qq:1", None, {}, {"actor": "qq:1"},
     {"actor": "member:01939e2c-7000-7000-8000-000000000009", "text": "hi"}, {"data": {"text": 1}}, {"mentions": 3}]
)  # fmt: skip
data = st.dictionaries(
    st.sampled_from(["actor", "author", "group", "text", "length", "x"]), likely | anything, max_size=5
)


@settings(max_examples=400)
@given(st.dictionaries(names, likely | anything | data, max_size=6), st.booleans())
def test_whatever_is_acknowledged_can_be_read_and_means_the_same(fields: dict[str, Any], ascii_only: bool) -> None:
    sent = {"specversion": "1.0", "id": "a", "source": "/s", "type": "poke", **fields}
    raw = json.dumps(sent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    result = wire.check(raw, ARRIVAL)
    if isinstance(result, Rejected):
        assert result.wrong.code
        return
    envelope = codec.decode(Stored(ACTIVITY_TOPIC, 0, 0, result.record.key, result.record.value))
    assert envelope is not None
    activity = envelope.event
    assert (activity.community_id, activity.source, activity.id) == (COMMUNITY, sent["source"], sent["id"])
    assert (activity.type, activity.received_at, envelope.request_id) == (sent["type"], ARRIVAL.received_at, "req")
    assert (activity.import_name, activity.replay_id) == (None, None)
    if isinstance(sent.get("data"), dict):
        meant = json.loads(raw)["data"]
        assert activity.actor == meant.get("actor")
        assert {k: v for k, v in activity.data.items() if k in meant} == {k: v for k, v in meant.items() if k != "text"}
    assert result.record.key.startswith(f"{COMMUNITY}:".encode())


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_bytes_come_they_are_refused_with_a_code_and_not_an_accident(raw: bytes) -> None:
    result = wire.check(raw, ARRIVAL)
    assert isinstance(result, Rejected)
    assert result.wrong.code in ("json_invalid", "schema_violation", "attribute_missing")


@settings(max_examples=300)
@given(
    st.lists(st.dictionaries(names, likely | anything | data, max_size=6), min_size=1, max_size=4), st.booleans(),
    st.sampled_from([None, "history"]), st.sampled_from([200, 64 * 1024]),
)  # fmt: skip
def test_a_request_checked_at_once_gets_what_each_of_its_items_gets_alone(
    batch: list[dict[str, Any]], ascii_only: bool, import_name: str | None, most: int
) -> None:
    arrival = Arrival(COMMUNITY, ARRIVAL.received_at, import_name, "req", most)
    usual = {"specversion": "1.0", "id": "a", "source": "/s", "type": "poke", "time": "2026-11-23T08:00:00Z"}
    sent = [{**usual, "data": {"actor": "qq:1"}, **fields} for fields in batch]
    raws = [json.dumps(event, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for event in sent]
    alone = [wire.check(raw, arrival) for raw in raws]
    # Twice: names that were accepted the first time are not looked at again the second time.
    for _ in range(2):
        checked = wire.check_all(raws, b"[%s]" % b",".join(raws), arrival)
        assert checked.ids == [result.id for result in alone]
        assert checked.records == [result.record for result in alone if isinstance(result, Accepted)]
        assert checked.wrong == {n: r.wrong for n, r in enumerate(alone) if isinstance(r, Rejected)}


TWO_NAMES = [
    b',"data":{"actor":"qq:1","text":"secret"},"data":{"actor":"qq:1"}}',
    b',"d\\u0061ta":{"actor":"qq:1","text":"secret"},"data":{"actor":"qq:1"}}',
    b',"data":{"actor":"qq:1","\\u0074ext":"secret"}}',
    b',"data":{"actor":"qq:1","te\\u0078t":"secret"}}',
]


@pytest.mark.parametrize("tail", TWO_NAMES)
@pytest.mark.parametrize("beside", [b"", b',"subject":"no data here"}', b',"data":{"actor":"qq:1"}}'])
def test_text_under_a_name_that_stands_twice_or_is_written_otherwise_does_not_travel(
    tail: bytes, beside: bytes
) -> None:
    head = HEAD + b',"time":"2026-11-23T08:00:00Z"'
    raws = [head + tail, *([head + beside] if beside else [])]
    wire.check_all([head + b',"data":{"actor":"qq:1"}}'], head + b',"data":{"actor":"qq:1"}}', ARRIVAL)
    checked = wire.check_all(raws, b"[%s]" % b",".join(raws), ARRIVAL)
    assert not checked.wrong
    assert all(b"secret" not in (record.value or b"") for record in checked.records)


def accepted(raw: bytes) -> bytes:
    result = wire.check(raw, ARRIVAL)
    assert isinstance(result, Accepted), result
    return result.record.value


HEAD = b'{"specversion":"1.0","id":"a","source":"/s","type":"poke"'


def test_an_item_goes_to_the_log_as_it_was_written_with_our_attributes_behind_it() -> None:
    raw = HEAD + b',"time":"2026-11-23T08:00:00Z", "x" : [1 ,2],"data":{"actor":"qq:1","n":1.50}}'
    assert accepted(raw).startswith(raw[:-1] + b',"communityid":"01939e2c')


def test_of_a_name_that_stands_twice_only_the_last_value_travels() -> None:
    value = accepted(HEAD + b',"data":{"text":"private"},"data":{"actor":"qq:1"}}')
    assert b"private" not in value
    assert msgspec.json.decode(value)["data"] == {"actor": "qq:1"}


@pytest.mark.parametrize(
    ("raw", "code", "pointer"),
    [
        (HEAD + b',"data":[]}', "schema_violation", "/data"),
        (HEAD + b',"data":"x"}', "schema_violation", "/data"),
        (HEAD + b',"data":{"actor":7}}', "schema_violation", "/data/actor"),
        (HEAD + b',"data":{"actor":"nobody"}}', "identity_malformed", "/data/actor"),
        (HEAD + b',"data":{"actor":"QQ:1"}}', "identity_malformed", "/data/actor"),
        (HEAD + b',"data":{"actor":"qq:"}}', "identity_malformed", "/data/actor"),
        (HEAD + b',"data":{"actor":"member:7"}}', "identity_malformed", "/data/actor"),
        (HEAD + b',"data":{"author":"qq:a\\nb"}}', "identity_malformed", "/data/author"),
        (HEAD + b',"data":{"group":"member:%s"}}' % str(COMMUNITY).encode(), "identity_malformed", "/data/group"),
        (HEAD + b',"data":{"actor":"qq:' + b"x" * 300 + b'"}}', "identity_malformed", "/data/actor"),
        (HEAD + b',"data":{"x":"\\u0000"}}', "nul_character", ""),
        (HEAD + b',"data":{"x":"\\ud800"}}', "json_invalid", ""),
        (HEAD + b',"data":{"x":1e999}}', "schema_violation", "/data"),
        (HEAD + b',"data":{"x":NaN}}', "json_invalid", ""),
        (HEAD + b',"data":{"x":"\xff"}}', "json_invalid", ""),
        (HEAD + b',"data":{},"data_base64":"e30="}', "data_twice", "/data_base64"),
        (HEAD + b',"data_base64":"e30"}', "data_not_json", "/data_base64"),
        (HEAD + b',"data_base64":"WzFd"}', "data_not_json", "/data_base64"),
        (HEAD + b',"datacontenttype":"text/xml","data":{}}', "data_not_json", "/datacontenttype"),
        (HEAD + b',"subject":""}', "subject_invalid", "/subject"),
        (HEAD.replace(b'"1.0"', b'"0.3"') + b"}", "specversion_unsupported", "/specversion"),
        (HEAD.replace(b'"a"', b'""') + b"}", "id_invalid", "/id"),
        (HEAD.replace(b'"a"', b'"' + b"x" * 513 + b'"') + b"}", "id_invalid", "/id"),
        (HEAD.replace(b'"a"', b"7") + b"}", "schema_violation", "/id"),
        (HEAD.replace(b'"/s"', b'"not a uri"') + b"}", "source_invalid", "/source"),
        (HEAD.replace(b'"poke"', b'"with space"') + b"}", "type_invalid", "/type"),
        (HEAD.replace(b'"poke"', b'"guildhall.activity.identity_observed"') + b"}", "type_reserved", "/type"),
        (b'{"specversion":"1.0"}', "attribute_missing", "/id"),
        (b"[]", "schema_violation", ""),
        (b"null", "schema_violation", ""),
        (HEAD, "json_invalid", ""),
        (HEAD + b"}}", "json_invalid", ""),
        (b"\xef\xbb\xbf" + HEAD + b"}", "json_invalid", ""),
    ],
)  # fmt: skip
def test_an_item_that_will_not_do_is_refused_with_code_and_place(raw: bytes, code: str, pointer: str) -> None:
    result = wire.check(raw, ARRIVAL)
    assert isinstance(result, Rejected)
    assert (result.wrong.code, result.wrong.pointer) == (code, pointer)


def test_only_the_character_itself_is_a_nul_not_its_name() -> None:
    for text, taken in [("\\\\u0000", True), ("\\\\\\u0000", False), ("u0000", True), ("x\\u0000", False)]:
        result = wire.check(HEAD + b',"data":{"x":"%s"}}' % text.encode(), ARRIVAL)
        assert isinstance(result, Accepted) is taken, text


def test_a_refusal_never_repeats_what_was_written() -> None:
    for tail in (b',"data":{"actor":"words"}}', b',"time":"words"}', b',"subject":"words', b',"data":{"words":1e999}}'):
        result = wire.check(HEAD + tail, ARRIVAL)
        assert isinstance(result, Rejected)
        assert "words" not in result.wrong.message


@given(st.lists(st.text(max_size=8) | st.sampled_from(['","', '"', "\\", '\\","', "打卡"]), max_size=6))
def test_the_answer_to_accepted_items_is_the_same_whichever_way_it_is_written(ids: list[str]) -> None:
    checked = wire.Checked(list(ids), [Record(b"k", b"v") for _ in ids])
    quick, plain = (json.loads(body) for body in (_plain_reply(ARRIVAL, checked), _reply(ARRIVAL, checked, False)))
    assert [quick.pop("batch_id")[:8]] == [plain.pop("batch_id")[:8]]
    assert quick == plain
