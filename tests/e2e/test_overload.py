"""Overload, cancellation and drain, with real sockets and signals."""

import asyncio
import json
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.server import Server, serving
from tests.slow import copy_slow
from tests.waiting import wait_until

LONG = "good bad film " * 150
REFUSALS = {"queue_full", "wait_too_long"}
SLOW: dict[str, object] = {"threads": 1, "max_batch_rows": 1, "max_items": 2_000, "max_body_bytes": 10_000_000}
"""Settings under which the slow package answers one row after the other."""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Return a folder of models with the slow package."""
    return copy_slow(tmp_path)


@contextmanager
def unread_post(server: Server, texts: list[str]) -> Iterator[socket.socket]:
    """Send a request, leave its answer unread, and yield the connection."""
    parts = urlsplit(server.url)
    body = json.dumps({"inputs": texts}).encode()
    head = ["POST /v1/sentiment HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall("\r\n".join([*head, "\r\n"]).encode() + body)
        yield connection


async def test_overload_is_refused_with_429_and_every_caller_hears(slow: Path) -> None:
    with serving(slow, **SLOW, max_queue_tokens=4_000) as server:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=200), timeout=60) as client:
            answers = await asyncio.gather(
                *(client.post(f"{server.url}/v1/sentiment", json={"inputs": [LONG] * 4}) for _ in range(150))
            )
            after = await client.post(f"{server.url}/v1/sentiment", json={"inputs": "good"})
        codes = Counter(answer.status_code for answer in answers)
        assert set(codes) == {200, 429}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["code"] in REFUSALS
        assert int(refused.headers["retry-after"]) >= 1
        assert sum(server.metric("sluice_rejected_total", reason=reason) for reason in REFUSALS) == codes[429]
        assert server.metric("sluice_queue_tokens") == 0
        assert after.status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/sentiment", {"inputs": "good"}),
        ("/v1/sentiment", {"inputs": ["good", "bad"]}),
        ("/v1/sentiment", {"inputs": "good", "explain": True}),
        ("/v2/models/slow/infer", {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["good"]}]}),
    ],
    ids=["a text", "a list", "with an explanation", "by the protocol"],
)
def test_every_way_of_asking_goes_by_the_same_forecast(slow: Path, path: str, body: dict[str, object]) -> None:
    with serving(slow, **SLOW, max_wait_ms=200, overload_wait_ms=200) as server:
        httpx.post(f"{server.url}/v1/sentiment", json={"inputs": [LONG] * 8}, timeout=60)  # it learns what rows take
        with unread_post(server, [LONG] * 400):
            wait_until(lambda: server.metric("sluice_queue_rows") > 300)
            refused = httpx.post(f"{server.url}{path}", json=body)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) >= 1
            assert server.metric("sluice_rejected_total", reason="wait_too_long") == 1


def test_a_client_that_goes_away_gives_its_place_back(slow: Path) -> None:
    with serving(slow, **SLOW) as server:
        with unread_post(server, [LONG] * 1_000):
            wait_until(lambda: server.metric("sluice_queue_rows") > 0)
        wait_until(lambda: server.metric("sluice_dropped_total", reason="cancelled") > 0)
        wait_until(lambda: server.metric("sluice_queue_rows") == 0)
        wait_until(lambda: server.metric("sluice_requests_total", code="499") == 1)
        assert httpx.post(f"{server.url}/v1/sentiment", json={"inputs": "good"}).status_code == 200


def test_sigterm_finishes_what_is_in_flight_and_exits_0(slow: Path) -> None:
    with serving(slow, **SLOW) as server:
        answers: list[httpx.Response] = []

        def ask() -> None:
            answers.append(httpx.post(f"{server.url}/v1/sentiment", json={"inputs": [LONG] * 100}, timeout=60))

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: server.metric("sluice_queue_rows") > 0)
        assert server.stop(signal.SIGTERM) == 0
        asking.join(10)
        assert [answer.status_code for answer in answers] == [200]
        assert len(answers[0].json()["results"]) == 100


def test_a_drain_that_takes_too_long_is_cut_off(slow: Path) -> None:
    with serving(slow, **SLOW, drain_s=1) as server, unread_post(server, [LONG] * 1_900):
        wait_until(lambda: server.metric("sluice_queue_rows") > 0)
        started = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - started < 8


def test_ctrl_c_stops_an_idle_service_at_once() -> None:
    with serving() as server:
        started = time.monotonic()
        assert server.stop(signal.SIGINT) == 0
        assert time.monotonic() - started < 3
