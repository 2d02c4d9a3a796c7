"""The compose file is valid, and what it starts is locked down."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def _seconds(duration: str) -> int:
    """Read ``30s``, also as the default of a variable."""
    digits = re.search(r"(\d+)s\}?$", duration)
    assert digits is not None, duration
    return int(digits[1])


def _default(value: object) -> str:
    """Return what ``${NAME:-default}`` stands for where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


def _compose_command() -> list[str]:
    """Return the Compose that is there: the plug-in of ``docker`` or the program of its own."""
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)  # noqa: S607
        if plugin.returncode == 0:
            return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else []


def test_compose_accepts_the_file() -> None:
    command = _compose_command()
    if not command:
        pytest.skip("NO COMPOSE HERE: install Debian's package docker-compose; the other tests read the file")
    done = subprocess.run([*command, "-f", str(FILE), "config"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == {"sluice", "prometheus", "grafana"}


def test_only_keys_that_compose_1_and_2_both_know_are_used() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == {"services", "volumes"}
    known = {
        *("build", "cap_drop", "command", "cpus", "depends_on", "environment", "healthcheck", "image", "logging"),
        *("mem_limit", "pids_limit", "ports", "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs"),
        *("user", "volumes"),
    }
    for service in SERVICES.values():
        assert service.keys() <= known
        assert service["healthcheck"].keys() <= {"test", "interval", "timeout", "start_period", "retries"}


@each_service
def test_a_service_runs_without_root_rights_on_a_root_that_it_cannot_write(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) > 0


@each_service
def test_a_service_is_bounded_watched_and_kept_running(name: str) -> None:
    service = SERVICES[name]
    assert float(_default(service["cpus"])) > 0
    assert _default(service["mem_limit"])
    assert service["pids_limit"] > 0
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD", "no shell is needed to ask"
    assert service["logging"]["options"]["max-size"]


@each_service
def test_a_published_port_is_bound_to_loopback(name: str) -> None:
    for port in SERVICES[name]["ports"]:
        assert _default(port).startswith("127.0.0.1:")


@each_service
def test_an_image_has_a_tag_and_not_latest(name: str) -> None:
    repository, _, tag = _default(SERVICES[name]["image"]).partition(":")
    assert repository
    assert tag not in {"", "latest"}


@each_service
def test_every_file_that_is_mounted_exists_and_is_read_only(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, _, target = volume.partition(":")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert target.endswith(":ro"), volume
        else:
            assert source in COMPOSE["volumes"]


def test_containers_are_killed_only_after_the_drain_had_its_time() -> None:
    drain_s = int(_default(SERVICES["sluice"]["environment"]["SLUICE_DRAIN_S"]))
    assert drain_s == Settings.model_fields["drain_s"].default
    assert _seconds(SERVICES["sluice"]["stop_grace_period"]) >= drain_s + 5


def test_every_variable_that_the_service_is_given_is_a_setting_at_its_default() -> None:
    for name, value in SERVICES["sluice"]["environment"].items():
        field = name.removeprefix("SLUICE_").lower()
        assert field in Settings.model_fields, name
        if field not in {"log_format", "allow_anonymous"}:
            assert _default(value) == str(Settings.model_fields[field].default), name


def test_nobody_needs_a_key_on_a_port_that_is_published_on_loopback() -> None:
    service = SERVICES["sluice"]
    assert _default(service["environment"]["SLUICE_ALLOW_ANONYMOUS"]) == "1"
    assert all(_default(port).startswith("127.0.0.1:") for port in service["ports"])


def test_prometheus_scrapes_the_service_under_its_name_and_port() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert jobs["sluice"] == ["sluice:8000"]
    assert _default(SERVICES["sluice"]["ports"][0]).endswith(":8000")


def test_the_container_is_asked_as_its_image_says() -> None:
    check = re.search(r"HEALTHCHECK.*?CMD (\[.*?\])", (ROOT / "Dockerfile").read_text("utf-8"), re.DOTALL)
    assert check is not None
    assert SERVICES["sluice"]["healthcheck"]["test"] == ["CMD", *json.loads(check[1])]


def test_the_operators_guide_tells_every_variable_that_the_file_takes() -> None:
    taken = set(re.findall(r"\$\{(\w+)", FILE.read_text("utf-8"))) - {""}
    guide = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert {name for name in taken if f"`{name}`" not in guide} == set()
