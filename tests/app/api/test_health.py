"""Probes: ready only between the opening of every package and the start of the drain."""

from pathlib import Path

import httpx
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.app.api.conftest import MakeClient
from tests.packages import PACKAGES, copy_tiny


async def get(app: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get(path)


async def test_before_the_packages_are_open_only_live_answers_200() -> None:
    app = create_app(Settings(models_dir=PACKAGES))
    live, ready = await get(app, "/health/live"), await get(app, "/health/ready")
    assert live.status_code == 200
    assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")


def test_with_the_packages_open_both_answer_200(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}


def test_while_draining_ready_and_predictions_answer_503(client: TestClient) -> None:
    client.app.state.service.drain()  # type: ignore[attr-defined]
    for answer in (client.get("/health/ready"), client.post("/v1/sentiment", json={"inputs": "good"})):
        assert (answer.status_code, answer.json()["code"]) == (503, "draining")
        assert answer.headers["retry-after"] == "1"
    assert client.get("/health/live").status_code == 200
    assert "sluice_ready 0.0" in client.get("/metrics").text


def test_a_service_without_one_good_package_is_never_ready(make_client: MakeClient, tmp_path: Path) -> None:
    (copy_tiny(tmp_path) / "model.onnx").unlink()
    client = make_client(tmp_path)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert "GET /v1/models says why" in answer.json()["error"]


def test_metrics_are_prometheus_text(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert (
        'sluice_model_info{model="tiny",precision="int8",provider="cpu",task="sentiment",version="1"} 1.0'
        in answer.text
    )
    assert 'sluice_models{state="ready"} 1.0' in answer.text
