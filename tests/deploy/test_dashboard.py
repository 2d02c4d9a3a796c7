"""The committed dashboard is the one its script makes, and Grafana's own types read it without a loss."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "sluice.json").read_text("utf-8"))
    return read


def _losses(before: object, after: object, where: str = "$") -> list[str]:
    """Return the places at which two JSON values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        lost = [f"{where}.{key}" for key in sorted(before.keys() ^ after.keys())]
        return lost + [
            loss for key in before.keys() & after.keys() for loss in _losses(before[key], after[key], f"{where}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [loss for number, (a, b) in pairs for loss in _losses(a, b, f"{where}[{number}]")]
    return [] if before == after else [where]


def test_the_committed_dashboard_is_what_its_script_makes() -> None:
    made = subprocess.run(
        [sys.executable, str(GRAFANA / "build.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr


def test_the_dashboard_goes_through_grafanas_own_types_without_losing_a_key(dashboard: dict[str, Any]) -> None:
    register_default_plugins()
    back = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    assert _losses(dashboard, back) == []


def test_a_lost_key_a_changed_value_and_a_missing_element_are_each_seen() -> None:
    before = {"panels": [{"title": "Requests", "unit": "reqps"}, {"title": "Errors"}]}
    assert _losses(before, {"panels": [{"title": "Requests"}, {"title": "Errors"}]}) == ["$.panels[0].unit"]
    assert _losses(before, {"panels": [{"title": "Requests", "unit": "s"}, {"title": "Errors"}]}) == [
        "$.panels[0].unit"
    ]
    assert _losses(before, {"panels": [{"title": "Requests", "unit": "reqps"}]}) == ["$.panels"]


def test_every_panel_says_what_it_shows_and_asks_the_chosen_data_source(dashboard: dict[str, Any]) -> None:
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert len({panel["title"] for panel in panels}) == len(panels) - 1, "only Padding waste is both tile and graph"
    for panel in panels:
        assert panel["description"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert panel["targets"], panel["title"]


def test_panels_do_not_overlap_and_stay_within_the_grid(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_every_subject_an_operator_asks_about_has_a_row(dashboard: dict[str, Any]) -> None:
    rows = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]
    assert rows == [
        *("Overview", "Traffic", "Errors", "Latency", "Queue and batches"),
        *("Summaries", "Versions", "Models and processes"),
    ]


def test_grafana_finds_the_data_source_and_the_dashboard_where_compose_mounts_them() -> None:
    compose = yaml.safe_load((GRAFANA.parents[1] / "docker-compose.yml").read_text("utf-8"))
    mounts = dict(volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"])
    provider = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "sluice.yml").read_text("utf-8"))
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text("utf-8"))
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert mounts["./deploy/grafana/dashboards"] == provider["providers"][0]["options"]["path"]
    host = re.fullmatch(r"http://(\w+):9090", source["datasources"][0]["url"])
    assert host is not None
    assert host[1] in compose["services"]
