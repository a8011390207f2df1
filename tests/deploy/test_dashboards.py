"""Dashboards and alerts ask for what exists: metrics, labels, and the values of labels that are known beforehand."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import kit.metrics
from deploy.grafana.make import rendered
from deploy.grafana.panels import DASHBOARDS
from services.compose import SERVICES
from services.members.domain import STATES as MEMBER_STATES
from services.notify.domain import STATES as MESSAGE_STATES
from services.rewards.domain import engine
from tests.deploy.queries import GRAFANA, QUERIES
from tests.support.promql import Series, grouping_labels, series_of
from tests.support.require import missing

TARGET = {"job", "process", "instance"}
OWN = {
    "up": TARGET,
    "ALERTS": {"alertname", "alertstate", "severity"},
    "process_start_time_seconds": TARGET,
    "process_resident_memory_bytes": TARGET,
    "process_cpu_seconds_total": TARGET,
}
"""What Prometheus and its client add by themselves."""

VERDICTS = {engine.GRANTED, engine.CAPPED, engine.COOLDOWN, engine.INELIGIBLE, engine.BUDGET}
VERDICTS |= {engine.DUPLICATE, engine.LATE, engine.ERROR}
NAMES = {service.name for service in SERVICES}
KNOWN_VALUES = {
    ("guildhall_messages_total", "state"): set(MESSAGE_STATES),
    ("guildhall_members", "state"): set(MEMBER_STATES),
    ("guildhall_decisions_total", "verdict"): VERDICTS,
    ("guildhall_consumer_lag_records", "service"): NAMES,
    ("guildhall_consumer_batch_duration_seconds_bucket", "service"): NAMES,
    ("guildhall_ready_check", "check"): {"log", *(f"database:{name}" for name in NAMES)},
}


def metrics() -> dict[str, set[str]]:
    """Every series of the platform with its labels, as Prometheus sees them."""
    assert kit.metrics
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    out = {name: set(labels) for name, labels in OWN.items()}
    for metric in vars(kit.metrics).values():
        if hasattr(metric, "_labelnames"):
            [family] = metric.describe()
            for suffix in suffixes[family.type]:
                extra = {"le"} if suffix == "_bucket" else set()
                out[family.name + suffix] = {*metric._labelnames, *TARGET, *extra}
    return out


@pytest.mark.parametrize(("where", "expr"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_query_asks_for_metrics_and_labels_that_exist(where: str, expr: str) -> None:
    known = metrics()
    found = series_of(expr)
    assert found, expr
    for series in found:
        assert series.name in known, f"{where}: there is no metric {series.name}"
        labels = {label for label, _, _ in series.matchers}
        assert labels <= known[series.name], f"{where}: {series.name} has no labels {labels - known[series.name]}"
        check_values(where, series)
    grouped = grouping_labels(expr)
    assert grouped <= set().union(*(known[s.name] for s in found)), f"{where}: {grouped}"


def check_values(where: str, series: Series) -> None:
    for label, operator, value in series.matchers:
        if label == "route":
            pattern = value if "~" in operator else re.escape(value)
            routes = [route.path for service in SERVICES for router in service.routers for route in router.routes]
            assert any(re.fullmatch(pattern, path) for path in routes), f"{where}: no route is {value}"
        elif (values := KNOWN_VALUES.get((series.name, label))) is not None:
            for one in value.split("|"):
                assert any(re.fullmatch(one, v) for v in values), f"{where}: {label} is never {one}"


def test_prometheus_itself_can_read_every_query(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool", "it comes with the package prometheus")
    rules = [{"record": f"query:{n}", "expr": expr} for n, (_, expr) in enumerate(QUERIES)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_shipped_dashboards_are_those_of_the_source() -> None:
    shipped = {path.stem: path.read_text() for path in (GRAFANA / "dashboards").glob("*.json")}
    assert shipped == {dashboard.uid: rendered(dashboard) for dashboard in DASHBOARDS}, "run: make docs"


def test_panels_have_a_place_of_their_own_and_say_what_to_see_in_them() -> None:
    for dashboard in DASHBOARDS:
        document: dict[str, Any] = json.loads(rendered(dashboard))
        places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in document["panels"]]
        assert len(set(places)) == len(places)
        assert all(panel.description and panel.title for panel in dashboard.panels)


def test_dashboards_find_their_source_and_grafana_finds_the_dashboards() -> None:
    provisioning = GRAFANA / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    [provider] = yaml.safe_load((provisioning / "dashboards" / "guildhall.yml").read_text())["providers"]
    used = {panel["datasource"]["uid"] for d in DASHBOARDS for panel in json.loads(rendered(d))["panels"]}
    assert used == {source["uid"]}
    assert provider["options"]["path"] == "/etc/grafana/dashboards"


def test_every_metric_of_ours_is_looked_at_somewhere() -> None:
    asked = {series.name for _, expr in QUERIES for series in series_of(expr)}
    ours = {name for name in metrics() if name.startswith("guildhall_") and not name.endswith(("_sum", "_count"))}
    assert ours - asked == set()


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ('sum by (a) (rate(x_total{b=~"c|d (e)"}[5m])) / on (a) group_left () y', ["x_total", "y"]),
        ('absent(u{check="database:a"}) or 0 * v > 1', ["u", "v"]),
        ("histogram_quantile(0.99, sum by (le) (rate(h_bucket[5m])))", ["h_bucket"]),
        ("time() - t > 120 and on () (w unless x)", ["t", "w", "x"]),
    ],
)
def test_the_reader_of_queries_finds_what_they_ask_for(expr: str, names: list[str]) -> None:
    assert [series.name for series in series_of(expr)] == names
