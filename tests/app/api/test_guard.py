"""The guard: request ids, body limits, counts and log lines, and errors that leak nothing."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from app import logs
from app.service import Service
from tests.app.api.conftest import MakeClient

PRIVATE = "a good private text"


def test_a_given_request_id_comes_back(client: TestClient) -> None:
    assert client.get("/health/live", headers={"x-request-id": "abc-1.2:3"}).headers["x-request-id"] == "abc-1.2:3"


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ü", "a\tb"])
def test_a_request_id_that_could_forge_a_log_is_replaced(client: TestClient, given: str) -> None:
    answered = client.get("/health/live", headers=[(b"x-request-id", given.encode("latin-1"))]).headers["x-request-id"]
    assert answered != given
    assert len(answered) == 32


def test_a_declared_body_above_the_limit_is_413(make_client: MakeClient) -> None:
    client = make_client(max_body_bytes=100)
    answer = client.post("/v1/sentiment", json={"inputs": "x" * 200})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert "expected at most 100" in answer.json()["error"]
    assert 'sluice_rejected_total{reason="body_too_large"} 1.0' in client.get("/metrics").text


def test_a_body_of_undeclared_length_is_cut_at_the_limit(make_client: MakeClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"inputs": "'
        for _ in range(10):
            yield b"x" * 50
        yield b'"}'

    answer = make_client(max_body_bytes=100).post("/v1/sentiment", content=chunks())
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_an_unknown_path_and_method_have_the_same_error_form(client: TestClient) -> None:
    nowhere, wrong = client.get("/v1/nothing"), client.get("/v1/sentiment")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "route_not_found")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, "method_not_allowed", "POST")
    assert set(nowhere.json()) == {"error", "code", "request_id"}


def test_unknown_paths_share_one_series(client: TestClient) -> None:
    for at in range(20):
        client.get(f"/x/{at}")
    text = client.get("/metrics").text
    assert 'sluice_requests_total{code="404",route="other"} 20.0' in text
    assert "/x/" not in text


def test_a_fault_of_the_service_is_500_without_a_trace(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(Service, "answer", broken)
    logs.configure("json", "error")
    answer = client.post("/v1/sentiment", json={"inputs": "good"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text


def test_a_request_is_one_log_line_that_never_holds_its_text(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("json", "info")
    client = make_client()
    client.post("/v1/sentiment", json={"inputs": [PRIVATE, ""]}, headers={"x-request-id": "find-me"})
    client.get("/health/ready")
    time.sleep(4 * logs._GATHER_S)
    out = capsys.readouterr().out
    (line,) = [json.loads(line) for line in out.splitlines() if '"request"' in line]
    assert (line["request_id"], line["route"], line["status"]) == ("find-me", "/v1/sentiment", 200)
    assert (line["items"], line["model"]) == (2, "tiny")
    assert line["tokens"] > 0
    assert set(line["timings_ms"]) == {"tokenize", "queue", "infer", "total"}
    assert "private" not in out
