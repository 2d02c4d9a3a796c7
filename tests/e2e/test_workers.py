"""Two worker processes on one socket: one set of metrics, and a death that costs only its own requests."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import httpx

from app.runtime.threads import usable_cores
from tests.packages import copy_tiny, edit_manifest
from tests.server import Server, serving, sockets_of
from tests.waiting import wait_until


def ask(server: Server, times: int) -> None:
    for _ in range(times):  # a new connection each, so that both workers get some
        answer = httpx.post(f"{server.url}/v1/sentiment", json={"inputs": "good film"}, headers={"connection": "close"})
        assert answer.status_code == 200


def wait_both_ready(server: Server) -> None:
    wait_until(lambda: sum("worker_ready" in line for line in server.lines) >= 2, "the second worker was never ready")


def wait_counted(server: Server, requests: int) -> None:
    wait_until(
        lambda: server.metric("sluice_requests_total", route="/v1/sentiment", code="200") >= requests,
        "not every request was counted",
    )


def worker_pids(folder: Path) -> list[int]:
    return [int(file.read_text()) for file in sorted(folder.glob("*.pid"))]


def test_two_workers_count_together_and_drain_together(tmp_path: Path) -> None:
    with serving(workers=2, metrics_dir=tmp_path) as server:
        ask(server, 30)
        assert server.metric("sluice_requests_total", route="/v1/sentiment", code="200") == 30
        assert server.metric("sluice_items_total", code="ok", model="tiny") == 30
        assert server.metric("sluice_model_info", model="tiny") == 1
        assert server.metric("process_resident_memory_bytes") > 50e6
        assert len(set(worker_pids(tmp_path))) == 2
        assert server.stop() == 0


def test_eight_connections_are_shared_evenly_between_two_workers(tmp_path: Path) -> None:
    with serving(workers=2, metrics_dir=tmp_path) as server:
        wait_both_ready(server)
        time.sleep(0.5)  # until the probes' connections are gone
        before = [len(sockets_of(pid)) for pid in worker_pids(tmp_path)]
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                client = stack.enter_context(httpx.Client(base_url=server.url))
                assert client.get("/health/live").status_code == 200
            after = [len(sockets_of(pid)) for pid in worker_pids(tmp_path)]
        assert [now - then for now, then in zip(after, before, strict=True)] == [4, 4]


def test_a_dead_worker_comes_back_and_counts_on_in_the_same_files(tmp_path: Path) -> None:
    with serving(workers=2, metrics_dir=tmp_path) as server:
        ask(server, 20)
        wait_counted(server, 20)  # a tally settles a moment later, and what is killed before that counts no more
        files = sorted(file.name for file in tmp_path.iterdir())
        dead, _ = worker_pids(tmp_path)
        os.kill(dead, signal.SIGKILL)
        server.logged("worker_died")
        wait_until(lambda: dead not in worker_pids(tmp_path), "the worker did not come back")
        server.wait_ready()
        ask(server, 20)
        assert server.metric("sluice_requests_total", route="/v1/sentiment", code="200") >= 40
        assert server.metric("sluice_worker_restarts_total") == 1
        assert sorted(file.name for file in tmp_path.iterdir()) == files
        assert server.stop() == 0


def test_workers_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    with serving(workers=2, metrics_dir=tmp_path) as server:
        workers = worker_pids(tmp_path)
        server.process.kill()
        server.process.wait(10)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "a worker is left behind")


def test_files_do_not_grow_over_restarts_of_the_service(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        with serving(workers=2, metrics_dir=tmp_path) as server:
            ask(server, 4)
            assert server.metric("sluice_requests_total", route="/v1/sentiment", code="200") == 4
            wait_until(lambda: len(worker_pids(tmp_path)) >= 2, "the second worker never came up")
            assert server.stop() == 0
        seen.append(sorted(file.name for file in tmp_path.iterdir()))
    assert seen[0] == seen[1]


def test_a_worker_that_came_later_holds_nobody_elses_connection(tmp_path: Path) -> None:
    """It is forked while its sibling's connections are open; they must close when its sibling says so."""
    with serving(workers=2, metrics_dir=tmp_path) as server:
        wait_both_ready(server)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(httpx.Client(base_url=server.url)) for _ in range(4)]
            assert all(client.get("/health/live").status_code == 200 for client in clients)
            dead, alive = worker_pids(tmp_path)
            os.kill(dead, signal.SIGKILL)
            wait_until(
                lambda: sum("worker_ready" in line for line in server.lines) >= 3, "the worker did not come back"
            )
            (new,) = set(worker_pids(tmp_path)) - {alive}
            assert sockets_of(new).isdisjoint(sockets_of(alive))


def test_workers_give_ids_of_their_own(tmp_path: Path) -> None:
    with serving(workers=2, metrics_dir=tmp_path) as server:
        wait_both_ready(server)
        answers = [httpx.get(f"{server.url}/health/live", headers={"connection": "close"}) for _ in range(20)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 20


def test_without_a_number_there_is_a_worker_a_core(tmp_path: Path) -> None:
    with serving(workers=0, metrics_dir=tmp_path) as server:
        assert server.logged("listening")["workers"] == min(4, usable_cores())


def test_a_socket_is_free_again_though_the_supervisor_was_killed(tmp_path: Path) -> None:
    with serving(workers=2, metrics_dir=tmp_path) as server:
        wait_both_ready(server)
        server.process.kill()
        server.process.wait()
        host, port = server.url.removeprefix("http://").split(":")
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_server((host, int(port))).close()
                break
            except OSError:
                assert time.monotonic() < until, "the port was never free again"
                time.sleep(0.05)


def test_a_worker_that_comes_back_has_what_was_opened_whatever_became_of_the_files(tmp_path: Path) -> None:
    models, metrics = tmp_path / "models", tmp_path / "metrics"
    folder = copy_tiny(models)
    with serving(models, workers=2, metrics_dir=metrics) as server:
        wait_both_ready(server)
        for graph in folder.glob("*.onnx"):
            graph.unlink()
        for pid in worker_pids(metrics):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: sum("worker_ready" in line for line in server.lines) >= 4, "the workers did not come back")
        ask(server, 4)
        assert server.metric("sluice_worker_restarts_total") == 2
        assert server.stop() == 0


def test_a_worker_that_comes_back_opens_what_a_reload_has_changed(tmp_path: Path) -> None:
    models, metrics = tmp_path / "models", tmp_path / "metrics"
    folder = copy_tiny(models)
    with serving(models, workers=2, metrics_dir=metrics) as server:
        wait_both_ready(server)
        edit_manifest(folder, lambda manifest: manifest.update(description="another"))
        server.process.send_signal(signal.SIGHUP)
        server.logged("models_changed")
        for pid in worker_pids(metrics):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: sum("worker_ready" in line for line in server.lines) >= 4, "the workers did not come back")
        for _ in range(4):  # a new connection each
            listed = httpx.get(f"{server.url}/v1/models/tiny", headers={"connection": "close"})
            assert listed.json()["description"] == "another"
        assert not any("worker_differs" in line for line in server.lines)
