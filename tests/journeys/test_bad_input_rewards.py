"""What is wrong with entries, boards and levels, and with idempotency keys (K11, K12)."""

from pathlib import Path

from tests.journeys.bad_input import NOBODY, Ask, get, problem, send, world
from tests.support.clock import ManualClock

ENTRY = {"member_id": "{ada}", "amount": 5, "reason": "for helping"}


def entry(**fields: object) -> Ask:
    return send("/v1/entries", {**ENTRY, **fields})


CASES = {
    "an idempotency key without end": (
        send("/v1/entries", ENTRY, Idempotency_Key="x" * 256),
        problem(400, "idempotency_key_invalid", "Idempotency-Key has 1 to 255 characters"),
    ),
    "an idempotency key of nothing": (
        send("/v1/members", {"display_name": "Bo"}, Idempotency_Key=""),
        problem(400, "idempotency_key_invalid", "Idempotency-Key has 1 to 255 characters"),
    ),
    "an idempotency key used for something else": (
        send("/v1/entries", ENTRY, Idempotency_Key="used"),
        problem(422, "idempotency_key_reused", "this Idempotency-Key was used for another request"),
    ),
    "an amount of 0": (
        entry(amount=0),
        problem(422, "amount_zero", "an entry of 0 says nothing", ("/amount", "amount_zero", "not 0")),
    ),
    "an amount beyond counting": (
        entry(amount=10**30),
        problem(
            400,
            "amount_out_of_range",
            "an amount lies between -4611686018427387903 and 4611686018427387903",
            ("/amount", "amount_out_of_range", "at most 4611686018427387903"),
        ),
    ),
    "an amount in fractions": (
        entry(amount=1.5),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/amount", "int_from_float", "Input should be a valid integer, got a number with a fractional part"),
        ),
    ),
    "an amount in words": (
        entry(amount="lots"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/amount", "int_parsing", "Input should be a valid integer, unable to parse string as an integer"),
        ),
    ),
    "spending what is not there": (
        entry(amount=-100_000, kind="spend"),
        problem(422, "insufficient", "100000 points is more than there is to take (5)", available=5, unit="points"),
    ),
    "a unit that is not there": (
        entry(unit="gold"),
        problem(
            422,
            "unit_unknown",
            "there is no unit 'gold'; see GET /v1/units",
            ("/unit", "unit_unknown", "there is no unit 'gold'; see GET /v1/units"),
        ),
    ),
    "a unit of an impossible name": (
        entry(unit="GOLD!"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/unit", "string_pattern_mismatch", "String should match pattern '^[a-z][a-z0-9]{0,29}$'"),
        ),
    ),
    "an entry for two": (
        entry(identity="qq:1"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("", "value_error", "give one of member_id, identity and group"),
        ),
    ),
    "an entry for a day to come": (
        entry(effective_at="2030-01-01T00:00:00Z"),
        problem(
            422,
            "in_the_future",
            "an entry cannot count for a day to come",
            ("/effective_at", "in_the_future", "an entry cannot count for a day to come"),
        ),
    ),
    "a board that leaves out no name of a segment": (
        send("/v1/boards/xp/excluded-segments", {"segments": ["The Staff"]}, method="PUT"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            (
                "/segments/0",
                "string_pattern_mismatch",
                "String should match pattern '^[a-z0-9][a-z0-9-]{0,59}$'",
            ),
        ),
    ),
    "a board of no name of a segment": (
        get("/v1/boards/xp?segment=The+Staff"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            (
                "/query/segment",
                "string_pattern_mismatch",
                "String should match pattern '^[a-z0-9][a-z0-9-]{0,59}$'",
            ),
        ),
    ),
    "a board of friends that are none": (
        get("/v1/boards/xp?among="),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/among", "value_error", "give 1 to 200 ids of members, separated by commas; number 1 is none"),
        ),
    ),
    "a board of friends by other names than their ids": (
        get("/v1/boards/xp/around/{ada}?among={ada},qq:1"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/among", "value_error", "give 1 to 200 ids of members, separated by commas; number 2 is none"),
        ),
    ),
    "a board of more friends than anybody has": (
        get("/v1/boards/xp?among=" + ",".join(f"00000000-0000-7000-8000-{n:012}" for n in range(201))),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/query/among", "value_error", "give 1 to 200 ids of members, separated by commas; these are 201"),
        ),
    ),
    "the account of nobody": (
        get("/v1/accounts/" + NOBODY),
        problem(404, "member_unknown", "no such member"),
    ),
    "the level of nobody": (
        get("/v1/levels/members/" + NOBODY),
        problem(404, "member_unknown", "no such member"),
    ),
    "a reversal beyond counting": (
        send("/v1/entries/" + NOBODY + "/reversals", {"reason": "x", "amount": 2**70}),
        problem(
            400,
            "amount_out_of_range",
            "an amount lies between -4611686018427387903 and 4611686018427387903",
            ("/amount", "amount_out_of_range", "at most 4611686018427387903"),
        ),
    ),
    "a reversal of nothing": (
        send("/v1/entries/" + NOBODY + "/reversals", {"reason": "x"}),
        problem(404, "entry_unknown", "no such entry"),
    ),
    "a hold of nothing": (
        send("/v1/entries/holds", {"member_id": "{ada}", "amount": 0, "reason": "x", "timeout_seconds": 60}),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/amount", "greater_than", "Input should be greater than 0"),
        ),
    ),
    "a hold of more than there is": (
        send("/v1/entries/holds", {"member_id": "{ada}", "amount": 100000, "reason": "x", "timeout_seconds": 60}),
        problem(422, "insufficient", "100000 points is more than there is to take (5)", available=5, unit="points"),
    ),
    "a capture of no hold": (
        send("/v1/entries/holds/" + NOBODY + "/capture", {}),
        problem(404, "hold_unknown", "no such hold"),
    ),
    "the days of a unit that there is not": (
        send("/v1/units/gold/days", method="GET"),
        problem(404, "unit_unknown", "no such unit"),
    ),
    "more days than a year": (
        send("/v1/units/points/days?from=2024-01-01&to=2026-01-01", method="GET"),
        problem(400, "days_invalid", "`from` is at most 365 days before `to`"),
    ),
    "a unit that expires at once": (
        send("/v1/units/gems", {"name": "Gems", "spendable": True, "expires_after_days": 0}, method="PUT"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/expires_after_days", "greater_than_equal", "Input should be greater than or equal to 1"),
        ),
    ),
    "an approval of nothing": (
        send("/v1/entries/adjustments/" + NOBODY + "/approval"),
        problem(404, "adjustment_unknown", "no such adjustment"),
    ),
    "a board that is there": (
        send("/v1/boards", {"id": "xp", "name": "x", "unit": "points"}),
        problem(409, "board_exists", "there is a board 'xp' already"),
    ),
    "a board of gold": (
        send("/v1/boards", {"id": "new", "name": "x", "unit": "gold"}),
        problem(422, "unit_unknown", "there is no unit 'gold'; see GET /v1/units"),
    ),
    "a board whose ties are drawn by lot": (
        send("/v1/boards", {"id": "new", "name": "x", "unit": "xp", "tie_policy": "lot"}),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/tie_policy", "literal_error", "Input should be 'competition', 'dense' or 'ordinal'"),
        ),
    ),
    "no levels": (
        send("/v1/levels", {"scheme": {"kind": "table", "levels": []}}, method="PUT"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/scheme/table/levels", "too_short", "List should have at least 1 item after validation, not 0"),
        ),
    ),
    "levels of a kind there is none of": (
        send("/v1/levels", {"scheme": {"kind": "ladder"}}, method="PUT"),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            (
                "/scheme",
                "union_tag_invalid",
                "Input tag 'ladder' found using 'kind' does not match any of the expected tags: 'formula', 'table'",
            ),
        ),
    ),
    "retrying a dead letter that never was": (
        send("/v1/dead-letters/" + NOBODY + "/retry?service=events"),
        problem(404, "not_found", "no such dead letter"),
    ),
    "burning dead letters": (
        send("/v1/dead-letters/bulk?service=events", {"action": "burn", "code": "x"}),
        problem(
            422,
            "validation_failed",
            "the request does not fit; see errors",
            ("/action", "literal_error", "Input should be 'retry' or 'discard'"),
        ),
    ),
    "a message with no template": (
        send("/v1/messages", {"template": "none", "member_id": "{ada}"}),
        problem(422, "template_unknown", "there is no template 'none'; see GET /v1/templates"),
    ),
}


async def test_every_refusal_reads_exactly_like_this(clock: ManualClock, tmp_path: Path) -> None:
    async with world(tmp_path, clock) as here:
        answers = await here.answers({name: ask for name, (ask, _) in CASES.items()})
    for name, (_, wanted) in CASES.items():
        assert answers[name] == wanted, name
