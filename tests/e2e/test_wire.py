"""The way past ASGI: whatever a request looks like, nobody can tell by its answer which way it went."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.keys.key import line_of, mint
from tests.server import Server, serving
from tests.slow import copy_slow
from tests.waiting import wait_until

GOOD = "a good film, very good"
BY_THE_ROUTES = {"x-of-no-meaning": "1"}
"""A header that no plain request has."""

BODIES: dict[str, bytes] = {
    "a text": b'{"inputs": "a good film"}',
    "a list": b'{"inputs": ["a good film", "a bad film, very bad"]}',
    "a named package": b'{"inputs": "a good film", "model": "tiny", "version": 1}',
    "a language": b'{"inputs": "a good film", "language": "en"}',
    "an explanation": b'{"inputs": "a good film", "explain": true}',
    "sentences": b'{"inputs": "A good film. A bad film.", "sentences": true}',
    "an empty text among others": b'{"inputs": ["a good film", ""]}',
    "an empty text": b'{"inputs": ""}',
    "a text without a known word": '{"inputs": "ᚠᚢᚦ"}'.encode(),
    "another language": '{"inputs": "这部电影不好"}'.encode(),
    "no package of that name": b'{"inputs": "a good film", "model": "nothing"}',
    "no inputs": b"{}",
    "an empty list": b'{"inputs": []}',
    "a number": b'{"inputs": 1}',
    "an unknown field": b'{"inputs": "a good film", "input": "a bad film"}',
    "half of a body": b'{"inputs": "a good',
    "a lone surrogate": rb'{"inputs": "\ud800"}',
    "bytes that are no UTF-8": b'{"inputs": "\xff"}',
    "no body": b"",
    "too many texts": json.dumps({"inputs": ["good"] * 200}).encode(),
    "a long text": json.dumps({"inputs": "good film " * 4000}).encode(),
    "escapes": rb'{"inputs": "a \u0067ood\n\tfilm \ud83d\ude00"}',
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(max_items=150) as running:
        yield running


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        yield connection


def request(body: bytes, *more: str, version: str = "1.1", length: bool = True) -> bytes:
    lines = [f"POST /v1/sentiment HTTP/{version}", "host: sluice", "content-type: application/json", *more]
    return "\r\n".join([*lines, *([f"content-length: {len(body)}"] if length else []), "", ""]).encode() + body


def read_answers(connection: socket.socket, count: int) -> list[tuple[bytes, dict[str, Any]]]:
    """Return so many answers' heads and bodies."""
    found: list[tuple[bytes, dict[str, Any]]] = []
    came = b""
    while len(found) < count:
        piece = connection.recv(65536)
        assert piece, f"closed after {len(found)} answers and {came!r}"
        came += piece
        while b"\r\n\r\n" in came:
            head, _, rest = came.partition(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            if len(rest) < length:
                break
            found.append((head, json.loads(rest[:length])))
            came = rest[length:]
    return found


def tokens(answers: list[tuple[bytes, dict[str, Any]]]) -> list[int]:
    return [answer["results"][0]["tokens"] for _, answer in answers]


def body_of(words: int) -> bytes:
    return json.dumps({"inputs": " ".join(["good"] * words)}).encode()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_both_ways_give_the_same_answer(server: Server, body: bytes) -> None:
    headers = {"content-type": "application/json", "x-request-id": "the-same"}
    url = f"{server.url}/v1/sentiment"
    one, other = (httpx.post(url, content=body, headers=headers | more) for more in ({}, BY_THE_ROUTES))
    assert one.status_code == other.status_code
    assert [name for name, _ in one.headers.items()] == [name for name, _ in other.headers.items()]
    assert without_times(one.json()) == without_times(other.json())
    for answer in (one, other):
        assert answer.headers["x-request-id"] == "the-same"


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "timings_ms": sorted(answer.get("timings_ms", {}))}


def test_both_ways_are_counted_and_logged_alike(server: Server) -> None:
    url, lines = f"{server.url}/v1/sentiment", []
    for way, more in (("plain", {}), ("routes", BY_THE_ROUTES)):
        before = server.metric("sluice_requests_total", route="/v1/sentiment", code="200")
        seen = server.metric("sluice_request_duration_seconds_count", route="/v1/sentiment")
        httpx.post(url, json={"inputs": GOOD}, headers={"x-request-id": f"logged-{way}"} | more)
        assert server.metric("sluice_requests_total", route="/v1/sentiment", code="200") == before + 1
        assert server.metric("sluice_request_duration_seconds_count", route="/v1/sentiment") == seen + 1
        lines.append(logged(server, f"logged-{way}"))
    assert server.metric("sluice_requests_in_flight") == 1  # the one that asks
    varying = {"request_id", "timings_ms", "total_ms", "timestamp"}
    one, other = ({name: value for name, value in line.items() if name not in varying} for line in lines)
    assert one == other
    assert one["tokens"] > 3


def logged(server: Server, request_id: str) -> dict[str, Any]:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for line in list(server.lines):
            if request_id in line:
                return dict(json.loads(line))
        time.sleep(0.02)
    raise AssertionError(f"{request_id} is not in the log")


def test_requests_sent_at_once_are_answered_in_their_order_whichever_way_each_goes(server: Server) -> None:
    with connected(server) as connection:
        ways = [(), ("x-of-no-meaning: 1",), (), (), ("x-of-no-meaning: 1",), ()]
        connection.sendall(b"".join(request(body_of(at + 1), *more) for at, more in enumerate(ways)))
        assert tokens(read_answers(connection, 6)) == [1, 2, 3, 4, 5, 6]


def test_a_body_that_comes_in_pieces_is_answered(server: Server) -> None:
    sent = request(body_of(3))
    for cut in (5, len(sent) - 20, len(sent) - 1):
        with connected(server) as connection:
            connection.sendall(sent[:cut])
            time.sleep(0.05)
            connection.sendall(sent[cut:] + request(body_of(2)))
            assert tokens(read_answers(connection, 2)) == [3, 2]


def test_a_chunked_body_is_answered(server: Server) -> None:
    body = body_of(3)
    with connected(server) as connection:
        chunks = b"5\r\n" + body[:5] + b"\r\n%x\r\n" % (len(body) - 5) + body[5:] + b"\r\n0\r\n\r\n"
        connection.sendall(request(b"", "transfer-encoding: chunked", length=False) + chunks + request(body_of(4)))
        assert tokens(read_answers(connection, 2)) == [3, 4]


def test_a_client_that_waits_to_be_told_to_go_on_is_told(server: Server) -> None:
    body = body_of(3)
    with connected(server) as connection:
        connection.sendall(request(body, "expect: 100-continue")[: -len(body)])
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(body)
        assert tokens(read_answers(connection, 1)) == [3]


@pytest.mark.parametrize(
    ("version", "more"), [("1.1", ("connection: close",)), ("1.0", ())], ids=["asked to close", "HTTP/1.0"]
)
def test_a_connection_that_is_not_to_be_kept_is_closed_after_its_answer(
    server: Server, version: str, more: tuple[str, ...]
) -> None:
    with connected(server) as connection:
        connection.sendall(request(body_of(3), *more, version=version))
        ((head, _),) = read_answers(connection, 1)
        assert b"connection: close" in head
        assert connection.recv(1) == b""


def test_nonsense_after_a_plain_request_ends_the_connection(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(request(body_of(3)) + b"\x00nonsense\r\n\r\n")
        came = b""
        while piece := connection.recv(65536):
            came += piece
    assert came.startswith(b"HTTP/1.1 200 ")
    assert came.count(b"HTTP/1.1 ") == 1
    assert httpx.get(f"{server.url}/health/live").status_code == httpx.codes.OK


def test_of_a_header_given_twice_the_routes_decide(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(request(body_of(1), "content-type: text/plain"))
        ((head, _),) = read_answers(connection, 1)
    assert head.startswith(b"HTTP/1.1 200")  # the first one counts there


def test_a_client_that_goes_away_takes_its_waiting_rows_along(tmp_path: Path) -> None:
    with serving(copy_slow(tmp_path), threads=1, max_batch_rows=1) as server:
        busy = [start_waiting(server) for _ in range(8)]
        wait_until(lambda: server.metric("sluice_queue_rows") >= 5, "no rows wait")
        for connection in busy:
            connection.close()
        wait_until(lambda: server.metric("sluice_dropped_total", reason="cancelled") >= 5, "no rows were taken back")
        wait_until(
            lambda: server.metric("sluice_requests_total", route="/v1/sentiment", code="499") >= 5, "none was counted"
        )
        wait_until(lambda: not server.metric("sluice_queue_rows"), "rows of nobody wait")


def start_waiting(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    body = json.dumps({"inputs": ["good film " * 60] * 4}).encode()
    connection.sendall(request(body))
    return connection


def test_a_keys_limits_hold_both_ways(tmp_path: Path) -> None:
    secret, file = mint(), tmp_path / "keys.toml"
    file.write_text(line_of("caller", secret, {"scopes": ["predict"], "items_per_minute": 4}), "utf-8")
    key = {"x-api-key": secret}
    with serving(api_keys_file=file) as server:
        url = f"{server.url}/v1/sentiment"
        assert httpx.post(url, json={"inputs": GOOD}).status_code == httpx.codes.UNAUTHORIZED
        left = []
        for more in ({}, BY_THE_ROUTES, {}):
            answer = httpx.post(url, json={"inputs": GOOD}, headers=key | more)
            assert answer.status_code == httpx.codes.OK
            left.append(answer.headers["ratelimit"].split(";")[1])
        assert left == ["r=3", "r=2", "r=1"]
        refused = [httpx.post(url, json={"inputs": [GOOD] * 3}, headers=key | more) for more in ({}, BY_THE_ROUTES)]
        assert [answer.status_code for answer in refused] == [429, 429]
        assert [answer.json()["code"] for answer in refused] == ["rate_limited", "rate_limited"]
        assert refused[0].headers.keys() == refused[1].headers.keys()
