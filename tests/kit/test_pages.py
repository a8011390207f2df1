"""docs/errors.md and docs/metrics.md say what the source says, and nothing that is gone."""

import re
from pathlib import Path

from prometheus_client import REGISTRY

import kit.metrics
from tests.kit.codes import dead_letter_codes, item_codes, problem_codes

DOCS = Path(__file__).parents[2] / "docs"


def section(page: str, heading: str) -> str:
    text = (DOCS / page).read_text()
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([a-z_.*A-Z]+)` \|", text, re.MULTILINE)


def test_every_problem_code_has_a_line_with_its_statuses() -> None:
    lines = re.findall(r"^\| `([a-z_]+)` \| ([0-9, ]+) \|", section("errors.md", "Problems"), re.MULTILINE)
    documented = {(code, int(status)) for code, statuses in lines for status in statuses.split(",")}
    assert documented == problem_codes()
    assert len({code for code, _ in lines}) == len(lines), "one line a code"


def test_every_code_of_a_refused_event_has_a_line() -> None:
    assert set(first_cells(section("errors.md", "Refused events"))) == item_codes()


def test_every_code_of_a_dead_letter_has_a_line() -> None:
    assert set(first_cells(section("errors.md", "Dead letters"))) == {*dead_letter_codes(), "bug.*"}


def test_problems_stand_in_the_order_of_the_alphabet() -> None:
    codes = re.findall(r"^\| `([a-z_]+)` \| [0-9]", section("errors.md", "Problems"), re.MULTILINE)
    assert codes == sorted(codes)


def test_every_metric_has_a_line_with_its_labels_and_none_that_is_gone() -> None:
    assert kit.metrics
    lines = re.findall(r"^\| `(guildhall_\w+)` \| ([^|]*) \|", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    documented = {name.removesuffix("_total"): set(re.findall(r"`(\w+)`", labels)) for name, labels in lines}
    collectors = {
        names[0]: set(collector._labelnames)
        for collector, names in REGISTRY._collector_to_names.items()
        if names[0].startswith("guildhall")
    }
    assert documented == collectors
