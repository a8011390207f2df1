"""What rules cost: the rewards service alone, with the starter rules, with twenty and with fifty that all run, and of
which a fifth pay."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import report
from bench.activities import Day
from bench.pipeline import against_inserts, start_postgres
from bench.sizes import Size
from kit.clock import system_clock
from services.rewards.domain.rules import RuleSet
from services.rewards.handlers import rules as rule_sets

COLUMNS = (
    "",
    "activities/s",
    "statements a thousand activities",
    "inserts alone, activities/s",
    "of the inserts alone",
)
NUMBERS = (20, 50)


def rules_of(number: int) -> RuleSet:
    """So many rules that each listen to every message and whose condition one in five of them holds of; a third of them
    each with a fixed, a random, a computed amount; each with a limit a day, every fifth with a cooldown."""
    return rule_sets.parse({"rules": [_rule(n) for n in range(number)], "unit_caps": []})


def _rule(number: int) -> dict[str, Any]:
    amount: Any = [
        {"amount": 1},
        {"random": {"min": 1, "max": 5}},
        {"cel": "streak.current > 7 ? 2 : 1"},
    ][number % 3]
    out: dict[str, Any] = {
        "id": f"rule-{number}",
        "on": ["message.created", "reaction.added", "checkin.submitted"],
        "give": [{"to": "actor", "unit": "xp", **amount}],
        "caps": [{"limit": 20 + number}],
        "when": f"(has(event.data.length) ? int(event.data.length) : 0) % 5 == {number % 5}",
    }
    if number % 5 == 0:
        out["cooldown_seconds"] = 60
    return out


def run(size: Size) -> None:
    report.heading("Rules: what a set costs")
    day = Day.of(size.activities, system_clock())
    report.say(f"{size.activities:,} activities of one simulated day, already on the log; the rewards service alone.\n")
    with tempfile.TemporaryDirectory(prefix="guildhall-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        postgres = start_postgres(directory, stack)
        engines = [("SQLite", None), *([("PostgreSQL", postgres)] if postgres is not None else [])]
        rows = []
        for engine, server in engines:
            for number in (0, *NUMBERS):
                rules = rules_of(number) if number else None
                title = f"{engine}, {number or 'starter'} rules"
                result, alone = against_inserts(title, directory, server, day, ("rewards",), rules)
                rows.append(
                    (
                        title,
                        report.whole(result.rate),
                        report.whole(1000 * sum(tape.executed for tape in result.tapes) / len(day.events)),
                        report.whole(alone),
                        report.ratio(result.rate / alone),
                    )
                )
        report.table(COLUMNS, rows)
