"""Every query that ships: of each panel of each dashboard, and of each alert."""

import json
from collections.abc import Iterator

import yaml

from tests.support.prometheus import SHIPPED

GRAFANA = SHIPPED.parent / "grafana"


def _queries() -> Iterator[tuple[str, str]]:
    for path in sorted((GRAFANA / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                expr = target["expr"].replace("$__rate_interval", "5m")
                yield f"{path.stem}: {panel['title']}: {target['refId']}", expr
    for group in yaml.safe_load((SHIPPED / "rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


QUERIES = list(_queries())
"""(where it stands, expression)."""
