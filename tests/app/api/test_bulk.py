"""POST /v1/<task>/bulk without a socket: what a line gets, and what the whole stream."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.bulk import query_of
from app.errors import InvalidRequest
from tests.app.api.conftest import MakeClient
from tests.packages import every_task


def lines_of(answer: Any) -> list[dict[str, Any]]:
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_each_line_is_answered_in_its_place_with_its_id(client: TestClient) -> None:
    body = '"a good film"\n\n{"text": "a bad film", "id": "b"}\n{"text": " "}\nnot json\n{"id": 9}'
    found = lines_of(client.post("/v1/sentiment/bulk", content=body))
    assert [(line["index"], line.get("id"), line.get("label", line.get("code"))) for line in found] == [
        (0, None, "positive"),
        (2, "b", "negative"),
        (3, None, "empty_text"),
        (4, None, "malformed_line"),
        (5, 9, "invalid_line"),
    ]


def test_a_line_says_what_a_request_of_one_text_says(client: TestClient) -> None:
    alone = client.post("/v1/sentiment", json={"inputs": "a good film", "explain": True}).json()
    (line,) = lines_of(client.post("/v1/sentiment/bulk?explain=true", content='"a good film"'))
    assert line == alone["results"][0] | {"model": alone["model"], "version": alone["version"]}


def test_a_stream_without_lines_is_answered_without_lines(client: TestClient) -> None:
    answer = client.post("/v1/sentiment/bulk", content="")
    assert (answer.status_code, lines_of(answer)) == (200, [])


def test_a_body_larger_than_a_requests_is_read(make_client: MakeClient) -> None:
    client = make_client(max_body_bytes=100, max_items=2)
    found = lines_of(client.post("/v1/sentiment/bulk", content='"a good film"\n' * 500))
    assert [line["index"] for line in found] == list(range(500))


def test_every_classifying_task_has_its_stream(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(every_task(tmp_path))
    for task, label in (("sentiment", "neutral"), ("topic", "sport"), ("classify", "sport")):
        (line,) = lines_of(client.post(f"/v1/{task}/bulk?language=en", content='"the match"'))
        assert line["label"] in {label, "positive", "negative"}
    (line,) = lines_of(client.post("/v1/topic/bulk?model=another-topic&version=1", content='"the match"'))
    assert line["model"] == "another-topic"


@pytest.mark.parametrize(
    ("address", "headers", "status", "code"),
    [
        ("?model=nobody", {}, 404, "model_not_found"),
        ("?version=0", {}, 422, "invalid_request"),
        ("?model=tiny&version=x", {}, 404, "model_not_found"),
        ("?explain=maybe", {}, 422, "invalid_request"),
        ("?inputs=a", {}, 422, "invalid_request"),
        ("?languge=en", {}, 422, "invalid_request"),
        ("", {"content-type": "image/png"}, 415, "unsupported_media_type"),
        ("", {"content-encoding": "br"}, 415, "unsupported_media_type"),
    ],
)
def test_what_concerns_the_whole_stream_is_an_ordinary_error(
    client: TestClient, address: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = client.post(f"/v1/sentiment/bulk{address}", content='"a"', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_it_has_no_get(client: TestClient) -> None:
    assert client.get("/v1/sentiment/bulk").json()["code"] == "method_not_allowed"


def test_a_parameter_is_refused_by_name_with_the_ones_there_are() -> None:
    with pytest.raises(InvalidRequest, match="modle is no parameter of this route; expected some of model, version"):
        query_of({"modle": "x"})


def test_parameters_are_read_as_the_fields_of_a_request() -> None:
    query = query_of({"version": "2", "model": "m", "explain": "1", "sentences": "False", "language": "zh"})
    assert (query.version, query.model, query.explain, query.sentences, query.language) == (2, "m", True, False, "zh")


def test_a_stream_too_many_is_refused_and_one_that_ended_gives_its_place_back(make_client: MakeClient) -> None:
    client = make_client(max_bulk_streams=1)
    for _ in range(3):
        assert client.post("/v1/sentiment/bulk", content='"a"').status_code == 200
