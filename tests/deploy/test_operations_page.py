"""What the pages for operators tell to type or to look at exists."""

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import kit.metrics
from kit.settings import PREFIX, Settings
from services.__main__ import cli
from tests.deploy.test_alert_rules import ROOT, alerts
from tests.deploy.test_restore import AHEAD, FROM_THE_BEGINNING, NEW_LOG

DOCS = ROOT / "docs"
PAGES = [DOCS / name for name in ("operations.md", "deploying.md", "alerts.md", "gateway.md")]
OF_COMPOSE = {"GUILDHALL_LISTEN"}


def ids(page: Path) -> str:
    return page.stem


def commands() -> set[str]:
    """`guildhall …`, those of groups with their group."""
    out = set()
    for name, command in cli.commands.items():
        out.add(name)
        out |= {f"{name} {sub}" for sub in getattr(command.load(), "commands", {})}  # type: ignore[attr-defined]
    return out


def anchors(page: Path) -> set[str]:
    """As a reader's Markdown makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_it_names_settings_that_exist(page: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+[A-Z]\b", page.read_text()))
    assert named - known <= OF_COMPOSE


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_it_names_commands_that_exist(page: Path) -> None:
    told = re.findall(r"(?:`|    )guildhall ([a-z-]+(?: [a-z]+)?)", page.read_text())
    for words in told:
        assert words in commands() or words.split()[0] in commands() - {"topics", "dead-letters"}, words


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_it_names_metrics_that_exist(page: Path) -> None:
    assert kit.metrics
    families = {family.name for family in REGISTRY.collect()}
    for name in set(re.findall(r"\bguildhall_[a-z_]+", page.read_text())):
        assert re.sub("_(total|bucket|sum|count)$", "", name) in families, name


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        where = (page.parent / path).resolve() if path else page
        assert where.exists(), target
        assert not anchor or anchor in anchors(where), target


def test_every_alert_has_its_place_in_the_order_to_look_at_them() -> None:
    order = (DOCS / "operations.md").read_text().partition("## When an alert fires")[2]
    assert set(re.findall(r"alerts\.md#(\w+)", order)) == {name.lower() for name in alerts()}


def test_it_tells_what_the_restore_that_is_tried_out_does() -> None:
    page = (DOCS / "operations.md").read_text()
    for statement in (AHEAD, FROM_THE_BEGINNING, *NEW_LOG):
        assert statement in page, statement
