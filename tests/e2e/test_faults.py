"""Faults, each against the real process: it costs what it must, others are served, and all is as before afterwards."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.callers import GOOD, calling
from tests.faulty import HANGS, RAISES, faulty, token
from tests.packages import PACKAGES, copy_tiny
from tests.server import ROOT, Server, serving
from tests.waiting import wait_until

Record = Callable[[str, object], None]


def ask(server: Server, text: str = "a good film", **more: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/sentiment", json={"inputs": text, **more}, timeout=60)


def at_once(server: Server, texts: list[str]) -> list[httpx.Response]:
    answers: dict[int, httpx.Response] = {}
    threads = [
        threading.Thread(target=lambda at=at, text=text: answers.__setitem__(at, ask(server, text)))
        for at, text in enumerate(texts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    return [answers[at] for at in range(len(texts))]


def files_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def worker_pids(folder: Path) -> list[int]:
    return [int(file.read_text()) for file in sorted(folder.glob("*.pid"))]


def test_a_session_that_raises_fails_that_text_alone(record_property: Record) -> None:
    with faulty(FAULT_RAISES=token(RAISES)) as server:
        answers = at_once(server, ["a good film", RAISES, "a bad film"] * 8)
        assert [answer.status_code for answer in answers] == [200, 500, 200] * 8
        assert {answer.json()["code"] for answer in answers[1::3]} == {"inference_failed"}
        assert "a fault of the test" not in answers[1].text
    record_property("figure", "8 of 24 texts raised and failed, 16 were answered")


def test_a_session_that_hangs_fails_that_text_and_is_replaced(record_property: Record) -> None:
    with faulty(FAULT_HANGS=token(HANGS), watchdog_ms=1000, threads=2) as server:
        answers = at_once(server, ["a good film", HANGS, "a bad film"])
        assert [answer.status_code for answer in answers] == [200, 500, 200]
        assert answers[1].json()["code"] == "inference_hung"
        assert server.logged("inference_hung")["model"] == "tiny"
        server.logged("session_renewed")
        assert server.metric("sluice_hangs_total", model="tiny") >= 1
        assert server.metric("sluice_sessions_replaced_total", model="tiny", result="done") >= 1
        for _ in range(3):
            assert ask(server, HANGS).status_code == 500
            assert ask(server).status_code == 200
        wait_until(lambda: httpx.get(f"{server.url}/health/ready").status_code == 503)
        assert server.metric("sluice_ready") == 0
        assert ask(server).status_code == 200
        assert server.stop() == 0
    record_property("figure", "4 texts hung and failed by name; after the third, readiness says no; exit 0")


def let_run_inline(server: Server) -> None:
    """Ask until texts of three tokens run on the event loop's thread."""

    def ran() -> bool:
        ask(server)
        return server.metric("sluice_inline_batches_total") > 0

    wait_until(ran)


def test_a_session_that_hangs_on_the_event_loop_is_interrupted_and_runs_there_no_more(record_property: Record) -> None:
    with faulty(FAULT_SPINS=token(HANGS), watchdog_ms=1000, inline_us=10_000) as server:
        let_run_inline(server)
        answer = ask(server, f"a {HANGS} film")
        assert (answer.status_code, answer.json()["code"]) == (500, "inference_hung")
        limit_s = server.logged("inference_hung")["limit_s"]
        inline = server.metric("sluice_inline_batches_total")
        for _ in range(5):
            assert ask(server).status_code == 200
        assert server.metric("sluice_inline_batches_total") == inline
        assert server.metric("sluice_hangs_total") == 1
        assert not any("session_renewed" in line for line in server.lines)
        assert server.stop() == 0
    record_property("figure", f"interrupted after {limit_s:.1f} s; that text failed, the next were answered by threads")


def test_a_session_that_heeds_no_interruption_ends_the_process_by_name(record_property: Record) -> None:
    with faulty(FAULT_HANGS=token(HANGS), watchdog_ms=1000, inline_us=10_000) as server:
        let_run_inline(server)
        with pytest.raises(httpx.TransportError):
            ask(server, f"a {HANGS} film")
        assert server.process.wait(30) == 70
        stuck = server.logged("event_loop_stuck")
        assert "in run" in stuck["stack"]
    record_property("figure", f"it ended {stuck['silent_s']} s after the run began, with a limit of 1 s; exit 70")


def test_an_event_loop_that_stands_still_ends_the_process_by_name() -> None:
    with faulty(FAULT_LOOP=1, watchdog_ms=500) as server:
        server.process.send_signal(signal.SIGUSR1)
        assert "time.sleep(600)" in server.logged("event_loop_stuck")["stack"]
        assert server.process.wait(30) == 70


def test_a_killed_worker_costs_its_own_requests_alone(tmp_path: Path, record_property: Record) -> None:
    with serving(workers=2, metrics_dir=tmp_path) as server:
        wait_until(lambda: sum("worker_ready" in line for line in server.lines) == 2)
        with calling(server.url, 8) as callers:
            callers.wait_for(50)
            dead = worker_pids(tmp_path)[0]
            killed = time.monotonic()
            os.kill(dead, signal.SIGKILL)
            callers.wait_for(50)
            wait_until(lambda: sum("worker_ready" in line for line in server.lines) == 3)
            callers.wait_for(50)
        assert len(callers.lost) <= 4, "more requests were lost than the worker had"
        assert all(each.ended >= killed for each in callers.lost)
        assert {each.status for each in callers.outcomes} <= {0, 200}
        assert server.metric("sluice_worker_restarts_total") == 1
        assert dead not in worker_pids(tmp_path)
        assert server.stop() == 0
    record_property("figure", f"{len(callers.lost)} of {len(callers.outcomes)} requests lost, all of them its own")


def test_a_full_disk_costs_shared_metrics_alone(tmp_path: Path) -> None:
    with faulty(workers=2, metrics_dir=tmp_path, FAULT_FILE_BYTES=1 << 10) as server:
        server.logged("metrics_not_shared")
        with calling(server.url, 4) as callers:
            callers.wait_for(100)
        assert {each.status for each in callers.outcomes} == {200}
        assert httpx.get(f"{server.url}/metrics").status_code == 200
        assert server.stop() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="NO /dev/full: a log that cannot be written was not tried")
def test_a_log_that_cannot_be_written_costs_the_log_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {"SLUICE_MODELS_DIR": str(PACKAGES), "SLUICE_PORT": str(port)}
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"], cwd=ROOT, env=environment, stdout=full, stderr=full
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: is_ready(url), within_s=120)
        for _ in range(20):
            assert httpx.post(f"{url}/v1/sentiment", json=GOOD).status_code == 200
        assert httpx.get(f"{url}/nowhere").status_code == 404
    finally:
        process.terminate()
        assert process.wait(30) == 0


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("fault", ["deleted", "changed"])
def test_a_package_whose_files_are_gone_or_changed_is_served_as_it_was_opened(tmp_path: Path, fault: str) -> None:
    folder = copy_tiny(tmp_path, "tiny")
    with faulty(tmp_path, FAULT_HANGS=token(HANGS), watchdog_ms=1000) as server:
        before = ask(server).json()["results"]
        for file in ("model.onnx", "model.int8.onnx"):
            if fault == "deleted":
                (folder / file).unlink()
            else:
                (folder / file).write_bytes(b"something else")
        assert ask(server).json()["results"] == before
        assert ask(server, HANGS).status_code == 500
        assert "onnx" in server.logged("session_not_renewed")["reason"]
        assert server.metric("sluice_sessions_replaced_total", result="failed") == 1
        assert ask(server).json()["results"] == before


def test_a_clock_that_jumps_changes_nothing(record_property: Record) -> None:
    with faulty(FAULT_CLOCK=86_400, timeout_ms=20_000) as server:
        with calling(server.url, 4) as callers:
            callers.wait_for(200)
        assert {each.status for each in callers.outcomes} == {200}
        timings = ask(server).json()["timings_ms"]
        assert all(0 <= value < 20_000 for value in timings.values())
        assert server.stop() == 0
    record_property("figure", f"{len(callers.outcomes)} requests answered while the clock jumped by a day")


BODY = b'{"inputs": "a good film"}'
HEAD = b"POST /v1/sentiment HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n"
STAGES = {
    "at once": b"",
    "in the head": HEAD[:40],
    "after the head": HEAD,
    "in the body": HEAD + BODY[:10],
    "after the request": HEAD + BODY,
    "in the next request": HEAD + BODY + HEAD[:20],
}


@pytest.fixture(scope="module")
def server() -> Any:
    with serving(max_connections=16_000) as running:
        yield running


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
def test_a_client_that_leaves_leaves_nothing_behind(server: Server, stage: str, *, reset: bool) -> None:
    port = httpx.URL(server.url).port or 0
    before = files_of(server.process.pid)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(STAGES[stage])
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: files_of(server.process.pid) <= before)
    assert ask(server).status_code == 200
    wait_until(lambda: server.metric("sluice_requests_in_flight") <= 1)  # the scrape itself
    assert server.metric("sluice_queue_rows") == 0


def test_ten_thousand_connections_opened_and_left_hinder_nobody(server: Server, record_property: Record) -> None:
    import resource  # noqa: PLC0415 - of this test alone

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 10_000
    if hard < count + 1_000:
        pytest.skip(f"NO 10,000 CONNECTIONS: this user may open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before, port = files_of(server.process.pid), httpx.URL(server.url).port or 0
    left = []
    try:
        for _ in range(count):
            left.append(socket.create_connection(("127.0.0.1", port), timeout=60))  # noqa: PERF401 - some may fail
        assert ask(server).status_code == 200
        with calling(server.url, 4) as callers:
            callers.wait_for(50)
        assert {each.status for each in callers.outcomes} == {200}
    finally:
        for client in left:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: files_of(server.process.pid) <= before)
    record_property("figure", f"{count:,} left open, {len(callers.outcomes)} requests beside them answered")


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_full_load_answers_every_request_that_was_accepted(
    workers: int, tmp_path: Path, record_property: Record
) -> None:
    bodies = [GOOD, {"inputs": ["a good film, and a bad one " * 20] * 32}]
    # of a busy machine's queue nobody is refused: what is shown is that what was accepted is answered
    with serving(workers=workers, metrics_dir=tmp_path, overload_wait_ms=10_000) as server:
        if workers > 1:
            wait_until(lambda: sum("worker_ready" in line for line in server.lines) == workers)
        with calling(server.url, 16, bodies) as callers:
            callers.wait_for(100)
            signalled = time.monotonic()
            assert server.stop(signal.SIGTERM, within_s=60) == 0
            callers.stopped.set()
    under_way = [each for each in callers.outcomes if each.began < signalled < each.ended]
    assert {each.status for each in under_way} == {200}
    assert callers.lost == [], "a connection that the kernel took was answered too"
    record_property("figure", f"{len(under_way)} requests under way at the signal, all answered; exit 0")


def test_a_killed_service_is_ready_again_soon(record_property: Record) -> None:
    with serving() as server:
        assert ask(server).status_code == 200
        server.stop(signal.SIGKILL)
    started = time.monotonic()
    with serving() as again:
        seconds = time.monotonic() - started
        fields = Path(f"/proc/{again.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        assert ask(again).status_code == 200
    record_property("figure", f"ready again after {seconds:.1f} s ({cpu_s:.1f} s of CPU)")
    assert cpu_s <= 3.0, "on a machine with nothing else to do it would take longer than 3 s"
