"""A real Prometheus scrapes the real service: every panel shows data, every rule computes, no alert fires.

The rate windows are seconds here and not minutes, so that the suite does not wait: the queries are those of the files,
with Grafana's variables and the five minutes of the rules replaced.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.operating import Operator, keys_file
from tests.packages import SUMMARIES, copy_package, copy_tiny
from tests.server import Server, serving

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/dashboards/sluice.json").read_text("utf-8"))
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} ({panel['type']}) {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
]

PROGRAM = shutil.which("prometheus")
WINDOW = "10s"
START_S = 30.0
DATA_S = 20.0

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="NO PROMETHEUS HERE: install Debian's package prometheus")


class Prometheus:
    """A running Prometheus, asked over its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def samples(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/api/v1/query", query=query)["result"]
        return [sample for sample in found if sample["value"][1] != "NaN"]

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self.get("/api/v1/rules")["groups"] for rule in group["rules"]]


def _until(true: Callable[[], object], within_s: float) -> bool:
    """Ask until the answer is true or time is up."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            if true():
                return True
        except (httpx.TransportError, json.JSONDecodeError):
            pass
        time.sleep(0.2)
    return False


def _configuration(folder: Path, target: str) -> Path:
    """Write the repository's configuration, with our target, short intervals and the rules in short windows."""
    (folder / "rules").mkdir()
    for file in RULES.glob("*.yml"):
        rules = file.read_text("utf-8").replace("[5m]", f"[{WINDOW}]")
        (folder / "rules" / file.name).write_text(rules, "utf-8")
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    jobs["sluice"]["static_configs"] = [{"targets": [target]}]
    config["scrape_configs"] = [jobs["sluice"]]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


@contextmanager
def _scraping(folder: Path, target: str) -> Iterator[Prometheus]:
    assert PROGRAM is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [
                PROGRAM,
                f"--config.file={_configuration(folder, target)}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"]},  # without proxies, which loopback must not go through
        )
    try:
        prometheus = Prometheus(f"http://{address}")
        ready = _until(lambda: httpx.get(f"{prometheus.url}/-/ready").is_success, START_S)
        assert ready, (folder / "log").read_text("utf-8")
        yield prometheus
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _traffic(server: Server) -> None:
    """Ask for what an ordinary minute holds: single texts, batches of unequal lengths, summaries, and mistakes."""
    url = f"{server.url}/v1/sentiment"
    with httpx.Client() as client:
        for count in range(1, 9):
            moment = time.monotonic_ns()  # texts of their own, or nothing would be computed once all are kept
            texts = [f"{moment} a good film " + "fine " * number for number in range(count)]
            assert client.post(url, json={"inputs": texts}).status_code == httpx.codes.OK
        assert client.post(url, json={"inputs": ["fine", ""]}).json()["errors"]
        assert client.post(url, json={"inputs": ["good", "good"]}).status_code == httpx.codes.OK
        news = {"inputs": "Ann opens the old bridge in Oslo. It rained for 5 days."}
        assert client.post(f"{server.url}/v1/summarize", json=news).status_code == httpx.codes.OK
        assert client.post(url, content=b"{").status_code == httpx.codes.BAD_REQUEST
        assert client.get(f"{server.url}/v1/models").status_code == httpx.codes.OK


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Yield a Prometheus that has seen traffic of the real service begin and go on."""
    root = tmp_path_factory.mktemp("service")
    models = root / "models"
    copy_tiny(models, version=1)
    copy_tiny(models, version=2)
    copy_package(SUMMARIES, models, "summarize-en")
    keys, secret = keys_file(root)
    settings = {"api_keys_file": keys, "allow_anonymous": 1, "cache_bytes": 1 << 20}
    folder = tmp_path_factory.mktemp("prometheus")
    with serving(models, **settings) as server, _scraping(folder, server.url.partition("//")[2]) as found:
        operator = Operator(server, secret)
        aliases = {"aliases": {"stable": {"version": 1, "weight": 1}}}
        operator.must(operator.ask("PUT", "/admin/models/tiny/aliases", aliases))
        operator.must(operator.ask("PUT", "/admin/models/tiny/shadow", {"shadow": {"version": 2, "share": 1}}))
        assert _until(lambda: found.samples("sluice_ready == 1"), START_S), "the service is scraped"

        def seen() -> list[dict[str, Any]]:
            _traffic(server)
            return found.samples('job_route:sluice_request_duration_seconds:p99_rate5m{route="/v1/models"}')

        assert _until(seen, DATA_S), "traffic shows in the recorded series"
        yield found


def _without_variables(expr: str) -> str:
    """Return a panel's query as Grafana sends it with every variable at All."""
    asked = expr.replace("$__rate_interval", WINDOW)
    asked = re.sub(r"\$(instance|model)\b", ".*", asked)
    assert "$" not in asked, expr
    return asked


@pytest.mark.parametrize("expr", QUERIES)
def test_a_panel_shows_data(prometheus: Prometheus, expr: str) -> None:
    assert _until(lambda: prometheus.samples(_without_variables(expr)), DATA_S), expr


@pytest.mark.parametrize("variable", ["instance", "model"])
def test_a_variable_of_the_dashboard_has_values(prometheus: Prometheus, variable: str) -> None:
    (asked,) = [each["query"] for each in DASHBOARD["templating"]["list"] if each["name"] == variable]
    parts = re.fullmatch(r"label_values\((\w+), (\w+)\)", asked)
    assert parts is not None
    assert prometheus.get(f"/api/v1/label/{parts[2]}/values", **{"match[]": parts[1]})


def test_every_recorded_series_has_data(prometheus: Prometheus) -> None:
    recorded = {rule["name"] for rule in prometheus.rules() if rule["type"] == "recording"}
    assert len(recorded) > 5
    assert _until(lambda: all(prometheus.samples(name) for name in recorded), DATA_S), {
        name for name in recorded if not prometheus.samples(name)
    }


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    assert _until(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), DATA_S), [
        (rule["name"], rule.get("lastError")) for rule in prometheus.rules() if rule["health"] != "ok"
    ]


def test_no_alert_is_pending_or_firing_over_a_healthy_service(prometheus: Prometheus) -> None:
    assert prometheus.samples("ALERTS") == []


def test_every_metric_that_rules_and_panels_name_is_exposed(prometheus: Prometheus) -> None:
    """A misspelt name in a comparison is silence and not an error, so names are compared too."""
    exposed = set(prometheus.get("/api/v1/label/__name__/values"))
    texts = [file.read_text("utf-8") for file in RULES.glob("*.yml")] + [json.dumps(DASHBOARD)]
    named = {name for text in texts for name in re.findall(r"(?<![:\w])(?:sluice|process)_\w+(?=[{\[)])", text)}
    assert len(named) > 10
    assert named <= exposed
