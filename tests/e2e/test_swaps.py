"""Versions come and go under load: nothing fails, nothing is mixed, nothing is left behind."""

import asyncio
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.operating import TEXT, Answers, Operator, crowd, keys_file, louder
from tests.packages import SUMMARIES, copy_package
from tests.server import Server, serving

CONNECTIONS, SWAPS = 64, 20
_LEFT_BEHIND_MB = 24
"""A session, a tokenizer and their work space of one tiny version are about 2 MB, of twenty 40 MB."""


@contextmanager
def operated(root: Path, **settings: Any) -> Iterator[tuple[Server, Operator]]:
    """Yield a service over ``root``/models with somebody who has its admin key."""
    file, secret = keys_file(root)
    with serving(root / "models", api_keys_file=file, allow_anonymous=1, **settings) as server:
        yield server, Operator(server, secret)


def pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    raise AssertionError("the kernel tells no Pss")


def series(server: Server, version: int) -> int:
    return sum(f'version="{version}"' in line for line in httpx.get(f"{server.url}/metrics").text.splitlines())


def settle(server: Server, last: int, within_s: float = 20) -> None:
    """Wait until the series of the last version that went are gone, and its memory given back."""
    until = time.monotonic() + within_s
    while series(server, last) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)


def swap(operator: Operator, models: Path, old: int, new: int) -> None:
    """Let one version take another's place, in one step."""
    louder(models, new, place=models / ".incoming")
    (models / ".incoming" / "tiny" / str(new)).rename(models / "tiny" / str(new))
    shutil.rmtree(models / "tiny" / str(old))
    assert operator.reload() == {"workers": 1, "loaded": [f"tiny/{new}"], "unloaded": [f"tiny/{old}"], "refused": []}


@pytest.mark.timeout(300)
async def test_twenty_swaps_under_64_connections_fail_mix_and_leave_nothing(tmp_path: Path) -> None:
    models = tmp_path / "models"
    louder(models, 1)
    with operated(tmp_path) as (server, operator):
        expected = {1: operator.classify(1)["results"][0]["scores"]}

        def swaps(answers: Answers, first: int, last: int) -> None:
            for old in range(first, last):
                swap(operator, models, old, old + 1)
                expected[old + 1] = operator.classify(old + 1)["results"][0]["scores"]
                until = time.monotonic() + 20
                while not answers or answers[-1][1].get("version") != old + 1:
                    assert time.monotonic() < until, answers[-1:]
                    time.sleep(0.01)

        asked = {"inputs": [TEXT, TEXT]}
        await crowd(server.url, CONNECTIONS, lambda answers: swaps(answers, 1, 3), asked)
        before = pss_mb(server.process.pid)
        answers = await crowd(server.url, CONNECTIONS, lambda answers: swaps(answers, 3, 3 + SWAPS), asked)
        assert {status for status, _ in answers} == {200}
        assert {answer["version"] for _, answer in answers} >= set(range(4, 4 + SWAPS))
        for _, answer in answers:
            assert [result["scores"] for result in answer["results"]] == [expected[answer["version"]]] * 2
            assert not any("version" in result for result in answer["results"])
        await asyncio.to_thread(settle, server, 2 + SWAPS)
        assert [series(server, version) for version in range(1, 3 + SWAPS)] == [0] * (2 + SWAPS)
        assert series(server, 3 + SWAPS) > 0
        assert pss_mb(server.process.pid) - before < _LEFT_BEHIND_MB


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
        until = time.monotonic() + 10
        while series(server, 1):
            assert time.monotonic() < until, "the old version's series stay"
            time.sleep(0.1)
