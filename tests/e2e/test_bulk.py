"""Bulk streams over real sockets: order, bounds, clients that read slowly, stop half-way or go away, and drains."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx
import pytest

from tests.server import Server, serving
from tests.slow import copy_slow
from tests.waiting import wait_until

GOOD, BAD = b'"a good film"\n', b'"a bad film"\n'
LONG = json.dumps("good bad film " * 40).encode() + b"\n"


class Stream:
    """One bulk request on a socket of its own; it sends and reads when it is told to."""

    def __init__(self, server: Server, receive_bytes: int | None = None) -> None:
        parts = urlsplit(server.url)
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(60)
        self.socket.connect((parts.hostname, parts.port))
        self.socket.sendall(b"POST /v1/sentiment/bulk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._answer: BinaryIO = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Send a piece of the body."""
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def send_all(self, pieces: Iterable[bytes]) -> threading.Thread:
        """Send pieces and the body's end from a thread."""

        def send() -> None:
            try:
                for piece in pieces:
                    self.send(piece)
                self.socket.sendall(b"0\r\n\r\n")
            except OSError:
                pass  # the other side, or the test, has ended the connection

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        return thread

    def end(self) -> None:
        """Say that the body ends."""
        self.socket.sendall(b"0\r\n\r\n")

    def close(self) -> None:
        """Go away."""
        with contextlib.suppress(OSError):  # the other side went first
            self.socket.shutdown(socket.SHUT_RDWR)
        self._answer.close()
        self.socket.close()

    def status(self) -> int:
        """Read the answer's head."""
        status = int(self._answer.readline().split()[1])
        while self._answer.readline().strip():
            pass
        return status

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the answer's lines; ``EOFError`` where it breaks off."""
        rest = b""
        while size := int(self._answer.readline() or b"-1", 16):
            if size < 0:
                raise EOFError
            *lines, rest = (rest + self._answer.read(size)).split(b"\n")
            self._answer.readline()
            yield from map(json.loads, lines)
        assert not rest


@contextmanager
def stream(server: Server, receive_bytes: int | None = None) -> Iterator[Stream]:
    opened = Stream(server, receive_bytes)
    try:
        yield opened
    finally:
        opened.close()


def peak_mb(server: Server) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text("ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@pytest.mark.timeout(600)
def test_a_hundred_thousand_lines_come_back_in_order_and_in_bounded_memory(server: Server) -> None:
    count, piece = 100_000, 500
    with stream(server) as small:
        small.send_all([GOOD * piece] * 4)
        assert len(list(small.lines() if small.status() == 200 else [])) == 4 * piece
    before = peak_mb(server)
    with stream(server) as opened:
        opened.send_all(GOOD * (piece // 2) + BAD * (piece // 2) for _ in range(count // piece))
        assert opened.status() == 200
        seen = 0
        for line in opened.lines():
            assert line["index"] == seen
            assert line["label"] == ("positive" if seen % piece < piece // 2 else "negative")
            seen += 1
    assert seen == count
    assert peak_mb(server) - before < 40


def test_a_line_is_answered_while_the_next_is_not_yet_sent(server: Server) -> None:
    with stream(server) as opened:
        opened.send(GOOD)
        assert opened.status() == 200
        lines = opened.lines()
        assert next(lines)["label"] == "positive"
        opened.send(BAD[:5])  # half a line is none
        opened.send(BAD[5:])
        assert next(lines)["label"] == "negative"
        opened.end()
        assert list(lines) == []


def test_bad_lines_are_told_in_their_place(server: Server) -> None:
    with stream(server) as opened:
        opened.send_all([b"nonsense\n" + GOOD, b'{"text": 3}\n"' + b"x" * 2_000_000, b'"\n', BAD.rstrip()])
        assert opened.status() == 200
        told = [line.get("label", line.get("code")) for line in opened.lines()]
    assert told == ["malformed_line", "positive", "invalid_line", "line_too_long", "negative"]


def test_a_client_that_does_not_read_is_not_read_from_and_loses_nothing(server: Server) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(400):
            sent += 1
            yield LONG * 100

    with stream(server, receive_bytes=4096) as opened:
        sending = opened.send_all(pieces())
        time.sleep(1)
        stuck = -1
        while stuck != sent:  # until the buffers between are full
            stuck = sent
            time.sleep(1)
        assert sent < 400
        assert server.metric("sluice_queue_rows") == 0
        assert opened.status() == 200
        assert [line["index"] for line in opened.lines()] == list(range(40_000))
        sending.join(10)


def test_a_client_that_goes_away_stops_the_work(tmp_path: Path) -> None:
    with serving(copy_slow(tmp_path), threads=1, bulk_rows=64) as server:
        with stream(server) as opened:
            opened.send_all([LONG * 1_000] * 20)
            wait_until(lambda: server.metric("sluice_queue_rows") > 20)
        wait_until(lambda: server.metric("sluice_requests_in_flight") == 1)  # the question itself
        assert server.metric("sluice_queue_rows") == 0
        assert server.metric("sluice_items_total", code="ok") < 1_000  # what was under way, and a piece of the body
        assert httpx.post(f"{server.url}/v1/sentiment", json={"inputs": "good"}).status_code == 200


def test_single_requests_go_before_a_stream(tmp_path: Path) -> None:
    with serving(copy_slow(tmp_path), threads=1, max_batch_rows=1) as server, stream(server) as opened:
        opened.send_all([LONG * 2_000])
        wait_until(lambda: server.metric("sluice_queue_rows") > 100)
        answer = httpx.post(f"{server.url}/v1/sentiment", json={"inputs": "good"}, timeout=30)
        assert answer.status_code == 200
        assert server.metric("sluice_queue_rows") > 50


def test_a_client_that_rests_is_told_so_and_one_stream_too_many_is_refused() -> None:
    with serving(bulk_idle_s=1, max_bulk_streams=1) as server, stream(server) as opened:
        opened.send(GOOD)
        assert opened.status() == 200
        lines = opened.lines()
        next(lines)
        refused = httpx.post(f"{server.url}/v1/sentiment/bulk", content=GOOD)
        assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
        (last,) = lines
        assert last["code"] == "stream_idle"
        assert "sent nothing for 1 s" in last["error"]
        assert httpx.post(f"{server.url}/v1/sentiment/bulk", content=GOOD).status_code == 200


def test_a_client_that_never_begins_is_refused() -> None:
    with serving(bulk_idle_s=0.5) as server, stream(server) as opened:
        assert opened.status() == 408


def test_a_drain_lets_a_stream_end(server_of_its_own: Server) -> None:
    with stream(server_of_its_own) as opened:
        opened.send(GOOD)
        assert opened.status() == 200
        lines = opened.lines()
        next(lines)
        server_of_its_own.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        opened.send(BAD)
        assert next(lines)["label"] == "negative"
        opened.end()
        assert list(lines) == []
    assert server_of_its_own.process.wait(20) == 0


def test_a_stream_that_outlasts_a_drain_ends_with_a_line_that_says_so() -> None:
    with serving(drain_s=2) as server, stream(server) as opened:
        opened.send(GOOD)
        assert opened.status() == 200
        lines = opened.lines()
        next(lines)
        server.process.send_signal(signal.SIGTERM)
        (last,) = lines
        assert last["code"] == "draining"
        assert server.process.wait(20) == 0


@pytest.fixture
def server_of_its_own() -> Iterator[Server]:
    """Yield a service that the test may stop."""
    with serving(drain_s=20) as running:
        yield running


@pytest.mark.skipif(shutil.which("curl") is None, reason="NO CURL: the documented stream was not made")
def test_curl_streams_a_file_as_documented(server: Server, tmp_path: Path) -> None:
    (tmp_path / "reviews.jsonl").write_bytes((GOOD + BAD) * 5_000)
    command = ["curl", "-s", "-X", "POST", "-T", "reviews.jsonl", f"{server.url}/v1/sentiment/bulk?language=en"]
    answer = subprocess.run(command, check=True, capture_output=True, cwd=tmp_path).stdout
    labels = [json.loads(line)["label"] for line in answer.splitlines()]
    assert labels == ["positive", "negative"] * 5_000
