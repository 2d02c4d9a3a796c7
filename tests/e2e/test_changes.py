"""Changes of what two workers serve, with a fault in one of them: everywhere or nowhere, and the answer says so."""

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.operating import TEXT, keys_file, louder
from tests.server import Server, serving, sockets_of
from tests.waiting import wait_until

NOTHING_CHANGED = "so that nothing was changed in any of them"


@dataclass
class Worker:
    """A worker process, and a connection that it holds, so that it is this one who answers."""

    pid: int
    client: httpx.Client

    def versions(self) -> dict[int, str]:
        """Return the versions that it knows and what became of each."""
        found = self.client.get("/v1/models/tiny").json()["versions"]
        return {int(one["version"]): one["state"] for one in found}

    def aliases(self) -> Any:
        return self.client.get("/v1/models/tiny").json()["aliases"]

    def default(self) -> int:
        """Return the version that answers where none is named."""
        answer = self.client.post("/v1/sentiment", json={"inputs": TEXT, "model": "tiny"})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["version"])


def pids(folder: Path) -> list[int]:
    return [int(file.read_text()) for file in sorted(folder.glob("*.pid"))]


@contextmanager
def two_workers(root: Path) -> Iterator[tuple[Server, Callable[[], list[Worker]]]]:
    """Yield a service of two workers over version 1, and what finds both workers."""
    louder(root / "models", 1)
    file, secret = keys_file(root)
    with serving(
        root / "models", workers=2, metrics_dir=root / "metrics", api_keys_file=file, allow_anonymous=1
    ) as server:
        wait_ready(server, 2)
        with ExitStack() as clients:
            yield server, lambda: met(server, root, secret, clients)


def wait_ready(server: Server, workers: int) -> None:
    wait_until(lambda: sum("worker_ready" in line for line in server.lines) >= workers, "a worker was never ready")


def met(server: Server, root: Path, secret: str, clients: ExitStack) -> list[Worker]:
    """Open connections until each worker holds one of them."""
    found: dict[int, Worker] = {}
    until = time.monotonic() + 30
    while len(found) < 2:
        assert time.monotonic() < until, "one worker gets all connections"
        before = {pid: len(sockets_of(pid)) for pid in pids(root / "metrics")}
        key = {"Authorization": f"Bearer {secret}"}
        client = clients.enter_context(httpx.Client(base_url=server.url, headers=key, timeout=60))
        client.get("/health/live")
        more = [pid for pid, sockets in before.items() if len(sockets_of(pid)) > sockets]
        if len(more) == 1 and more[0] not in found:
            found[more[0]] = Worker(more[0], client)
        else:
            time.sleep(0.1)  # an earlier connection ended meanwhile
    return [found[pid] for pid in pids(root / "metrics")]


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("path", ["/admin/reload", "/admin/models/tiny/versions/2/load"])
def test_what_one_worker_cannot_open_is_open_in_none(tmp_path: Path, path: str, failing: int) -> None:
    with two_workers(tmp_path) as (server, meet):
        workers = meet()
        louder(tmp_path / "models", 2)
        pid, limits = workers[failing].pid, resource.RLIMIT_NOFILE
        soft, hard = resource.prlimit(pid, limits)
        resource.prlimit(pid, limits, (3, hard))  # it can open no more files, as a process that has run out of them
        try:
            refused = workers[0].client.post(path)
        finally:
            resource.prlimit(pid, limits, (soft, hard))
        assert (refused.status_code, refused.json()["code"]) == (409, "change_refused")
        assert f"worker {failing} could not, {NOTHING_CHANGED}" in refused.json()["error"]
        assert "Too many open files" in refused.json()["error"]
        assert [worker.versions() for worker in workers] == [{1: "ready"}] * 2
        assert [worker.default() for worker in workers] == [1, 1]
        assert server.metric("sluice_model_changes_total", result="refused") == 1

        done = workers[0].client.post(path)
        assert (done.status_code, done.json()["workers"]) == (200, 2)
        assert [worker.default() for worker in workers] == [2, 2]


def test_a_worker_that_is_killed_in_a_change_has_it_undone_and_comes_back_like_its_sibling(tmp_path: Path) -> None:
    with two_workers(tmp_path) as (server, meet):
        asked, killed = meet()
        aliases = {"aliases": {"stable": {"version": 1, "weight": 1}}}
        asked.client.put("/admin/models/tiny/aliases", json=aliases).raise_for_status()
        louder(tmp_path / "models", 2)
        os.kill(killed.pid, signal.SIGSTOP)  # so that it is told of the change and does not get to its vote
        with _killed_soon(killed.pid):
            refused = asked.client.post("/admin/reload")
        assert (refused.status_code, refused.json()["code"]) == (409, "change_refused")
        assert f"has died, {NOTHING_CHANGED}" in refused.json()["error"]
        wait_ready(server, 3)
        both = meet()
        assert killed.pid not in [worker.pid for worker in both]
        assert [worker.versions() for worker in both] == [{1: "ready"}] * 2
        assert both[0].aliases() == both[1].aliases()
        assert both[0].aliases()["stable"]["version"] == 1

        done = asked.client.post("/admin/reload")
        assert (done.status_code, done.json()["workers"]) == (200, 2)
        assert [worker.versions() for worker in both] == [{1: "ready", 2: "ready"}] * 2


def test_a_worker_that_starts_after_a_change_comes_up_with_it(tmp_path: Path) -> None:
    with two_workers(tmp_path) as (server, meet):
        asked, killed = meet()
        louder(tmp_path / "models", 2)
        asked.client.post("/admin/reload").raise_for_status()
        asked.client.post("/admin/models/tiny/versions/1/unload").raise_for_status()
        louder(tmp_path / "models", 3)  # there, and asked for by nobody
        os.kill(killed.pid, signal.SIGKILL)
        wait_ready(server, 3)
        both = meet()
        assert [worker.versions() for worker in both] == [{1: "unloaded", 2: "ready"}] * 2


@contextmanager
def _killed_soon(pid: int) -> Iterator[None]:

    timer = threading.Timer(1.0, os.kill, (pid, signal.SIGKILL))
    timer.start()
    try:
        yield
    finally:
        timer.join()
