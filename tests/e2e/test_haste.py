"""Deadlines and classes over real sockets, on a package that is slow."""

import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.test_overload import LONG, SLOW, unread_post
from tests.server import Server, serving
from tests.slow import copy_slow
from tests.waiting import wait_until

BEHIND_ALL_MS = "1000"
"""As far off as ``PATIENCE_S``, so that what came before goes first; a nearer deadline overtakes it, and is met."""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Return a folder of models with the slow package."""
    return copy_slow(tmp_path)


def post(server: Server, count: int, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{server.url}/v1/sentiment", json={"inputs": [LONG] * count}, headers=sent, timeout=60)


def learn(server: Server) -> None:
    """Let the service learn what its batches take."""
    for _ in range(10):
        assert post(server, 2).status_code == 200


def test_a_deadline_that_the_queue_would_pass_is_refused_at_once(slow: Path) -> None:
    with serving(slow, **SLOW) as server:
        learn(server)
        with unread_post(server, [LONG] * 1_000):
            wait_until(lambda: server.metric("sluice_forecast_wait_seconds", priority="interactive") > 1.5)
            refused = post(server, 1, x_request_timeout_ms=BEHIND_ALL_MS)
            assert refused.status_code == 429
            assert refused.json()["code"] == "wait_too_long"
            assert "ms that this request may take" in refused.json()["error"]
            assert int(refused.headers["retry-after"]) >= 1
            assert server.metric("sluice_rejected_total", reason="wait_too_long") == 1
            assert server.metric("sluice_queue_rows") > 0, "it was refused before the queue was done"


def test_a_deadline_that_passes_while_its_texts_run_is_504_and_the_rest_is_not_computed(slow: Path) -> None:
    with serving(slow, **SLOW) as server:
        late = post(server, 200, x_request_timeout_ms="150")
        assert late.status_code == 504
        assert late.json()["code"] == "deadline_exceeded"
        wait_until(lambda: server.metric("sluice_queue_rows") == 0)
        assert server.metric("sluice_dropped_total", reason="expired") > 0


def test_interactive_work_does_not_wait_for_the_batch_work_before_it(slow: Path) -> None:
    with serving(slow, **SLOW) as server:
        ends: dict[str, float] = {}

        def ask(name: str, count: int, **headers: str) -> None:
            assert post(server, count, **headers).status_code == 200
            ends[name] = time.monotonic()

        corpus = threading.Thread(target=ask, args=("corpus", 100), kwargs={"x_request_priority": "batch"})
        corpus.start()
        wait_until(lambda: server.metric("sluice_queue_rows") > 30)
        ask("person", 1)
        assert server.metric("sluice_queue_rows") > 0, "the corpus is still waiting"
        corpus.join(60)
        assert ends["person"] < ends["corpus"]


def test_batch_work_is_done_under_interactive_work_that_never_ends(slow: Path) -> None:
    with serving(slow, **SLOW, max_wait_ms=60_000, overload_wait_ms=60_000) as server:
        enough = threading.Event()

        def keep_busy() -> None:
            while not enough.is_set():
                assert post(server, 10).status_code == 200

        busy = [threading.Thread(target=keep_busy) for _ in range(2)]
        for thread in busy:
            thread.start()
        try:
            wait_until(lambda: server.metric("sluice_queue_rows") > 4)
            assert post(server, 3, x_request_priority="batch").status_code == 200
        finally:
            enough.set()
            for thread in busy:
                thread.join(60)
