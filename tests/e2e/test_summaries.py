"""Summaries over real sockets: many at once, as a stream, and whatever a client, a clock or a crowd does to them."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.parrot import parrot, weigher
from tests.server import Server, serving

HEADLINE = "The quick brown fox jumps over the lazy dog."
TALK = "Amanda: I baked cookies. Do you want some?\nJerry: Sure!\nAmanda: I'll bring you some tomorrow"
CHINESE = "这个手机iPhone 15的屏幕真的漂亮。"
LONG = " ".join(f"Sentence number {at} is {'very ' * (at % 7)}long." for at in range(36))
WORDY = "lazy dog " * 100
"""Some 200 tokens, each a step."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packages")
    parrot(root)
    parrot(root, "summarize-zh", "zh")
    parrot(root, "slow", labour=12, digit_ids_only_copied=False)
    weigher(root)
    weigher(root, "extract-zh", "zh")
    return root


@pytest.fixture(scope="module")
def server(packages: Path) -> Iterator[Server]:
    with serving(packages) as running:
        yield running


def body(inputs: Any, **more: Any) -> dict[str, Any]:
    return {"inputs": inputs, **more}


def ask(server: Server, inputs: Any, **more: Any) -> Any:
    answer = httpx.post(f"{server.url}/v1/summarize", json=body(inputs, **more), timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def slow(inputs: str = WORDY, **more: Any) -> dict[str, Any]:
    return body(inputs, model="slow", method="abstractive", max_tokens=2000, beams=1, **more)


def until(server: Server, metric: str, value: float, within_s: float = 10, **labels: str) -> None:
    end = time.monotonic() + within_s
    while (found := server.metric(metric, **labels)) != value:
        assert time.monotonic() < end, f"{metric} is {found}"
        time.sleep(0.02)


async def test_many_callers_of_mixed_lengths_each_get_their_own_summary(server: Server) -> None:
    texts = [" ".join([HEADLINE] * (1 + at % 5)) for at in range(60)]
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=32), timeout=60) as client:
        answers = await asyncio.gather(
            *(
                client.post(f"{server.url}/v1/summarize", json=body(text, method="abstractive", beams=1 + at % 3))
                for at, text in enumerate(texts)
            )
        )
    assert [answer.json()["results"][0]["summary"] for answer in answers] == texts
    assert server.metric("sluice_step_rows_sum", model="summarize-en") > server.metric(
        "sluice_step_rows_count", model="summarize-en"
    ), "no two summaries shared a step"


def test_a_dialogue_a_long_text_and_chinese_are_summarized_each_in_its_way(server: Server) -> None:
    talk, long_text, chinese = ask(server, [TALK, LONG, CHINESE])["results"]
    assert (talk["kind"], talk["summary"]) == ("dialogue", TALK)
    assert (long_text["method"], len(long_text["sentences"])) == ("extract-then-rewrite", 2)
    assert all(LONG[one["start"] : one["end"]] == one["text"] for one in long_text["sentences"])
    assert (chinese["language"], chinese["summary"]) == ("zh", CHINESE)


def test_a_stream_gives_text_as_it_is_decided_and_the_whole_at_its_end(server: Server) -> None:
    with httpx.stream("POST", f"{server.url}/v1/summarize", json=slow(stream=True), timeout=30) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        arrived = [(time.monotonic(), json.loads(line[6:])) for line in answer.iter_lines() if line]
    *said, (_, last) = arrived
    assert "".join(event["text"] for _, event in said) == last["results"][0]["summary"] == WORDY.strip()
    assert last["done"] is True
    assert arrived[-1][0] - arrived[0][0] > 0.1, "all of it came at once"
    assert last["timings_ms"]["first_token"] < last["timings_ms"]["total"] / 2


def test_chinese_streams_whole_characters(server: Server) -> None:
    request = body(CHINESE, stream=True)
    with httpx.stream("POST", f"{server.url}/v1/summarize", json=request, timeout=30) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line]
    assert [event["text"] for event in events[:-1]][:5] == ["这", "个", "手", "机", "iPhone"]


def test_a_client_that_leaves_mid_stream_stops_the_work(server: Server) -> None:
    before = server.metric("sluice_dropped_total", reason="cancelled")
    with httpx.stream("POST", f"{server.url}/v1/summarize", json=slow(stream=True), timeout=30) as answer:
        next(answer.iter_lines())
    until(server, "sluice_slots_used", 0)
    assert server.metric("sluice_dropped_total", reason="cancelled") == before + 1
    assert ask(server, HEADLINE)["results"][0]["summary"] == HEADLINE


def test_a_client_that_leaves_while_it_waits_stops_the_work(server: Server) -> None:
    before = server.metric("sluice_dropped_total", reason="cancelled")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/summarize", json=slow(), timeout=0.2)
    until(server, "sluice_slots_used", 0)
    assert server.metric("sluice_dropped_total", reason="cancelled") == before + 1


def test_at_its_deadline_a_summary_is_what_was_decided(packages: Path) -> None:
    with serving(packages, timeout_ms=300) as server:
        result = httpx.post(f"{server.url}/v1/summarize", json=slow(), timeout=30).json()["results"][0]
        assert result["finish_reason"] == "deadline"
        assert 0 < result["summary_tokens"] < 200
        assert WORDY.startswith(result["summary"])
        assert server.metric("sluice_summaries_total", model="slow", reason="deadline") == 1


def test_beyond_the_queue_a_request_is_refused_at_once_also_as_a_stream(packages: Path) -> None:
    with (
        serving(packages, max_slots=1, max_summary_queue_tokens=250, threads=1) as server,
        ThreadPoolExecutor(2) as pool,
    ):
        running = []
        for taken in ("sluice_slots_used", "sluice_summary_queue_rows"):
            running.append(pool.submit(httpx.post, f"{server.url}/v1/summarize", json=slow(), timeout=60))
            until(server, taken, 1)
        for stream in (False, True):
            late = httpx.post(f"{server.url}/v1/summarize", json=slow(stream=stream))
            assert (late.status_code, late.json()["code"]) == (429, "queue_full")
            assert late.headers["retry-after"] == "1"
        assert [answer.result().status_code for answer in running] == [200, 200]
        assert server.metric("sluice_rejected_total", reason="queue_full") == 2


def test_a_drain_lets_a_stream_end(packages: Path) -> None:
    with serving(packages) as server:
        with httpx.stream("POST", f"{server.url}/v1/summarize", json=slow(stream=True), timeout=30) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.process.send_signal(signal.SIGTERM)
            events = [json.loads(line[6:]) for line in lines if line]
        assert events[-1]["results"][0]["finish_reason"] == "eos"
        assert server.process.wait(30) == 0


def test_a_stream_that_the_shutdown_cuts_off_does_not_end_as_if_it_were_whole(packages: Path) -> None:
    with serving(packages, drain_s=0) as server:
        with httpx.stream("POST", f"{server.url}/v1/summarize", json=slow(stream=True), timeout=30) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.process.send_signal(signal.SIGTERM)
            said: list[dict[str, Any]] = []
            with contextlib.suppress(httpx.RemoteProtocolError):
                said.extend(json.loads(line[6:]) for line in lines if line)
        assert not any("done" in event for event in said)
        assert server.process.wait(30) == 0


def test_the_metrics_tell_of_tokens_and_times(server: Server) -> None:
    before = server.metric("sluice_generated_tokens_total", model="summarize-en")
    result = ask(server, HEADLINE)["results"][0]
    assert server.metric("sluice_generated_tokens_total", model="summarize-en") == before + result["summary_tokens"]
    for name in ("first_token_seconds", "inter_token_seconds", "step_duration_seconds", "encode_duration_seconds"):
        assert server.metric(f"sluice_{name}_count", model="summarize-en") > 0
    assert server.metric("sluice_summaries_total", model="summarize-en", reason="eos") > 0
    assert server.metric("sluice_slots") == 64
    assert server.metric("sluice_items_total", model="summarize-en", task="summarize", code="ok") > 0
