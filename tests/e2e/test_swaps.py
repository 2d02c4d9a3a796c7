"""Versions come and go under load: nothing fails, nothing is mixed, nothing is left behind."""

import asyncio
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.crowd import Replies, crowd
from benchmarks.service import Service
from benchmarks.swaps import series, settle, swap
from tests.operating import TEXT, Operator, keys_file, louder
from tests.packages import SUMMARIES, copy_package
from tests.server import Server, serving
from tests.waiting import wait_until

CONNECTIONS, SWAPS = 64, 20
_LEFT_BEHIND_MB = 24
"""A session, a tokenizer and their work space of one tiny version are about 2 MB, of twenty 40 MB."""


@contextmanager
def operated(root: Path, **settings: Any) -> Iterator[tuple[Server, Operator]]:
    """Yield a service over ``root``/models with somebody who has its admin key."""
    file, secret = keys_file(root)
    with serving(root / "models", api_keys_file=file, allow_anonymous=1, **settings) as server:
        yield server, Operator(server, secret)


@pytest.mark.timeout(300)
async def test_twenty_swaps_under_64_connections_fail_mix_and_leave_nothing(tmp_path: Path) -> None:
    models = tmp_path / "models"
    louder(models, 1)
    with operated(tmp_path, overload_wait_ms=10_000) as (server, operator):
        expected = {1: operator.classify(1)["results"][0]["scores"]}

        def swaps(replies: Replies, first: int, last: int) -> None:
            for old in range(first, last):
                louder(models, old + 1, place=models / ".incoming")
                swap(operator, models, "tiny", old, old + 1)
                expected[old + 1] = operator.classify(old + 1)["results"][0]["scores"]
                until = time.monotonic() + 20
                while not replies or replies[-1].json.get("version") != old + 1:
                    assert time.monotonic() < until, replies[-1:]
                    time.sleep(0.01)

        asked, process = [{"inputs": [TEXT, TEXT]}], Service(server.url, server.process.pid)
        await crowd(server.url, CONNECTIONS, asked, lambda replies: swaps(replies, 1, 3))
        before = process.pss_mb()
        replies = await crowd(server.url, CONNECTIONS, asked, lambda replies: swaps(replies, 3, 3 + SWAPS))
        assert {reply.status for reply in replies} == {200}
        answers = [reply.json for reply in replies]
        assert {answer["version"] for answer in answers} >= set(range(4, 4 + SWAPS))
        for answer in answers:
            assert [result["scores"] for result in answer["results"]] == [expected[answer["version"]]] * 2
            assert not any("version" in result for result in answer["results"])
        await asyncio.to_thread(settle, server.url, 2 + SWAPS)
        assert [series(server.url, version) for version in range(1, 3 + SWAPS)] == [0] * (2 + SWAPS)
        assert series(server.url, 3 + SWAPS) > 0
        assert process.pss_mb() - before < _LEFT_BEHIND_MB


def test_a_version_that_fails_to_open_leaves_the_old_one_serving_and_says_why(tmp_path: Path) -> None:
    models = tmp_path / "models"
    louder(models, 1)
    with operated(tmp_path) as (server, operator):
        before = operator.classify()["results"]
        (louder(models, 2) / "tokenizer.json").unlink()
        report = operator.reload()
        reason = "tokenizer.json: missing; expected a regular file"
        assert report["refused"] == [{"model": "tiny", "version": 2, "reason": reason}]
        assert server.logged("model_failed")["reason"] == reason
        assert server.metric("sluice_models", state="failed") == 1
        assert operator.classify()["results"] == before
        refused = operator.ask("POST", "/admin/models/tiny/versions/2/load")
        assert (refused.status_code, refused.json()["code"]) == (409, "change_refused")
        assert reason in refused.json()["error"]

        (models / "tiny" / "1" / "model.onnx").write_bytes(b"overwritten in place")
        manifest = models / "tiny" / "1" / "manifest.json"
        manifest.write_text(manifest.read_text("utf-8") + "\n", "utf-8")
        assert "model.onnx: 20 bytes" in operator.reload()["refused"][0]["reason"]
        assert operator.classify()["results"] == before
        (one, _) = operator.must(operator.ask("GET", "/v1/models/tiny"))["versions"]
        assert one["state"] == "ready"
        assert "model.onnx: 20 bytes" in one["reason"]


def test_a_hangup_reloads_and_a_watched_folder_needs_none(tmp_path: Path) -> None:
    models = tmp_path / "models"
    louder(models, 1)
    with operated(tmp_path) as (server, operator):
        louder(models, 2)
        server.process.send_signal(signal.SIGHUP)
        server.logged("models_changed")
        assert operator.classify()["version"] == 2
    with operated(tmp_path, watch_models=1) as (server, operator):
        louder(models, 3, place=models / ".incoming")
        time.sleep(2.5)
        assert not any("models_changed" in line for line in server.lines), "a folder with a dot is no package"
        (models / ".incoming" / "tiny" / "3").rename(models / "tiny" / "3")
        server.logged("models_changed")
        assert operator.classify()["version"] == 3
        time.sleep(2.5)
        assert sum("models_changed" in line for line in server.lines) == 1


def test_a_package_that_is_written_slowly_into_its_place_is_never_opened_by_half(tmp_path: Path) -> None:
    models = tmp_path / "models"
    louder(models, 1)
    whole = louder(tmp_path, 2, place=tmp_path / "elsewhere")
    with operated(tmp_path, watch_models=1) as (server, operator):
        for file in sorted(path for path in whole.rglob("*") if path.is_file()):
            target = models / "tiny" / "2" / file.relative_to(whole)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
            time.sleep(0.6)
            assert operator.classify()["version"] in {1, 2}
        until = time.monotonic() + 20
        while operator.classify()["version"] != 2:
            assert time.monotonic() < until, "\n".join(server.lines[-20:])
            time.sleep(0.1)
        ready = [line for line in server.lines if '"model_ready"' in line and '"version":"2"' in line]
        assert len(ready) == 1


def test_a_summary_under_way_ends_on_the_version_it_began_with(tmp_path: Path) -> None:
    models = tmp_path / "models"
    copy_package(SUMMARIES, models, "tiny-summaries", 1)
    with operated(tmp_path) as (server, operator):
        asked = {
            "inputs": "The bank raised its rate today. Markets fell.",
            "method": "abstractive",
            "model": "tiny-summaries",
        }
        before = operator.must(operator.ask("POST", "/v1/summarize", asked))
        copy_package(SUMMARIES, models, "tiny-summaries", 2)
        shutil.rmtree(models / "tiny-summaries" / "1")
        assert operator.reload()["loaded"] == ["tiny-summaries/2"]
        after = operator.must(operator.ask("POST", "/v1/summarize", asked))
        assert (before["version"], after["version"]) == (1, 2)
        assert before["results"] == after["results"]
        wait_until(lambda: not series(server.url, 1), "the old version's series stay")
