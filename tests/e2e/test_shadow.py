"""A candidate is tried beside the real service: callers see nothing of it, whatever it does, and the metrics tell."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from benchmarks.crowd import crowd
from tests.callers import GOOD, calling
from tests.faulty import HANGS, RAISES, FaultyServer, token
from tests.operating import TEXT, Operator, keys_file, louder
from tests.waiting import wait_until

SERVING, CANDIDATE = 1, 2
TEXTS = [TEXT, "a bad film", "good", "bad", "a good day", "not good"]


class Trial:
    """A service whose version 1 is named stable and whose version 2 is tried, asked by one caller."""

    def __init__(self, root: Path, *, share: float = 1.0, factor: float = -1.0, **settings: Any) -> None:
        louder(root / "models", SERVING)
        louder(root / "models", CANDIDATE, factor=factor, mark="the candidate")
        file, secret = keys_file(root)
        environment = {"api_keys_file": file, "allow_anonymous": 1, "FAULT_IN": "the candidate"} | settings
        self.server = FaultyServer(root / "models", **environment)
        self.server.wait_ready()
        self.operator = Operator(self.server, secret)
        self.set("aliases", {"stable": {"version": SERVING}})
        self.set("shadow", {"version": CANDIDATE, "share": share})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.server.process.poll() is None:
            self.server.process.kill()
            self.server.process.wait(10)

    def set(self, what: str, value: Any) -> dict[str, Any]:
        return self.operator.must(self.operator.ask("PUT", f"/admin/models/tiny/{what}", {what: value}))

    def ask(self, text: str, **headers: str) -> dict[str, Any]:
        answer = httpx.post(f"{self.server.url}/v1/sentiment", json={"inputs": text}, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert (found["version"], found["alias"]) == (SERVING, "stable")
        return found

    def counted(self, outcome: str) -> int:
        return int(self.server.metric("sluice_shadow_texts_total", version=str(CANDIDATE), outcome=outcome))

    def wait_counted(self, texts: int, within_s: float = 30) -> None:
        until = time.monotonic() + within_s
        while self.server.metric("sluice_shadow_texts_total") < texts:
            assert time.monotonic() < until, self.server.lines[-10:]
            time.sleep(0.05)


def test_answers_are_the_serving_versions_and_agreement_is_counted(tmp_path: Path) -> None:
    with Trial(tmp_path) as trial:
        for at, text in enumerate(TEXTS, 1):
            named = trial.operator.must(
                trial.operator.ask("POST", "/v1/sentiment", {"inputs": text, "model": "tiny", "version": SERVING})
            )
            assert trial.ask(text)["results"] == named["results"]
            trial.wait_counted(at)
        other = [
            trial.operator.must(
                trial.operator.ask("POST", "/v1/sentiment", {"inputs": text, "model": "tiny", "version": version})
            )["results"][0]["label"]
            for text in TEXTS
            for version in (SERVING, CANDIDATE)
        ]
        same = sum(mine == its for mine, its in zip(other[::2], other[1::2], strict=True))
        compared = len(TEXTS) - trial.counted("dropped")
        assert trial.counted("failed") == 0
        assert compared > 0
        assert trial.counted("agreed") + trial.counted("differed") == compared
        assert trial.counted("agreed") <= same
        assert trial.counted("differed") <= len(TEXTS) - same
        items, requests = (
            trial.server.metric(f"sluice_{name}_total", **labels)
            for name, labels in (
                ("items", {"code": "ok", "version": str(CANDIDATE)}),
                ("requests", {"route": "/v1/sentiment"}),
            )
        )
        assert (items, requests) == (len(TEXTS), 4 * len(TEXTS)), "only those who named the candidate"
        assert trial.server.metric("sluice_shadow_latency_difference_seconds_count") == compared
        assert trial.server.metric("sluice_shadow_share", version=str(CANDIDATE)) == 1
        listed = trial.operator.must(trial.operator.ask("GET", "/v1/models/tiny"))
        assert listed["shadow"] == {"version": CANDIDATE, "share": 1.0}


def test_a_shadow_is_refused_by_name_and_ends_with_its_candidate(tmp_path: Path) -> None:
    with Trial(tmp_path) as trial:
        refused = trial.operator.ask("PUT", "/admin/models/tiny/shadow", {"shadow": {"version": 9, "share": 1}})
        assert (refused.status_code, refused.json()["code"]) == (409, "change_refused")
        assert "version 9 of model 'tiny' is not open" in refused.json()["error"]
        wrong = trial.operator.ask("PUT", "/admin/models/tiny/shadow", {"shadow": {"version": 2, "share": 1.5}})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_request")
        trial.operator.must(trial.operator.ask("POST", f"/admin/models/tiny/versions/{CANDIDATE}/unload"))
        assert "is not open" in trial.server.logged("shadow_ended")["reason"]
        trial.ask(TEXT)
        wait_until(
            lambda: 'sluice_shadow_texts_total{model="tiny"' not in httpx.get(f"{trial.server.url}/metrics").text,
            "the candidate's series stay",
        )


def test_a_shadow_reaches_every_worker_and_one_that_starts_later(tmp_path: Path) -> None:
    with Trial(tmp_path, workers=2, metrics_dir=tmp_path / "metrics") as trial:
        for _ in range(20):  # over a connection each, so that both workers get some
            trial.ask(TEXT, connection="close")
            time.sleep(0.02)
        trial.wait_counted(20)
        files = [tmp_path / "metrics" / f"counter_{slot}.db" for slot in (0, 1)]
        assert all(b"sluice_shadow_texts" in file.read_bytes() for file in files)
        os.kill(int((tmp_path / "metrics" / "0.pid").read_text("ascii")), signal.SIGKILL)
        share = tmp_path / "metrics" / "gauge_livemax_0.db"  # made anew by the worker that takes its place
        until = time.monotonic() + 60
        while sum("worker_ready" in line for line in trial.server.lines) < 3:
            assert time.monotonic() < until, trial.server.lines[-10:]
            time.sleep(0.05)
        assert b"sluice_shadow_share" in share.read_bytes()
        assert trial.set("shadow", None)["workers"] == 2
        assert trial.server.stop() == 0


def test_a_setting_tries_a_version_from_the_start(tmp_path: Path) -> None:
    shadows = '{"tiny": {"version": 1, "share": 0.5}, "nobody": {"version": 1, "share": 0.5}}'
    for version in (1, 2):
        louder(tmp_path, version)
    for workers in (1, 2):
        server = FaultyServer(tmp_path, shadows=shadows, workers=workers)
        try:
            server.wait_ready()
            assert server.logged("shadow_ended")["model"] == "nobody"
            assert server.metric("sluice_shadow_share", model="tiny", version="1") == 0.5
            assert server.stop() == 0
        finally:
            server.process.kill()


def test_a_candidate_that_raises_costs_callers_nothing(tmp_path: Path) -> None:
    with Trial(tmp_path, FAULT_RAISES=token(RAISES)) as trial:
        before = trial.ask(RAISES)["results"]
        trial.wait_counted(1)
        assert trial.ask(RAISES)["results"] == before
        trial.wait_counted(2)
        assert trial.counted("failed") + trial.counted("dropped") == 2
        assert trial.server.metric("sluice_requests_total", code="500") == 0


def test_a_candidate_that_hangs_costs_callers_nothing_and_is_asked_no_more(tmp_path: Path) -> None:
    with Trial(tmp_path, FAULT_HANGS=token(HANGS), watchdog_ms=1000, threads=1) as trial:
        trial.ask(TEXT)
        trial.wait_counted(1)
        while not trial.counted("failed"):
            for text in (HANGS, TEXT, HANGS):
                trial.ask(text)
        assert trial.server.logged("shadow_failed")["error"] == "InferenceHung"
        for _ in range(5):
            trial.ask(HANGS)
        assert trial.counted("failed") == 1
        assert trial.server.metric("sluice_hangs_total", version=str(CANDIDATE)) == 1
        assert httpx.get(f"{trial.server.url}/health/ready").status_code == 200
        assert trial.server.stop() == 0


def test_a_stop_does_not_wait_for_a_candidate(tmp_path: Path) -> None:
    with Trial(tmp_path, FAULT_HANGS=token(HANGS), watchdog_ms=0, drain_s=60) as trial:
        for _ in range(3):
            trial.ask(HANGS)
            time.sleep(0.2)
        assert trial.server.stop(within_s=20) == 0


@pytest.mark.timeout(300)
async def test_under_load_texts_are_dropped_and_no_request_is_lost(tmp_path: Path) -> None:
    trial = await asyncio.to_thread(Trial, tmp_path, factor=1.0, threads=1)
    with trial:
        asked = {"inputs": ["a good film " * 20] * 8}
        answers = await crowd(trial.server.url, 16, [asked], lambda answers: _wait_for(answers, 200))
        assert {answer.status for answer in answers} == {200}
        assert {answer.json["version"] for answer in answers} == {SERVING}
        trial.wait_counted(8 * len(answers))
        assert trial.counted("dropped") > 0
        assert trial.server.metric("sluice_shadow_texts_total") == 8 * len(answers)
        assert trial.server.metric("sluice_items_total", code="ok") == 8 * len(answers)
        assert trial.server.metric("sluice_queue_rows") == 0


def _wait_for(answers: list[Any], count: int) -> None:
    wait_until(lambda: len(answers) >= count, "too few answers", within_s=120)


def test_canary_and_candidate_go_side_by_side_while_versions_are_swapped(tmp_path: Path) -> None:
    with Trial(tmp_path) as trial, calling(trial.server.url, 4, [GOOD]) as callers:
        for _ in range(3):
            callers.wait_for(20)
            trial.operator.must(trial.operator.ask("POST", f"/admin/models/tiny/versions/{CANDIDATE}/load"))
            trial.set("shadow", {"version": CANDIDATE, "share": 0.5})
        callers.stopped.set()
        assert {each.status for each in callers.outcomes} == {200}
