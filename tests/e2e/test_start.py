"""Starting: a broken package beside a good one, and what must not start at all."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.packages import PACKAGES, copy_tiny
from tests.server import ROOT, serving


def test_a_broken_package_is_listed_and_the_good_one_serves(tmp_path: Path) -> None:
    copy_tiny(tmp_path, "good")
    (copy_tiny(tmp_path, "broken") / "model.int8.onnx").write_bytes(b"x")
    with serving(tmp_path) as server:
        assert httpx.post(f"{server.url}/v1/sentiment", json={"inputs": "good"}).json()["model"] == "good"
        listed = {model["name"]: model for model in httpx.get(f"{server.url}/v1/models").json()["models"]}
        assert listed["broken"]["versions"][0]["state"] == "failed"
        assert "model.int8.onnx: 1 bytes; expected " in listed["broken"]["versions"][0]["reason"]
        assert server.metric("sluice_models", state="failed") == 1
        assert server.logged("model_failed")["model"] == "broken"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"SLUICE_PROVIDER": "cuda"}, "pip install onnxruntime-gpu"),
        ({"SLUICE_PORT": "nine"}, "SLUICE_PORT is 'nine'; input should be a valid integer"),
        ({"SLUICE_MODELS_DIR": "/nowhere"}, "SLUICE_MODELS_DIR is '/nowhere'; expected a folder of model packages"),
        ({"SLUICE_MODELS_DIR": "/nowhere", "SLUICE_WORKERS": "2"}, "SLUICE_MODELS_DIR is '/nowhere'"),
    ],
)
def test_what_cannot_start_says_why_on_one_line_and_exits_2(settings: dict[str, str], text: str) -> None:
    ended = start(settings | ({} if "SLUICE_PORT" in settings else {"SLUICE_PORT": "0"}))
    assert ended.returncode == 2
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = start({"SLUICE_PORT": port})
    assert ended.returncode == 2
    assert f"SLUICE_PORT is {port}; expected an address that is free" in ended.stderr


def start(settings: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    environment |= {"SLUICE_MODELS_DIR": str(PACKAGES)} | settings
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "serve"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
