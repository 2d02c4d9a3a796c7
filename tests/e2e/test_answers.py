"""A caller's view over a real socket: answers alone, in a batch, and many at once."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.server import Server

GOOD, BAD = "a good film, very good", "a bad film, very bad"


def ask(server: Server, inputs: Any, **more: Any) -> Any:
    answer = httpx.post(f"{server.url}/v1/sentiment", json={"inputs": inputs, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_text_is_answered(server: Server) -> None:
    (result,) = ask(server, GOOD)["results"]
    assert result["label"] == "positive"


def test_a_batch_is_answered_with_its_bad_item_apart(server: Server) -> None:
    answer = ask(server, [GOOD, " ", BAD])
    assert [(result["index"], result["label"]) for result in answer["results"]] == [(0, "positive"), (2, "negative")]
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(1, "empty_text")]


async def test_many_callers_each_get_their_own_answer_alone_or_batched(server: Server) -> None:
    texts = [f"{'good ' * (at % 7)}{'bad ' * (6 - at % 7)}film" for at in range(200)]
    alone = {text: ask(server, text)["results"][0] for text in set(texts)}
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=64)) as client:
        answers = await asyncio.gather(
            *(client.post(f"{server.url}/v1/sentiment", json={"inputs": text}) for text in texts)
        )
    for text, answer in zip(texts, answers, strict=True):
        (result,) = answer.json()["results"]
        assert result["scores"] == pytest.approx(alone[text]["scores"], abs=2e-6)
    assert server.metric("sluice_batch_rows_sum") >= 200


def test_the_request_is_found_in_the_metrics_and_the_log(server: Server) -> None:
    before = server.metric("sluice_requests_total", route="/v1/sentiment", code="200")
    answer = httpx.post(f"{server.url}/v1/sentiment", json={"inputs": GOOD}, headers={"x-request-id": "find-me"})
    assert answer.headers["x-request-id"] == "find-me"
    assert server.metric("sluice_requests_total", route="/v1/sentiment", code="200") == before + 1
    assert server.metric("sluice_items_total", model="tiny", code="ok") >= 1
    assert server.metric("sluice_infer_duration_seconds_count", model="tiny") >= 1
    assert server.metric("process_resident_memory_bytes") > 0
    until = time.monotonic() + 5
    while time.monotonic() < until and not any("find-me" in line for line in server.lines):
        time.sleep(0.02)
    assert any("find-me" in line for line in server.lines)
    assert not any("good film" in line for line in server.lines)


def test_a_huge_body_is_refused_and_the_client_reads_why(server: Server) -> None:
    answer = httpx.post(f"{server.url}/v1/sentiment", content=b'{"inputs": "' + b"x" * 4_000_000 + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_the_documentation_is_served(server: Server) -> None:
    assert httpx.get(f"{server.url}/docs").status_code == 200
    assert "/v1/sentiment" in httpx.get(f"{server.url}/openapi.json").json()["paths"]
