"""What is wrong with an address: pages, cursors, ids, times, filters, things that are not there (K11, K13)."""

from pathlib import Path

from tests.journeys.bad_input import NOBODY, get, problem, world
from tests.support.clock import ManualClock

CASES = {
    "a page of nothing": (
        get("/v1/members?limit=0"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/limit", "greater_than_equal", "Input should be greater than or equal to 1"),
        ),
    ),
    "a page of everything": (
        get("/v1/events?limit=1000"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/limit", "less_than_equal", "Input should be less than or equal to 200"),
        ),
    ),
    "a page below nothing": (
        get("/v1/boards/xp?limit=-5"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/limit", "greater_than_equal", "Input should be greater than or equal to 1"),
        ),
    ),
    "a page by words": (
        get("/v1/entries?member={ada}&limit=all"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/limit", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
        ),
    ),
    "a page beyond counting": (
        get("/v1/keys?limit=99999999999999999999999"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/limit", "less_than_equal", "Input should be less than or equal to 200"),
        ),
    ),
    "a cursor of members that is noise": (
        get("/v1/members?cursor=zzz"),
        problem(400, "cursor_invalid", "this cursor is not one of ours; begin without it"),
    ),
    "a cursor of events from another list": (
        get("/v1/events?cursor=WyJhIl0"),
        problem(400, "cursor_invalid", "this cursor is not one of this list; begin without it"),
    ),
    "a cursor of a board from another list": (
        get("/v1/boards/xp?cursor=WyJhIl0"),
        problem(400, "cursor_invalid", "this cursor is not one of this list; begin without it"),
    ),
    "a cursor of entries that is empty": (
        get("/v1/entries?member={ada}&cursor=W10"),
        problem(400, "cursor_invalid", "this cursor is not one of this list; begin without it"),
    ),
    "a cursor of rule versions that is empty": (
        get("/v1/rules/versions?cursor=W10"),
        problem(400, "cursor_invalid", "this cursor is not one of this list; begin without it"),
    ),
    "a cursor of imports that is a number": (
        get("/v1/imports?cursor=WzFd"),
        problem(400, "cursor_invalid", "this cursor is not one of this list; begin without it"),
    ),
    "a cursor of event types that is a number": (
        get("/v1/event-types?cursor=WzFd"),
        problem(400, "cursor_invalid", "this cursor is not one of this list; begin without it"),
    ),
    "a cursor of dead letters that is a number": (
        get("/v1/dead-letters?service=events&cursor=WzFd"),
        problem(400, "cursor_invalid", "this cursor is not one of this list; begin without it"),
    ),
    "a Last-Event-ID of another stream": (
        get("/v1/events/stream", Last_Event_ID="42"),
        problem(400, "cursor_invalid", "this Last-Event-ID is not one of ours"),
    ),
    "a member's name for an id": (
        get("/v1/members/ada"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/path/id", "uuid_parsing", "Input should be a valid UUID, invalid length: found 3"),
        ),
    ),
    "a number for an event's id": (
        get("/v1/events/7"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/path/id", "uuid_parsing", "Input should be a valid UUID, invalid length: found 1"),
        ),
    ),
    "a trace of no event": (
        get("/v1/events/" + NOBODY + "/trace"),
        problem(404, "event_unknown", "no such event here (yet: storing follows acceptance by a moment)"),
    ),
    "events of a member by name": (
        get("/v1/events?member=ada"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/member", "uuid_parsing", "Input should be a valid UUID, invalid length: found 3"),
        ),
    ),
    "events since yesterday, in words": (
        get("/v1/events?from=yesterday"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            (
                "/query/from",
                "datetime_from_date_parsing",
                "Input should be a valid datetime or date, input is too short",
            ),
        ),
    ),
    "events since a time without zone": (
        get("/v1/events?from=2026-01-01T00:00:00"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/from", "timezone_aware", "Input should have timezone info"),
        ),
    ),
    "events since the end of time": (
        get("/v1/events?from=9999-12-31T23:59:59-23:59"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/from", "value_error", "a time between 1970 and 9000"),
        ),
    ),
    "a type with NUL in it": (
        get("/v1/events?type=a%00b"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/type", "value_error", "control characters are not allowed"),
        ),
    ),
    "an event's key without its source": (
        get("/v1/events/by-key?id=a"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/source", "missing", "Field required"),
        ),
    ),
    "members in a state there is none of": (
        get("/v1/members?state=asleep"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            (
                "/query/state",
                "literal_error",
                "Input should be 'observed', 'applied', 'waitlisted', 'approved', 'rejected', "
                "'onboarding', 'active', 'cooling', 'dormant', 'left', 'removed', 'banned' or 'erased'",
            ),
        ),
    ),
    "an identity of an upper-case platform": (
        get("/v1/identities?platform=QQ&external_id=1"),
        problem(
            422,
            "identity_malformed",
            "platform is lower-case letters, digits, - and _, and not `member`",
            ("/query", "identity_malformed", "platform is lower-case letters, digits, - and _, and not `member`"),
        ),
    ),
    "half an identity": (
        get("/v1/identities?platform=qq"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/external_id", "missing", "Field required"),
        ),
    ),
    "an identity nobody has": (
        get("/v1/identities?platform=qq&external_id=404"),
        problem(404, "identity_unknown", "nobody is known under this identity"),
    ),
    "a board that is not there": (
        get("/v1/boards/none"),
        problem(404, "board_unknown", "there is no board 'none'; see GET /v1/boards"),
    ),
    "a board of an impossible name": (
        get("/v1/boards/NONE!"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/path/board_id", "string_pattern_mismatch", "String should match pattern '^[a-z0-9][a-z0-9-]{0,59}$'"),
        ),
    ),
    "a board by the fortnight": (
        get("/v1/boards/xp?period=fortnight"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            (
                "/query/period",
                "literal_error",
                "Input should be 'all', 'season', 'quarter', 'month', 'week', 'day', 'rolling' or 'decay'",
            ),
        ),
    ),
    "fewer than none above": (
        get("/v1/boards/xp/around/{ada}?above=-1"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/above", "greater_than_equal", "Input should be greater than or equal to 0"),
        ),
    ),
    "an import that never was": (
        get("/v1/imports/none"),
        problem(404, "import_unknown", "nothing was stored under this import yet"),
    ),
    "a version of the rules to come": (
        get("/v1/rules/versions/99"),
        problem(404, "rules_unknown", "no such version of the rules"),
    ),
    "a message that never was": (
        get("/v1/messages/" + NOBODY),
        problem(404, "message_unknown", "no such message here"),
    ),
    "messages in a state there is none of": (
        get("/v1/messages?state=lost"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            (
                "/query/state",
                "literal_error",
                "Input should be 'held', 'queued', 'sending', 'sent', 'delivered', 'undelivered', "
                "'bounced', 'not_sent', 'unknown', 'expired' or 'cancelled'",
            ),
        ),
    ),
    "a template that is not there": (
        get("/v1/templates/none"),
        problem(404, "template_unknown", "no such template; see GET /v1/templates"),
    ),
}


async def test_every_refusal_reads_exactly_like_this(clock: ManualClock, tmp_path: Path) -> None:
    async with world(tmp_path, clock) as here:
        answers = await here.answers({name: ask for name, (ask, _) in CASES.items()})
    for name, (_, wanted) in CASES.items():
        assert answers[name] == wanted, name
