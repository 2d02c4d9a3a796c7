"""promtool accepts the configuration and the rules, and every alert is tested and explained."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="NO PROMTOOL HERE: install Debian's package prometheus"
)


def _rules(kind: str) -> list[dict[str, Any]]:
    groups = [group for file in RULES for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def _tests() -> list[dict[str, Any]]:
    return [test for file in TESTS for test in yaml.safe_load(file.read_text("utf-8"))["tests"]]


def _promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)  # noqa: S607
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_accepts_its_configuration() -> None:
    _promtool("check", "config", PROMETHEUS / "prometheus.yml")


@needs_promtool
def test_prometheus_accepts_every_rule() -> None:
    _promtool("check", "rules", *RULES)


@needs_promtool
def test_rules_compute_and_alerts_fire_as_their_unit_tests_say() -> None:
    _promtool("test", "rules", *TESTS)


@pytest.mark.parametrize("alert", _rules("alert"), ids=lambda rule: str(rule["alert"]))
def test_an_alert_has_a_unit_test_in_which_it_fires_and_one_in_which_it_does_not(alert: dict[str, Any]) -> None:
    checks = [
        check for test in _tests() for check in test.get("alert_rule_test", []) if check["alertname"] == alert["alert"]
    ]
    assert [check for check in checks if check.get("exp_alerts")]
    assert [check for check in checks if not check.get("exp_alerts")]


@pytest.mark.parametrize("alert", _rules("alert"), ids=lambda rule: str(rule["alert"]))
def test_an_alert_has_a_severity_and_a_section_of_the_runbook(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"]["summary"]
    page, anchor = alert["annotations"]["runbook"].split("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert anchor in [heading.lower() for heading in headings]


@pytest.mark.parametrize("rule", _rules("record"), ids=lambda rule: str(rule["record"]))
def test_a_recorded_series_has_a_unit_test_or_is_read_by_a_rule_that_has(rule: dict[str, Any]) -> None:
    name = rule["record"]
    tested = [check["expr"] for test in _tests() for check in test.get("promql_expr_test", [])]
    read = [other["expr"] for other in _rules("record") if other["record"] != name]
    assert [expr for expr in tested + read if name in expr]


def test_a_runbook_section_that_no_alert_leads_to_does_not_exist() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    sections = set(re.findall(r"^#+ (Sluice[A-Z]\w+)$", page, re.MULTILINE))
    assert sections == {alert["alert"] for alert in _rules("alert")}
