"""The shipped alert rules: each one tried out by promtool, and each one explained to whoever it wakes up."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.prometheus import SHIPPED, sooner
from tests.support.require import missing

ROOT = SHIPPED.parents[1]
ALERTS_PAGE = ROOT / "docs" / "alerts.md"
CASES = SHIPPED / "rules.test.yml", SHIPPED / "rules.slow.test.yml"


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((SHIPPED / "rules.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def sections() -> dict[str, str]:
    """Heading → text of the page."""
    parts = re.split(r"^## (.+)$", ALERTS_PAGE.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        missing("promtool", "it comes with the package prometheus")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_configuration_and_rules() -> None:
    promtool("check", "config", SHIPPED / "prometheus.yml")


def test_each_alert_fires_and_clears_in_promtools_own_tests() -> None:
    promtool("test", "rules", *CASES)


def test_no_alert_lacks_a_case_in_which_it_fires_and_one_in_which_it_has_cleared() -> None:
    outcomes: dict[str, list[bool]] = {}
    for case in (case for file in CASES for case in yaml.safe_load(file.read_text())["tests"]):
        for question in case["promql_expr_test"]:
            name = re.search(r'alertname="(\w+)"', question["expr"])
            assert name is not None
            outcomes.setdefault(name[1], []).append(bool(question["exp_samples"]))
    assert outcomes == {name: [False, True, False] for name in alerts()}


def test_each_alert_has_its_section_and_each_section_its_alert() -> None:
    assert list(sections()) == list(dict.fromkeys(sections()))
    assert sections().keys() == alerts().keys()


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_urgent_it_is_what_it_means_and_where_to_read_on(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"
    assert len(sections()[name].split()) > 20


def test_the_page_names_only_log_lines_that_are_written() -> None:
    named = set(re.findall(r"`([a-z]+\.[a-z_]+)`", ALERTS_PAGE.read_text())) - {"log.sqlite"}
    sources = "".join(p.read_text() for folder in ("kit", "services") for p in (ROOT / folder).rglob("*.py"))
    written = {name for name in named if f'"{name}"' in sources}
    assert written == {name for name in named if not name.startswith("accounts.")}


def test_the_rules_that_tests_shorten_are_the_shipped_ones_but_for_their_times() -> None:
    shipped = (SHIPPED / "rules.yml").read_text()
    short = sooner(shipped)
    times = r"\d+(?:ms|s|m|h)(?=\]|$)"
    assert re.sub(times, "T", short, flags=re.MULTILINE) == re.sub(times, "T", shipped, flags=re.MULTILINE)
    assert "for: 1m\n" not in short
    assert "[10m]" not in short
    assert "for: 1000ms\n" in short
    assert "[10000ms]" in short
