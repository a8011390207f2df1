"""What /metrics says is what Prometheus wants to read: its own linter finds nothing to say."""

import shutil
import subprocess

from prometheus_client import REGISTRY, generate_latest

import kit.metrics
from tests.support.require import missing


def test_promtool_accepts_every_metric() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool", "it comes with the package prometheus")
    assert kit.metrics
    done = subprocess.run(
        [promtool, "check", "metrics"], input=generate_latest(REGISTRY), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_no_label_can_grow_without_bounds() -> None:
    """Members, communities, events and addresses never stand in a label (K51)."""
    bounded = {"service", "topic", "method", "route", "status", "state", "outcome", "code", "channel", "reason", "type"}
    bounded |= {"check", "source", "unit", "kind", "verdict", "table", "platform", "audit", "when", "percent"}
    families = [f for f in REGISTRY.collect() if f.name.startswith("guildhall")]
    used = {label for family in families for sample in family.samples for label in sample.labels} - {"le"}
    assert used <= bounded
