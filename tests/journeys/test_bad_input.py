"""What the door for activity refuses, and exactly how: `POST /v1/events` in all its modes (E2, K11)."""

from pathlib import Path

from tests.journeys.bad_input import BATCHED, JSON, door, problem, refused, world
from tests.support.clock import ManualClock

EVENT = {"specversion": "1.0", "id": "a", "source": "/s", "type": "poke", "data": {"actor": "qq:1"}}
CE = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/s", "ce_type": "poke"}
DEEP = b"[" * 100_000 + b"]" * 100_000


def raw(data: bytes) -> bytes:
    """An event whose data reads like this."""
    return b'{"specversion":"1.0","id":"a","source":"/s","type":"poke","data":%s}' % data


def with_(**fields: object) -> dict[str, object]:
    return {**EVENT, **fields}


CASES = {
    "JSON that ends too early": (
        door(b'{"specversion":"1.0"'),
        problem(400, "json_invalid", "the body is not JSON: it ends too early, or an escape does"),
    ),
    "an empty body": (
        door(b""),
        problem(400, "json_invalid", "the body is empty; send an event"),
    ),
    "no JSON at all": (
        door(b"<event/>"),
        problem(400, "json_invalid", "the body is not JSON: invalid character (byte 0)"),
    ),
    "a batch that is no array": (
        door(b'{"id":1}', BATCHED),
        problem(
            400, "batch_expected", "a batch is a JSON array of events; one event goes as application/cloudevents+json"
        ),
    ),
    "a batch that ends too early": (
        door(b'[{"id":"a"},', BATCHED),
        problem(400, "json_invalid", "the body is not JSON: it ends too early, or an escape does"),
    ),
    "bytes that are not UTF-8": (
        door(raw(b'{"x":"\xff"}')),
        problem(400, "json_invalid", "the body is not JSON: it is not UTF-8"),
    ),
    "half a surrogate pair": (
        door(raw(b'{"x":"\\ud800"}')),
        problem(400, "json_invalid", "the body is not JSON: it ends too early, or an escape does"),
    ),
    "a number beyond all numbers": (
        door(raw(b'{"x":1e999}')),
        refused(("a", "schema_violation", "/data", "number out of range")),
    ),
    "the character NUL": (
        door(raw(b'{"x":"\\u0000"}')),
        refused(("a", "nul_character", "", "strings must not contain the character U+0000")),
    ),
    "nested beyond all reason": (
        door(DEEP, BATCHED),
        problem(400, "too_deep", "nested deeper than 32 levels; send flatter data"),
    ),
    "nested too deep": (
        door(raw(b'{"x":' + b"[" * 32 + b"]" * 32 + b"}")),
        refused(("a", "too_deep", "/data", "nested deeper than 32 levels")),
    ),
    "a media type of nobody's": (
        door(b"<a/>", "text/xml"),
        problem(
            415,
            "media_type_unsupported",
            "send application/cloudevents+json, application/cloudevents-batch+json, "
            "application/x-ndjson, or application/json with ce- headers",
        ),
    ),
    "a form": (
        door(b"a=1", "application/x-www-form-urlencoded"),
        problem(
            415,
            "media_type_unsupported",
            "send application/cloudevents+json, application/cloudevents-batch+json, "
            "application/x-ndjson, or application/json with ce- headers",
        ),
    ),
    "a CloudEvents format we do not read": (
        door(b"...", "application/cloudevents+protobuf"),
        problem(
            415,
            "media_type_unsupported",
            "send application/cloudevents+json, application/cloudevents-batch+json, "
            "application/x-ndjson, or application/json with ce- headers",
        ),
    ),
    "an event as plain JSON": (
        door(EVENT, JSON),
        problem(
            400,
            "binary_invalid",
            "this Content-Type means binary mode, with ce- headers; an event in the body goes as "
            "application/cloudevents+json",
        ),
    ),
    "a datacontenttype among the headers": (
        door(b"{}", JSON, ce_datacontenttype="application/json", **CE),
        problem(400, "binary_invalid", "in binary mode Content-Type says what the data is, not ce-datacontenttype"),
    ),
    "a header that is not UTF-8": (
        door(b"{}", JSON, **{**CE, "ce_id": "%C0%A0"}),
        problem(400, "binary_invalid", "ce-id is not percent-encoded UTF-8"),
    ),
    "binary mode with broken data": (
        door(b"{oops", JSON, **CE),
        problem(400, "json_invalid", "the body is not JSON: object keys must be strings (byte 1)"),
    ),
    "binary mode with data that is no object": (
        door(b"[1]", JSON, **CE),
        refused(("1", "schema_violation", "/data", "expected an object, got an array")),
    ),
    "binary mode without an id": (
        door(b"{}", JSON, ce_specversion="1.0", ce_source="/s", ce_type="poke"),
        refused((None, "attribute_missing", "/id", "id is required")),
    ),
    "an encoding we do not read": (
        door(b"x", Content_Encoding="br"),
        problem(415, "encoding_unsupported", "Content-Encoding br is not taken; use gzip or none"),
    ),
    "gzip that is none": (
        door(b"plain", Content_Encoding="gzip"),
        problem(400, "gzip_invalid", "the body is not valid gzip"),
    ),
    "a body over the limit": (
        door(b" " * (1024 * 1024 + 1)),
        problem(413, "body_too_large", "the body is over the limit of 1048576 bytes; send less at once", limit=1048576),
    ),
    "events over the limit": (
        door([EVENT] * 501, BATCHED),
        problem(413, "too_many_events", "at most 500 events in one request", limit=500),
    ),
    "an event over the limit": (
        door(with_(data={"x": "y" * 66_000})),
        refused(("a", "event_too_large", "", "over the limit of 65536 bytes an event")),
    ),
    "atomic, perhaps": (
        door(EVENT, query="?atomic=perhaps"),
        problem(
            422, "validation_failed", "atomic is true or false", ("/query/atomic", "boolean_expected", "true or false")
        ),
    ),
    "an import with a name of its own kind": (
        door(EVENT, Guildhall_Import="Old Forum"),
        problem(
            400, "import_name_invalid", "Guildhall-Import is 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit"
        ),
    ),
    "an import without the scope": (
        door(EVENT, who="writer", Guildhall_Import="old-forum"),
        problem(403, "scope_missing", "this credential lacks the scope events:import", scope="events:import"),
    ),
    "a time in words": (
        door(with_(time="yesterday")),
        refused(
            ("a", "schema_violation", "/time", "must be an RFC 3339 time with a zone, such as 2026-10-16T19:08:43Z")
        ),
    ),
    "a time without zone": (
        door(with_(time="2026-11-23T09:00:00")),
        refused(
            ("a", "schema_violation", "/time", "must be an RFC 3339 time with a zone, such as 2026-10-16T19:08:43Z")
        ),
    ),
    "a time as a number": (
        door(with_(time=1763888400)),
        refused(
            ("a", "schema_violation", "/time", "must be an RFC 3339 time with a zone, such as 2026-10-16T19:08:43Z")
        ),
    ),
    "a time ten years ahead": (
        door(with_(time="2036-11-23T09:00:00Z")),
        refused(("a", "time_in_future", "/time", "more than 24 hours ahead of our clock; check the sender's")),
    ),
    "a time before all computers": (
        door(with_(time="1066-10-14T09:00:00Z")),
        refused(("a", "time_too_old", "/time", "before 1970; send when it happened")),
    ),
    "an actor without platform": (
        door(with_(data={"actor": "Ada"})),
        refused(
            (
                "a",
                "identity_malformed",
                "/data/actor",
                "must read platform:external_id, such as qq:2627274551, in at most 300 characters",
            )
        ),
    ),
    "an actor that is a number": (
        door(with_(data={"actor": 7})),
        refused(("a", "schema_violation", "/data/actor", "expected a string")),
    ),
    "a member by name": (
        door(with_(data={"actor": "member:ada"})),
        refused(("a", "identity_malformed", "/data/actor", "member: is followed by the member's id, in lower case")),
    ),
    "the account of a group as a member": (
        door(with_(data={"actor": "member:01939e2c-7000-8000-8000-000000000000"})),
        refused(("a", "identity_malformed", "/data/actor", "member: is followed by the member's id, in lower case")),
    ),
    "a member as a group": (
        door(with_(data={"group": "member:{ada}"})),
        refused(("a", "identity_malformed", "/data/group", "a group is no member; it reads platform:external_id")),
    ),
    "another community's id among the attributes": (
        door(with_(communityid="{other}")),
        refused(("a", "attribute_reserved", "/communityid", "the server sets this attribute; leave it out")),
    ),
    "an attribute only the server sets, empty": (
        door(with_(importname=None)),
        refused(("a", "attribute_reserved", "/importname", "the server sets this attribute; leave it out")),
    ),
    "a type of ours": (
        door(with_(type="guildhall.rewards.activity_scored")),
        refused(("a", "type_reserved", "/type", "types under guildhall. are ours; choose another name")),
    ),
    "a type with a space": (
        door(with_(type="a b")),
        refused(("a", "type_invalid", "/type", "must be 1 to 200 letters, digits and . _ / : -")),
    ),
    "a source that is no reference": (
        door(with_(source="my bot")),
        refused(
            ("a", "source_invalid", "/source", "must be a URI reference, such as /bots/one, of 1 to 1024 characters")
        ),
    ),
    "an empty id": (
        door(with_(id="")),
        refused(("", "id_invalid", "/id", "must be 1 to 512 characters")),
    ),
    "an id that is a number": (
        door(with_(id=7)),
        refused((None, "schema_violation", "/id", "expected a string, got a number")),
    ),
    "another version of CloudEvents": (
        door(with_(specversion="0.3")),
        refused(("a", "specversion_unsupported", "/specversion", "must be 1.0")),
    ),
    "an empty subject": (
        door(with_(subject="")),
        refused(("a", "subject_invalid", "/subject", "must be 1 to 1024 characters, or absent")),
    ),
    "data that is a list": (
        door(with_(data=[1])),
        refused(("a", "schema_violation", "/data", "expected an object, got an array")),
    ),
    "data that says it is XML": (
        door(with_(datacontenttype="text/xml")),
        refused(("a", "data_not_json", "/datacontenttype", "data is JSON here")),
    ),
    "base64 that is none": (
        door(with_(data=None, data_base64="!")),
        refused(("a", "data_not_json", "/data_base64", "must be base64 of a JSON object")),
    ),
    "data twice": (
        door(with_(data_base64="e30=")),
        refused(("a", "data_twice", "/data_base64", "data and data_base64 exclude each other")),
    ),
    "a batch of no events": (
        door([None, "x", {}], BATCHED),
        refused(
            (None, "schema_violation", "", "expected an object, got null"),
            (None, "schema_violation", "", "expected an object, got a string"),
            (None, "attribute_missing", "/specversion", "specversion is required"),
        ),
    ),
    "lines that are none": (
        door(b'{"id":\nnull\n', "application/x-ndjson"),
        refused(
            (None, "json_invalid", "", "not JSON: it ends too early, or an escape does"),
            (None, "schema_violation", "", "expected an object, got null"),
        ),
    ),
}


async def test_every_refusal_reads_exactly_like_this(clock: ManualClock, tmp_path: Path) -> None:
    async with world(tmp_path, clock) as here:
        answers = await here.answers({name: ask for name, (ask, _) in CASES.items()})
    for name, (_, wanted) in CASES.items():
        assert answers[name] == wanted, name
