"""Packages of numbers against the real process: NVIDIA's client over HTTP and gRPC, wrapped, joined, opened, closed."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
import pytest

from tests.foreign import session
from tests.graphs import IN, lstm
from tests.operating import keys_file
from tests.packages import copy_tiny
from tests.server import ROOT, Server, serving

pytestmark = pytest.mark.timeout(600)  # the clients may have to be installed first

GRAPH = lstm()


@pytest.fixture(scope="module")
def key() -> dict[str, str]:
    """Return the headers of an operator, which the server's start fills in."""
    return {}


@pytest.fixture(scope="module")
def server(key: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a ready service over an LSTM that `sluice wrap` made a package of, and a package that reads text."""
    root = tmp_path_factory.mktemp("models")
    copy_tiny(root)
    (root.parent / "graph.onnx").write_bytes(GRAPH)
    command = [sys.executable, "-m", "app.cli", "wrap", str(root.parent / "graph.onnx"), "--name", "lstm"]
    told = subprocess.run([*command, "--models-dir", str(root)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "batched" in told.stdout
    file, secret = keys_file(root.parent)
    key["Authorization"] = f"Bearer {secret}"
    with serving(root, api_keys_file=file, allow_anonymous=1, grpc_port=0, threads=1) as running:
        yield running


def drawn(rows: int, steps: int) -> dict[str, Any]:
    """Return what tests/clients/triton_tensors.py asks, too."""
    numbers = np.arange(rows * steps * IN, dtype=np.float32)
    return {
        "x": np.sin(numbers).reshape(rows, steps, IN).astype(np.float32),
        "shift": np.arange(rows, dtype=np.int64),
    }


@pytest.fixture(scope="module")
def direct() -> Any:
    return onnxruntime.InferenceSession(GRAPH, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_triton_gets_what_the_runtime_gives(server: Server, direct: Any, protocol: str) -> None:
    address = server.url.removeprefix("http://")
    if protocol == "grpc":
        address = f"127.0.0.1:{server.logged('grpc_listening')['port']}"
    told = session("triton_tensors.py", protocol, address)
    states, following = direct.run(["states", "next"], drawn(3, 5))
    assert told["ready"] is True
    assert told["inputs"] == [["x", "FP32", [-1, -1, IN]], ["shift", "INT64", [-1]]]
    for form in told["answers"]:
        assert form["states"] == states.tobytes().hex()
        assert form["next"] == following.tolist()
    assert told["others"] == [direct.run(["states"], drawn(rows, 2))[0].tobytes().hex() for rows in (1, 2, 3)]
    assert "input 'x' is FP64; expected FP32" in told["refusals"]["type"]
    assert "expected [-1, -1, 4]" in told["refusals"]["shape"]
    assert "input 'shift' is missing" in told["refusals"]["missing"]


async def test_requests_that_come_together_run_together(server: Server, direct: Any) -> None:
    def body(rows: int, steps: int) -> dict[str, Any]:
        feeds = drawn(rows, steps)
        return {
            "inputs": [
                {"name": "x", "datatype": "FP32", "shape": list(feeds["x"].shape), "data": feeds["x"].tolist()},
                {"name": "shift", "datatype": "INT64", "shape": [rows], "data": feeds["shift"].tolist()},
            ]
        }

    runs = server.metric("sluice_batch_rows_count", model="lstm")
    asked = [(1 + at % 4, 7 + at % 2) for at in range(60)]
    async with httpx.AsyncClient(base_url=server.url) as client:
        answers = await asyncio.gather(*(client.post("/v2/models/lstm/infer", json=body(*one)) for one in asked))
    for one, answer in zip(asked, answers, strict=True):
        states, following = direct.run(None, drawn(*one))
        found = {output["name"]: output["data"] for output in answer.json()["outputs"]}
        np.testing.assert_allclose(found["states"], states.ravel(), rtol=1e-5, atol=1e-6)
        assert found["next"] == following.tolist()
    ran = server.metric("sluice_batch_rows_count", model="lstm") - runs
    assert ran < len(asked)
    assert server.metric("sluice_cells_total", model="lstm", kind="padding") == 0


def test_it_is_closed_and_opened_like_any_other(server: Server, key: dict[str, str]) -> None:
    def infer() -> int:
        sent = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1, IN], "data": [0.0] * IN}]}
        sent["inputs"].append({"name": "shift", "datatype": "INT64", "shape": [1], "data": [0]})
        return httpx.post(f"{server.url}/v2/models/lstm/infer", json=sent).status_code

    found = []
    for verb in ("unload", "load"):
        changed = httpx.post(f"{server.url}/v2/repository/models/lstm/{verb}", json={}, headers=key)
        found.append((verb, changed.status_code, infer()))
    assert found == [("unload", 200, 503), ("load", 200, 200)]


def test_the_command_refuses_what_cannot_be_served(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    command = [sys.executable, "-m", "app.cli", "wrap", str(tmp_path / "bad.onnx"), "--name", "bad"]
    told = subprocess.run(
        [*command, "--models-dir", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (
        2,
        "sluice: model.onnx: not an ONNX model; expected a protobuf ModelProto\n",
    )
