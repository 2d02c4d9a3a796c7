"""Deadlines and classes by header: read strictly, and a wrong one is named."""

import time

import pytest
from fastapi.testclient import TestClient

from app.api.haste import haste_of
from app.errors import InvalidRequest
from app.scheduling.haste import UNHURRIED, Haste

PATHS = {
    "/v1/sentiment": {"inputs": "good film"},
    "/v1/summarize": {"inputs": "Good film. A bad plot."},
    "/v2/models/tiny/infer": {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}]},
}


def test_without_the_headers_nobody_is_in_a_hurry() -> None:
    assert haste_of({b"host": b"x"}) is UNHURRIED
    assert UNHURRIED.left_s(30.0) == 30.0


def test_a_timeout_counts_from_arrival_and_never_exceeds_the_services_own() -> None:
    before = time.monotonic()
    haste = haste_of({b"x-request-timeout-ms": b" 250 "})
    assert haste.until is not None
    assert before + 0.25 <= haste.until <= time.monotonic() + 0.25
    assert haste.left_s(0.1) == 0.1
    assert haste.left_s(30.0) <= 0.25


def test_a_class_is_taken_by_its_name() -> None:
    assert haste_of({b"x-request-priority": b"batch"}) == Haste(None, "batch")
    assert haste_of({b"x-request-priority": b"interactive"}) == Haste(None, "interactive")


@pytest.mark.parametrize("given", [b"", b"0", b"-1", b"1.5", b"1e3", b"soon", b"86400001", b"9" * 400, b"\xff"])
def test_a_timeout_of_another_form_is_refused_by_its_name(given: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"X-Request-Timeout-Ms is '.*'; expected milliseconds, a whole number"):
        haste_of({b"x-request-timeout-ms": given})


@pytest.mark.parametrize("given", [b"", b"high", b"BATCH", b"1"])
def test_a_class_that_there_is_not_is_refused_by_its_name(given: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"X-Request-Priority is '.*'; expected one of \['interactive', 'batch'\]"):
        haste_of({b"x-request-priority": given})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{"x-request-timeout-ms": "never"}, {"x-request-priority": "first"}], ids=str)
def test_every_route_that_predicts_reads_them(client: TestClient, path: str, headers: dict[str, str]) -> None:
    answer = client.post(path, json=PATHS[path], headers=headers)
    assert answer.status_code == 422
    assert next(iter(headers)) in answer.json()["error"].lower()


def test_a_generous_deadline_and_the_class_batch_are_answered_as_ever(client: TestClient) -> None:
    headers = {"x-request-timeout-ms": "20000", "x-request-priority": "batch"}
    assert client.post("/v1/sentiment", json={"inputs": "good film"}, headers=headers).status_code == 200


def test_the_document_describes_both_headers(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/v1/sentiment", "/v1/summarize", "/v2/models/{name}/infer"):
        names = {parameter["name"] for parameter in paths[path]["post"]["parameters"] if parameter["in"] == "header"}
        assert names == {"X-Request-Timeout-Ms", "X-Request-Priority"}
