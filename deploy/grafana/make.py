"""`make docs`: the dashboards as Grafana reads them, one JSON file each."""

import json
import sys
from pathlib import Path
from typing import Any

from deploy.grafana.panels import DASHBOARDS
from deploy.grafana.shapes import Dashboard, Panel

SOURCE = {"type": "prometheus", "uid": "guildhall"}
WIDTH, HEIGHT, ACROSS = 12, 8, 2
SCHEMA_VERSION = 39


def document(dashboard: Dashboard) -> dict[str, Any]:
    """One dashboard; panels two in a row, in their order."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["guildhall"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [
            {"type": "dashboards", "title": "Guildhall", "tags": ["guildhall"], "asDropdown": True, "keepTime": True}
        ],
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": [_panel(panel, number) for number, panel in enumerate(dashboard.panels)],
    }


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    place = {"x": number % ACROSS * WIDTH, "y": number // ACROSS * HEIGHT, "w": WIDTH, "h": HEIGHT}
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend,
            "range": not panel.now,
            "instant": panel.now,
        }
        for index, query in enumerate(panel.queries)
    ]
    return {
        "id": number + 1,
        "type": "stat" if panel.now else "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "noValue": "none"}, "overrides": []},
        "options": _options(panel),
        "targets": targets,
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.now:
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "values": False, "fields": ""},
            "textMode": "value_and_name",
        }
    return {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def rendered(dashboard: Dashboard) -> str:
    return json.dumps(document(dashboard), indent=1, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    for dashboard in DASHBOARDS:
        (folder / f"{dashboard.uid}.json").write_text(rendered(dashboard))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
