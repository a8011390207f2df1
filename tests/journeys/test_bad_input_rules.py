"""What is wrong with rules (K11, K12)."""

from pathlib import Path

from tests.journeys.bad_input import Ask, problem, send, world
from tests.support.clock import ManualClock

RULE = {"id": "r", "name": "R", "on": ["poke"], "give": [{"to": "actor", "unit": "points", "amount": 1}]}

NAME_THEM = 'name them in the set: "seasons": [{"key": "2026-s4", "first_day": "2026-10-01", "last_day": "2026-12-31"}]'


def rule(**fields: object) -> Ask:
    return send("/v1/rules", {"rules": [{**RULE, **fields}]})


CASES = {
    "rules that leave out no name of a segment": (
        send("/v1/rules", {"rules": [RULE], "excluded_segments": ["staff", "The Staff"]}),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            ("/excluded_segments/1", "segment_invalid", "1 to 60 of a-z, 0-9 and '-', as in GET /v1/segments"),
        ),
    ),
    "rules that limit something per season and name none": (
        send("/v1/rules", {"rules": [RULE], "unit_caps": [{"unit": "xp", "limit": 9, "per": "season"}]}),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            ("/unit_caps/0/per", "seasons_missing", NAME_THEM),
        ),
    ),
    "an expression that does not compile": (
        rule(when="event.type =="),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            (
                "/rules/0/when",
                "expression_invalid",
                "line 1, column 14: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', "
                "'.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, "
                "IDENTIFIER}",
            ),
        ),
    ),
    "an expression of something unknown": (
        rule(when="weather == 'fine'"),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            (
                "/rules/0/when",
                "expression_invalid",
                "line 1, column 1: there is no weather; there are actor.active_days, actor.age_days, actor.id, "
                "actor.kind, actor.level, actor.segments, actor.state, author.id, author.kind, author.segments, "
                "author.state, checkin.status, counts.day, counts.ever, counts.month, counts.week, event.actor, "
                "event.author, event.data, event.group, event.history, event.source, event.subject, event.time, "
                "event.type, group.id, group.platform, inviter.id, inviter.kind, inviter.segments, inviter.state, "
                "signals.copied, signals.hour, signals.minute, signals.mutual, signals.received, "
                "signals.received_days, signals.ring, signals.share, signals.similar, streak.current, streak.days, "
                "streak.longest, text.distinct, text.length",
            ),
        ),
    ),
    "an expression that is no question": (
        rule(when="1 + 1"),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            ("/rules/0/when", "expression_invalid", "line 1, column 1: gives int, wanted bool"),
        ),
    ),
    "an expression without end": (
        rule(when="true || " * 2000 + "true"),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            ("/rules/0/when", "too_long", "at most 2000 characters"),
        ),
    ),
    "two rules of one name": (
        send("/v1/rules", {"rules": [RULE, RULE]}),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            ("/rules/1/id", "rule_id_twice", "two rules are called r"),
        ),
    ),
    "a rule that pays in gold": (
        rule(give=[{"to": "actor", "unit": "gold", "amount": 1}]),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            ("/rules/0/give/0/unit", "unit_unknown", "no unit 'gold' here; there are contribution, points, xp"),
        ),
    ),
    "rules for a time that is past": (
        send("/v1/rules", {"rules": [RULE], "effective_from": "2020-01-01T00:00:00Z"}),
        problem(
            422,
            "schedule_invalid",
            "rules are scheduled for a time to come",
            ("/effective_from", "out_of_range", "in the future, at most 400 days from now"),
        ),
    ),
    "a recompute for a time to come": (
        send("/v1/rules", {"rules": [RULE], "effective_from": "2030-01-01T00:00:00Z", "mode": "recompute"}),
        problem(
            422,
            "schedule_invalid",
            "what is run over the past is not scheduled",
            ("/effective_from", "mode_invalid", "goes with mode=forward_only"),
        ),
    ),
    "a rule that pays money": (
        rule(give=[{"to": "actor", "unit": "fund", "amount": 100}]),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            (
                "/rules/0/give/0/unit",
                "unit_bookkeeping",
                "fund is for bookkeeping only: what was paid is posted by hand, with a reason (POST /v1/entries)",
            ),
        ),
    ),
    "a rule that pays everybody": (
        rule(give=[{"to": "everybody", "unit": "points", "amount": 1}]),
        problem(
            422,
            "rules_invalid",
            "this is no rule set; see errors",
            (
                "/rules/0/give/0/to",
                "schema_violation",
                "invalid enum value 'everybody'; GET /v1/rules/schema lists those there are",
            ),
        ),
    ),
    "a rule that multiplies for a group": (
        rule(give=[{"to": "group", "unit": "points", "amount": 1, "multiplied": True}]),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            ("/rules/0/give/0/multiplied", "multiplied_invalid", "a group has no level; give it as it is"),
        ),
    ),
    "a rule of effort alone, and then some": (
        rule(
            give=[
                {"to": "actor", "unit": "points", "random": {"min": 1, "max": 9, "effort": {"cel": "1", "share": 140}}}
            ]
        ),
        problem(
            422,
            "rules_invalid",
            "these rules cannot be used; see errors",
            (
                "/rules/0/give/0/random/effort/share",
                "out_of_range",
                "0 (all chance) to 100 (all effort) per cent; 40 unless given",
            ),
        ),
    ),
    "a rule with a misspelt field": (
        rule(onn=["poke"]),
        problem(
            422,
            "rules_invalid",
            "this is no rule set; see errors",
            (
                "/rules/0/onn",
                "field_unknown",
                "no field 'onn' here; there are id, on, give, name, when, review_when, caps, cooldown_seconds, "
                "lateness_hours, undone_by, min_content_lifetime_seconds, notify, enabled",
            ),
        ),
    ),
    "a rule with a cap by the fortnight": (
        rule(caps=[{"scope": ["member"], "per": "fortnight", "limit": 1}]),
        problem(
            422,
            "rules_invalid",
            "this is no rule set; see errors",
            ("/rules/0/caps/0/scope", "schema_violation", "expected a string, got an array"),
        ),
    ),
}


async def test_every_refusal_reads_exactly_like_this(clock: ManualClock, tmp_path: Path) -> None:
    async with world(tmp_path, clock) as here:
        answers = await here.answers({name: ask for name, (ask, _) in CASES.items()})
    for name, (_, wanted) in CASES.items():
        assert answers[name] == wanted, name
