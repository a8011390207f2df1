"""The docs say what is there: every setting, metric, event type, route prefix and problem code."""

import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import kit.metrics
from kit.schemas import event_schemas, rendered
from kit.settings import PREFIX, Settings
from services.compose import SERVICES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented_with_its_meaning_and_default(name: str) -> None:
    lines = (DOCS / "settings.md").read_text().splitlines()
    line = next((ln for ln in lines if ln.startswith(f"| `{PREFIX}{name.upper()}`")), "")
    field = Settings.model_fields[name]
    assert (field.description or "").rstrip(".") in line, (
        f"docs/settings.md: {PREFIX}{name.upper()}: {field.description}"
    )
    default = str(field.default)
    assert not default or f"`{default}`" in line, f"docs/settings.md: the default of {name} is {default}"


def test_no_setting_is_documented_that_does_not_exist() -> None:
    documented = set(re.findall(rf"^\| `({PREFIX}\w+)`", (DOCS / "settings.md").read_text(), re.MULTILINE))
    assert documented == {PREFIX + name.upper() for name in Settings.model_fields}


def test_every_metric_is_documented() -> None:
    assert kit.metrics
    text = (DOCS / "metrics.md").read_text()
    names = {family.name for family in REGISTRY.collect() if family.name.startswith("guildhall")}
    missing = sorted(name for name in names if f"`{name}" not in text)
    assert not missing, f"docs/metrics.md lacks {missing}"


def test_the_committed_event_schemas_are_those_of_the_contracts() -> None:
    committed = {p.stem: p.read_text() for p in (DOCS / "event-schemas").glob("*.json")}
    assert committed == {name: rendered(schema) for name, schema in event_schemas().items()}, "run: make docs"


@pytest.mark.parametrize("service", SERVICES, ids=lambda s: s.name)
def test_every_route_of_a_service_is_on_its_page_and_under_its_prefixes(service) -> None:  # type: ignore[no-untyped-def]
    page = (DOCS / f"{service.name}.md").read_text() + (
        DOCS.parent / "services" / service.name / "README.md"
    ).read_text()
    for router in service.routers:
        for route in router.routes:
            path = route.path
            short = re.sub(r"\{(\w+)(:\w+)?\}", "{}", path)
            assert short in re.sub(r"\{\w+\}", "{}", page), f"docs/{service.name}.md lacks {path}"
            if path.startswith("/v1/"):
                rest = path.removeprefix("/v1/")
                patterns = [re.escape(p).replace(r"\*", "[^/]+") for p in service.prefixes]
                assert any(re.match(f"{p}(/|$)", rest) for p in patterns), f"{path} is not under {service.prefixes}"
