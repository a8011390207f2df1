"""What is wrong with a body: JSON, models, members, keys, event types (K11, K16)."""

from pathlib import Path

from tests.journeys.bad_input import JSON, NOBODY, Ask, problem, send, world
from tests.support.clock import ManualClock

DEEP = b"[" * 100_000 + b"]" * 100_000
HERE = "/v1/communities/{here}"
RULE = {"id": "r", "name": "R", "on": ["poke"], "give": [{"to": "actor", "unit": "points", "amount": 1}]}


def member(**fields: object) -> Ask:
    return send("/v1/members", {"display_name": "Bo", **fields})


def key(**fields: object) -> Ask:
    return send("/v1/keys", {"name": "bot", "scopes": ["events:read"], **fields})


def own_type(**fields: object) -> Ask:
    return send("/v1/event-types", {"type": "book.finished", "json_schema": {}, **fields})


CASES = {
    "a model's JSON that ends too early": (
        send("/v1/members", b'{"display_name":', Content_Type=JSON),
        problem(400, "json_invalid", "the body is not JSON", ("", "json_invalid", "not JSON: Expecting value at 16")),
    ),
    "a model's JSON that is not UTF-8": (
        send("/v1/members", b'{"display_name":"\xff"}', Content_Type=JSON),
        problem(400, "json_invalid", "the body is not JSON: it is not UTF-8"),
    ),
    "a model nested beyond all reason": (
        send("/v1/members", DEEP, Content_Type=JSON),
        problem(400, "too_deep", "the body is nested too deep; send flatter JSON"),
    ),
    "a model as XML": (
        send("/v1/members", b"<a/>", Content_Type="text/xml"),
        problem(415, "media_type_unsupported", "send the body as JSON, with Content-Type: application/json"),
    ),
    "a model as a form": (
        send("/v1/rules", b"a=1", Content_Type="application/x-www-form-urlencoded"),
        problem(415, "media_type_unsupported", "send the body as JSON, with Content-Type: application/json"),
    ),
    "a model over the limit": (
        send("/v1/members", b" " * (1024 * 1024 + 1), Content_Type=JSON),
        problem(413, "body_too_large", "the body is over the limit of 1048576 bytes; send less at once", limit=1048576),
    ),
    "no model at all": (
        send("/v1/members"),
        problem(
            422, "validation_failed", "the request does not fit; see errors", ("", "missing", "a JSON body is required")
        ),
    ),
    "a list for a model": (
        send("/v1/entries", []),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("", "model_attributes_type", "a JSON object is expected"),
        ),
    ),
    "a field that does not exist": (
        member(nickname="B"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/nickname", "extra_forbidden", "there is no such field; is it misspelt?"),
        ),
    ),
    "a name that is missing": (
        send("/v1/members", {}),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/display_name", "missing", "Field required"),
        ),
    ),
    "a name that is a number": (
        member(display_name=7),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/display_name", "string_type", "Input should be a valid string"),
        ),
    ),
    "a name of nothing": (
        member(display_name="   "),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/display_name", "value_error", "something readable is needed"),
        ),
    ),
    "a name with NUL in it": (
        member(display_name="a\0b"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/display_name", "value_error", "control characters are not allowed"),
        ),
    ),
    "a name without end": (
        member(display_name="x" * 500),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/display_name", "string_too_long", "String should have at most 100 characters"),
        ),
    ),
    "a segment of an impossible name": (
        send("/v1/segments/The+Staff", {"name": "Staff"}, method="PUT"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            (
                "/path/segment_id",
                "string_pattern_mismatch",
                "String should match pattern '^[a-z0-9][a-z0-9-]{0,59}$'",
            ),
        ),
    ),
    "a segment without a name": (
        send("/v1/segments/hosts", {"name": " "}, method="PUT"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/name", "value_error", "something readable is needed"),
        ),
    ),
    "a member of a segment that is not there": (
        send("/v1/segments/gone/members/{ada}", {"reason": "x"}, method="PUT"),
        problem(404, "segment_unknown", "no such segment; see GET /v1/segments"),
    ),
    "nobody for a segment": (
        send("/v1/segments/staff/members/" + NOBODY, {"reason": "x"}, method="PUT"),
        problem(404, "member_unknown", "no such member"),
    ),
    "a segment for no reason": (
        send("/v1/segments/staff/members/{ada}", {"reason": ""}, method="PUT"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/reason", "string_too_short", "String should have at least 1 character"),
        ),
    ),
    "a way out of a segment for no reason": (
        send("/v1/segments/staff/members/{ada}", method="DELETE"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/reason", "missing", "Field required"),
        ),
    ),
    "a way out of a segment for a reason with NUL in it": (
        send("/v1/segments/staff/members/{ada}?reason=%00", method="DELETE"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/reason", "value_error", "something readable is needed, without control characters"),
        ),
    ),
    "many for a segment, one of them nobody": (
        send("/v1/segments/staff/members", {"members": ["{ada}", NOBODY], "reason": "x"}),
        problem(
            422,
            "segment_refused",
            "not all of these can be put in; see errors",
            ("/members/1", "member_unknown", "no such member"),
        ),
    ),
    "a segment for everybody at once": (
        send("/v1/segments/staff/members", {"members": [NOBODY] * 501, "reason": "x"}),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/members", "too_long", "List should have at most 500 items after validation, not 501"),
        ),
    ),
    "the segment that every community has": (
        send("/v1/segments/staff", method="DELETE"),
        problem(409, "segment_permanent", "every community has this segment; take its members out instead"),
    ),
    "a zone on another planet": (
        member(zone="Mars/Olympus"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/zone", "value_error", "unknown time zone 'Mars/Olympus'; use an IANA name such as Asia/Shanghai"),
        ),
    ),
    "a kind there is none of": (
        member(kind="cat"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/kind", "literal_error", "Input should be 'person' or 'bot'"),
        ),
    ),
    "a platform called member": (
        member(identity={"platform": "member", "external_id": "1"}),
        problem(
            422,
            "identity_malformed",
            "platform is lower-case letters, digits, - and _, and not `member`",
            ("/identity", "identity_malformed", "platform is lower-case letters, digits, - and _, and not `member`"),
        ),
    ),
    "an identity that is somebody's": (
        member(identity={"platform": "qq", "external_id": "1"}),
        problem(409, "identity_in_use", "this identity is a member already"),
    ),
    "a step that is not legal": (
        send("/v1/members/{ada}/transitions", {"to": "observed", "reason": "x"}),
        problem(
            409,
            "transition_illegal",
            "from active to observed is no legal step; legal: cooling, dormant, left, removed, banned, erased",
            legal=["cooling", "dormant", "left", "removed", "banned", "erased"],
        ),
    ),
    "a step without a reason": (
        send("/v1/members/{ada}/transitions", {"to": "left"}),
        problem(
            422, "validation_failed", "the request does not fit; see errors", ("/reason", "missing", "Field required")
        ),
    ),
    "a day that begins at 25": (
        send(HERE, {"day_start": "25:00"}, method="PATCH"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/day_start", "value_error", "day_start reads HH:MM, from 00:00 to 23:59"),
        ),
    ),
    "an update of a version long gone": (
        send(HERE, {"name": "x"}, method="PATCH", If_Match='"99"'),
        problem(412, "version_changed", "somebody changed this meanwhile; read it again", current='"1"'),
    ),
    "an entity tag that is none": (
        send(HERE, {"name": "x"}, method="PATCH", If_Match="noise"),
        problem(412, "version_changed", "somebody changed this meanwhile; read it again", current='"1"'),
    ),
    "rules over a version long gone": (
        send("/v1/rules", {"rules": [RULE]}, If_Match='"99"'),
        problem(412, "version_changed", "somebody changed this meanwhile; read it again", current='"1"'),
    ),
    "a key for everything": (
        key(scopes=["everything"]),
        problem(
            422,
            "scope_unknown",
            "there is no such scope",
            (
                "/scopes",
                "scope_unknown",
                "unknown: everything; known: channels:write, communities:write, connections:write, events:import, "
                "events:read, events:replay, events:text, events:write, keys:write, members:read, members:write, "
                "notify:read, notify:write, "
                "ops:read, ops:write, rewards:read, rewards:write, tokens:write",
            ),
        ),
    ),
    "a key for nothing": (
        key(scopes=[]),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/scopes", "too_short", "List should have at least 1 item after validation, not 0"),
        ),
    ),
    "a key that has expired": (
        key(expires_at="2020-01-01T00:00:00Z"),
        problem(
            422,
            "validation_failed",
            "a key expires in the future, within ten years",
            ("/expires_at", "expiry_out_of_range", "a moment to come, within ten years"),
        ),
    ),
    "a key until the end of time": (
        key(expires_at="9999-12-31T23:59:59-23:59"),
        problem(
            422,
            "validation_failed",
            "a key expires in the future, within ten years",
            ("/expires_at", "expiry_out_of_range", "a moment to come, within ten years"),
        ),
    ),
    "a token for nobody": (
        send("/v1/tokens", {}),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("", "value_error", "name the member by member_id or by identity, one of them"),
        ),
    ),
    "a link code that is none": (
        send("/v1/identities/confirmations", {"code": "NOPE", "platform": "qq", "external_id": "1"}),
        problem(
            422,
            "code_unknown",
            "this code is not good",
            ("/code", "code_unknown", "wrong, used or expired; ask for a new one"),
        ),
    ),
    "a canonical type published over": (
        own_type(type="poke"),
        problem(409, "type_canonical", "poke is a canonical type and has its schema"),
    ),
    "a type under our name": (
        own_type(type="guildhall.x"),
        problem(
            422,
            "type_reserved",
            "this name is reserved",
            ("/type", "type_reserved", "types under guildhall. are ours; choose another name"),
        ),
    ),
    "a type with a space in its name": (
        own_type(type="a b"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/type", "string_pattern_mismatch", "String should match pattern '^[A-Za-z0-9][A-Za-z0-9._/:-]*$'"),
        ),
    ),
    "a mode there is none of": (
        own_type(mode="guess"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/mode", "literal_error", "Input should be 'observe', 'warn' or 'enforce'"),
        ),
    ),
    "a schema that is none": (
        own_type(json_schema={"type": "banana"}),
        problem(
            422,
            "schema_invalid",
            "this JSON Schema cannot be used; see errors",
            (
                "/json_schema/type",
                "schema_invalid",
                "\"banana\" is not valid under any of the schemas listed in the 'anyOf' keyword",
            ),
        ),
    ),
    "a schema that looks elsewhere": (
        own_type(json_schema={"$ref": "http://169.254.169.254/"}),
        problem(
            422,
            "schema_invalid",
            "this JSON Schema cannot be used; see errors",
            ("/json_schema", "schema_invalid", "a $ref must stay inside the schema; put what it names under $defs"),
        ),
    ),
}


async def test_every_refusal_reads_exactly_like_this(clock: ManualClock, tmp_path: Path) -> None:
    async with world(tmp_path, clock) as here:
        answers = await here.answers({name: ask for name, (ask, _) in CASES.items()})
    for name, (_, wanted) in CASES.items():
        assert answers[name] == wanted, name
