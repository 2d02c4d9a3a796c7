"""The composition root."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.api import admin
from app.api.oip.routes import STATUSES_BY_PATH
from app.codes import codes, item_codes
from app.errors import ProviderError, RequestError, StartupError
from app.main import Parts, create_app
from app.modelpack.manifest import CLASSIFYING
from app.settings import Settings
from tests.packages import PACKAGES, copy_tiny
from tests.waiting import until

ROOT = Path(__file__).parents[2]
OF_OTHERS = {"stream_idle", "change_refused"}
"""Codes that a bulk stream or an admin route alone can meet."""


def test_importing_the_service_loads_no_torch_and_no_training() -> None:
    program = "import sys, app.main, app.cli; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.split()
    assert "onnxruntime" in loaded
    assert not {"torch", "training", "lightning", "sklearn", "onnx", "datasets"} & set(loaded)


def test_a_models_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"SLUICE_MODELS_DIR is .*nowhere.*expected a folder of model packages"):
        create_app(Settings(models_dir=tmp_path / "nowhere"))


async def test_what_a_large_batch_took_is_given_back_while_the_service_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_tiny(tmp_path)
    trimmed = list[str]()
    monkeypatch.setattr("app.main._TIDY_EVERY_S", 0.01)
    monkeypatch.setattr("app.main.trim", lambda: trimmed.append(threading.current_thread().name))
    async with Parts(Settings(models_dir=tmp_path)).lifespan(FastAPI()):
        await until(lambda: len(trimmed) > 1)
    ended = len(trimmed)
    await asyncio.sleep(0.1)
    assert len(trimmed) <= ended + 1, "one may be under way"
    assert threading.main_thread().name not in trimmed


def test_cuda_asked_for_and_absent_stops_the_start() -> None:
    with pytest.raises(ProviderError, match="pip install onnxruntime-gpu"):
        create_app(Settings(models_dir=PACKAGES, provider="cuda"))


def test_the_documentation_has_an_example_of_every_error_a_prediction_can_answer() -> None:
    paths = create_app(Settings(models_dir=PACKAGES)).openapi()["paths"]
    for task in CLASSIFYING:
        shown = {
            name
            for answer in paths[f"/v1/{task}"]["post"]["responses"].values()
            for name in answer["content"]["application/json"].get("examples", {})
        }
        assert codes(RequestError).keys() - OF_OTHERS | set(item_codes(of_summaries=False)) <= shown
        assert "option_out_of_bounds" not in shown
    shown = {
        name
        for answer in paths["/v1/summarize"]["post"]["responses"].values()
        for name in answer.get("content", {}).get("application/json", {}).get("examples", {})
    }
    assert codes(RequestError).keys() - OF_OTHERS | set(item_codes(of_summaries=True)) <= shown
    assert (
        "stream_idle" in paths["/v1/topic/bulk"]["post"]["responses"]["408"]["content"]["application/json"]["examples"]
    )


def test_the_documentation_has_a_worked_request_of_every_task_and_names_each_once() -> None:
    paths = create_app(Settings(models_dir=PACKAGES)).openapi()["paths"]
    operations = [paths[f"/v1/{task}"]["post"] for task in CLASSIFYING]
    for operation in operations:
        body = operation["requestBody"]["content"]["application/json"]
        assert body["examples"]
        assert set(body["schema"]["properties"]) >= {"inputs", "model", "language", "explain", "sentences"}
    for what in ("operationId", "summary", "description"):
        assert len({operation[what] for operation in operations}) == len(CLASSIFYING)


def test_every_route_is_documented_with_a_worked_answer() -> None:
    paths = create_app(Settings(models_dir=PACKAGES)).openapi()["paths"]
    others = {"/v1/models", "/v1/models/{name}", "/health/live", "/health/ready", "/metrics"}
    protocol = STATUSES_BY_PATH.keys() - {"/v2/"}
    streams = {f"/v1/{task}/bulk" for task in CLASSIFYING}
    predictions = {"/v1/sentiment", "/v1/topic", "/v1/classify", "/v1/summarize"}
    assert set(paths) == predictions | streams | others | protocol | set(admin.PATHS)
    for operations in paths.values():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"]
            assert "200" in operation["responses"]
