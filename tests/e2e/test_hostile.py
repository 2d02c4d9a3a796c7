"""Hostile clients over real sockets: each is refused by name, and the service goes on."""

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.server import Server, serving
from tests.wire import Raw, Wire, ask, request

GOOD = json.dumps({"inputs": "good film"}).encode()
LIMITS = {
    "max_body_bytes": 4096,
    "max_header_bytes": 2048,
    "max_headers": 20,
    "head_timeout_ms": 1000,
    "body_timeout_ms": 1500,
    "body_gap_ms": 700,
    "max_item_chars": 1000,
    "max_connections": 32,
}
INSIDE = (
    "Traceback",
    "/app/",
    "app.",
    ".py",
    "Error(",
    "site-packages",
    "starlette",
    "uvicorn",
    "pydantic",
    "httptools",
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(**LIMITS) as running:
        yield running
        assert not [line for line in running.lines if "Traceback" in line or '"internal_error"' in line]


@pytest.fixture(autouse=True)
def _the_service_goes_on(server: Server) -> Iterator[None]:
    yield
    assert ask(server.url, request(GOOD)).status == 200


def refused(answer: Raw, status: int, code: str) -> str:
    """Check an error's form, and that it tells nothing of the inside; return its text."""
    said = answer.json()
    assert (answer.status, said["code"]) == (status, code), said
    assert set(said) <= {"error", "code", "request_id", "errors"}
    assert answer.headers["x-request-id"] == said["request_id"]
    assert not [word for word in INSIDE if word in said["error"]], said
    assert "server" not in answer.headers
    return str(said["error"])


# --- bodies


def test_a_gzip_body_is_read(server: Server) -> None:
    for packed in (gzip.compress(GOOD), gzip.compress(GOOD, 0)):
        answer = ask(server.url, request(packed, b"Content-Encoding: gzip"))
        assert (answer.status, answer.json()["results"][0]["label"]) == (200, "positive")


def test_a_gzip_body_may_come_in_any_pieces(server: Server) -> None:
    packed = gzip.compress(GOOD)
    with Wire(server.url) as wire:
        head, body = request(packed, b"Content-Encoding: gzip")[: -len(packed)], packed
        wire.send(head, *(body[at : at + 1] for at in range(len(body))), pause_s=0.002)
        answer = wire.read()
    assert answer is not None
    assert answer.status == 200


def test_a_gzip_bomb_is_cut_at_the_limit(server: Server) -> None:
    bomb = gzip.compress(b'{"inputs": "' + b" " * 3_000_000 + b'"}', 9)
    assert len(bomb) < LIMITS["max_body_bytes"]
    before = server.metric("process_resident_memory_bytes")
    for _ in range(20):
        assert "unpacked" in refused(ask(server.url, request(bomb, b"Content-Encoding: gzip")), 413, "body_too_large")
    assert server.metric("process_resident_memory_bytes") - before < 20e6


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"not gzip at all", "is not gzip"),
        (zlib.compress(GOOD), "is not gzip"),
        (gzip.compress(GOOD)[:-4], "ends inside"),
        (gzip.compress(GOOD) * 2, "goes on after"),
        (gzip.compress(GOOD) + b"\0", "goes on after"),
        (gzip.compress(GOOD)[:-8] + b"\0" * 8, "is not gzip"),
    ],
    ids=["plain", "deflate", "cut", "twice", "trailing", "checksum"],
)
def test_what_is_no_gzip_is_400(server: Server, body: bytes, text: str) -> None:
    assert text in refused(ask(server.url, request(body, b"Content-Encoding: gzip")), 400, "malformed_encoding")


@pytest.mark.parametrize("encoding", [b"br", b"deflate", b"gzip, gzip", b"zstd", b"x"])
def test_another_encoding_is_415(server: Server, encoding: bytes) -> None:
    refused(ask(server.url, request(GOOD, b"Content-Encoding: " + encoding)), 415, "unsupported_media_type")


def test_a_body_above_the_limit_is_413_declared_or_not(server: Server) -> None:
    big = json.dumps({"inputs": "x" * 10_000}).encode()
    refused(ask(server.url, request(big)), 413, "body_too_large")
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(big), big)
    refused(ask(server.url, request(chunked, b"Transfer-Encoding: chunked")), 413, "body_too_large")


@pytest.mark.parametrize("depth", [130, 500, 1900])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_json_is_refused(server: Server, depth: int, opening: bytes, closing: bytes) -> None:
    if len(opening) * depth * 2 > LIMITS["max_body_bytes"]:
        depth = LIMITS["max_body_bytes"] // len(opening) // 2
    for body in (opening * depth + b"1" + closing * depth, opening * depth):
        answer = ask(server.url, request(body))
        assert answer.status in {400, 422}
        refused(answer, answer.status, answer.json()["code"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"\xff\xfe", 400, "malformed_json"),
        (b'{"inputs": "\xff"}', 400, "malformed_json"),
        (b'{"inputs": "\\ud800"}', 400, "malformed_json"),
        (b'{"inputs": NaN}', 422, "invalid_request"),
        (b'{"inputs": "a", "inputs": 3}', 422, "invalid_request"),
        (b'{"inputs": "a", "__class__": "x"}', 422, "invalid_request"),
        (b'{"inputs": "a", "model": "../../etc/passwd"}', 422, "invalid_request"),
        (b'{"inputs": "a", "model": "a/../tiny"}', 422, "invalid_request"),
        (b'{"inputs": "a", "model": "tiny\\u0000"}', 422, "invalid_request"),
        (b'{"inputs": "a", "model": "nobody"}', 404, "model_not_found"),
        (b'{"inputs": "a", "model": "tiny", "version": 99999999999999999999}', 404, "model_not_found"),
        (b'{"inputs": "a", "language": "en\\n"}', 422, "invalid_request"),
        (b'{"inputs": [' + b'"a",' * 500 + b'"a"]}', 413, "too_many_items"),
        (b'{"inputs": "' + b"a" * 2000 + b'"}', 422, "text_too_long"),
        (b'{"inputs": [[["a"]]]}', 422, "invalid_request"),
        (b"1" * 4000, 422, "invalid_request"),
        (b'{"inputs": 1e' + b"9" * 400 + b"}", 422, "invalid_request"),
    ],
)
def test_a_body_that_is_no_request_is_refused_by_name(server: Server, body: bytes, status: int, code: str) -> None:
    refused(ask(server.url, request(body, b"Content-Length: %d" % len(body))), status, code)


# --- slowness


def test_a_body_that_pauses_or_drips_is_408(server: Server) -> None:
    head = request(GOOD)[: -len(GOOD)]
    for pieces, pause_s in (([GOOD[:5]], 0.0), ([GOOD[at : at + 1] for at in range(len(GOOD))], 0.2)):
        with Wire(server.url) as wire:
            wire.send(head)
            started = time.monotonic()
            wire.send(*pieces, pause_s=pause_s)
            answer = wire.read()
            assert answer is not None
            refused(answer, 408, "body_too_slow")
            assert time.monotonic() - started < 10
            assert wire.is_closed()


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault_of_ours(server: Server) -> None:
    def left() -> float:
        return server.metric("sluice_requests_total", route="/v1/sentiment") - server.metric(
            "sluice_requests_total", route="/v1/sentiment", code="200"
        )

    before = left()
    for packed in (b"", b"Content-Encoding: gzip"):
        with Wire(server.url) as wire:
            wire.send(request(GOOD, *filter(None, [packed]))[:-5])
    until = time.monotonic() + 10
    while left() < before + 2:
        assert time.monotonic() < until


def test_a_head_that_drips_is_408_and_a_silent_connection_is_closed(server: Server) -> None:
    with Wire(server.url) as slow, Wire(server.url) as silent, Wire(server.url) as blank:
        slow.send(b"POST /v1/sentiment HTTP/1.1\r\nHost: x\r\n")
        blank.send(b"\r\n")
        answer = slow.read()
        assert answer is not None
        refused(answer, 408, "head_too_slow")
        assert slow.is_closed()
        assert silent.is_closed()
        assert blank.is_closed()


def test_an_empty_line_after_a_request_does_not_hold_the_connection_for_ever(server: Server) -> None:
    with Wire(server.url) as wire:
        wire.send(request(GOOD))
        assert wire.read() is not None
        wire.send(b"\r\n")
        assert wire.is_closed()


# --- heads


@pytest.mark.parametrize(
    "headers",
    [
        [b"X-Long: " + b"a" * 3000],
        [b"X-Long: " + b"a" * 100_000],
        [b"X-%d: a" % at for at in range(40)],
        [b"Cookie: " + b"a" * 1000] * 3,
    ],
    ids=["long", "very long", "many", "together"],
)
def test_large_heads_are_431(server: Server, headers: list[bytes]) -> None:
    refused(ask(server.url, request(GOOD, *headers)), 431, "headers_too_large")


def test_a_long_line_is_431(server: Server) -> None:
    refused(ask(server.url, request(line=b"GET /v1/models?" + b"a" * 3000 + b" HTTP/1.1")), 431, "headers_too_large")


def test_an_endless_head_is_cut(server: Server) -> None:
    with Wire(server.url) as wire:
        wire.send(b"GET / HTTP/1.1\r\n", *[b"X-A: " + b"a" * 500 for _ in range(10)], pause_s=0.01)
        answer = wire.read()
        assert answer is not None
        refused(answer, 431, "headers_too_large")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\0T / HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT localhost:22 HTTP/1.1\r\nHost: x\r\n\r\n",
        request(GOOD, b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        request(GOOD, b"Content-Length: 5", b"Content-Length: 6"),
        request(GOOD, b"Content-Length: -1"),
        request(GOOD, b"Content-Length: 0x10"),
        request(GOOD, b"Content-Length: 99999999999999999999999"),
        request(GOOD, b"Transfer-Encoding: chunked"),
        request(GOOD, b"Bad Header: x"),
        request(GOOD, b"X: a\0b"),
        request(GOOD, b" X-Folded: a"),
    ],
    ids=lambda sent: repr(sent[:40]),
)
def test_what_is_no_http_is_400_and_ends_the_connection(server: Server, sent: bytes) -> None:
    with Wire(server.url) as wire:
        wire.send(sent)
        answer = wire.read()
        assert answer is not None
        refused(answer, 400, "malformed_http")
        assert wire.is_closed()


def test_garbage_behind_a_good_request_does_not_take_its_answer(server: Server) -> None:
    with Wire(server.url) as wire:
        wire.send(request(GOOD) + b"\0\1\2garbage\r\n\r\n")
        answer = wire.read()
        assert answer is not None
        assert answer.status == 200
        assert wire.is_closed()


def test_pipelined_requests_are_answered_in_their_order(server: Server) -> None:
    asked = [b'{"inputs": "%s film"}' % word for word in (b"good", b"bad", b"good", b"good", b"bad")]
    with Wire(server.url) as wire:
        wire.send(b"".join(request(body) for body in asked))
        answers = [wire.read() for _ in asked]
    labels = [answer.json()["results"][0]["label"] for answer in answers if answer is not None]
    assert labels == ["positive", "negative", "positive", "positive", "negative"]


# --- paths, methods, hosts


@pytest.mark.parametrize(
    "path",
    [
        *(b"/v1/models/..%2f..%2fetc%2fpasswd", b"/v1/models/%2e%2e/%2e%2e/etc/passwd", b"/../../etc/passwd"),
        *(b"/v1/models/tiny%00", b"/v1/models/tiny%2f1", b"/v1//models", b"//v1/models", b"/v1/models/", b"/./metrics"),
        *(b"/V1/models", b"/v1/models/tiny;a=b", b"/v1/models/%ff", b"/%76%31/models%0a", b"/v1/models/tiny%20"),
        *(b"/admin", b"/admin/models", b"/.env", b"/v1/models/" + b"a" * 1000, b"/v1\\models"),
    ],
)
def test_a_path_that_is_no_route_is_404(server: Server, path: bytes) -> None:
    answer = ask(server.url, request(line=b"GET " + path + b" HTTP/1.1"))
    refused(answer, 404, "route_not_found")
    assert "location" not in answer.headers


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"PATCH", b"TRACE", b"OPTIONS", b"HEAD", b"PROPFIND", b"GET"])
def test_another_method_is_405_with_those_that_there_are(server: Server, method: bytes) -> None:
    answer = ask(server.url, request(line=method + b" /v1/sentiment HTTP/1.1"))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("host", [b"", b"evil.example", b"a b", b"x:99999", b"[::1", b"\xff", b"x" * 500])
def test_the_host_means_nothing(server: Server, host: bytes) -> None:
    answer = ask(server.url, request(GOOD, b"Host: " + host))
    assert answer.status in {200, 400}
    assert b"evil" not in answer.body
    answer = ask(server.url, request(b"", b"Host: evil.example", line=b"GET /v1/models/ HTTP/1.1"))
    assert (answer.status, "location" in answer.headers) == (404, False)


def test_headers_that_proxies_set_are_not_believed(server: Server) -> None:
    sent = [
        b"X-Forwarded-For: 1.2.3.4",
        b"X-Original-URL: /metrics",
        b"X-HTTP-Method-Override: GET",
        b"X-Rewrite-URL: /",
    ]
    answer = ask(server.url, request(GOOD, *sent))
    assert answer.json()["results"][0]["label"] == "positive"


def test_an_upgrade_is_not_made(server: Server) -> None:
    upgrade = [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: AAAA"]
    answer = ask(server.url, request(b"", *upgrade, line=b"GET /health/live HTTP/1.1"))
    assert answer.status == 200


def test_a_text_that_spells_special_tokens_is_a_text(server: Server) -> None:
    for text in ("[PAD]", "[UNK]"):  # the tokenizer's own, and each one token there
        (plain, spelled) = (
            ask(server.url, request(json.dumps({"inputs": asked}).encode())).json()["results"][0]
            for asked in ("good film", f"{text} good film")
        )
        assert spelled["tokens"] >= plain["tokens"] + 3, "brackets and letters"


# --- connections


def test_idle_connections_make_room_for_new_ones(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(LIMITS["max_connections"] * 3):
            stack.enter_context(Wire(server.url))
        assert ask(server.url, request(GOOD)).status == 200
        assert httpx.get(f"{server.url}/health/ready").status_code == 200


def test_a_new_connection_is_503_where_all_are_busy() -> None:
    with serving(max_connections=4, body_gap_ms=60_000, body_timeout_ms=60_000) as server, ExitStack() as stack:
        busy = [stack.enter_context(Wire(server.url)) for _ in range(4)]
        for wire in busy:
            wire.send(request(GOOD)[:-5])
        until = time.monotonic() + 20
        while True:
            with Wire(server.url) as wire:
                wire.send(request(b"", line=b"GET /health/live HTTP/1.1"))
                answer = wire.read()
            if answer is not None and answer.status == 503:
                break
            assert time.monotonic() < until
            time.sleep(0.05)
        assert answer.headers["retry-after"] == "1"
        refused(answer, 503, "too_many_connections")
        for wire in busy:
            wire.send(GOOD[-5:])
            finished = wire.read()
            assert finished is not None
            assert finished.status == 200
        assert server.metric("sluice_rejected_total", reason="too_many_connections") >= 1


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"nonsense\r\n\r\n", "malformed_http"),
        (request(b"", b"A: " + b"a" * 5000), "headers_too_large"),
        (request(b"x", b"Content-Encoding: gzip"), "malformed_encoding"),
    ],
    ids=["malformed_http", "headers_too_large", "malformed_encoding"],
)
def test_refusals_are_counted(server: Server, sent: bytes, reason: str) -> None:
    before = server.metric("sluice_rejected_total", reason=reason)
    ask(server.url, sent)
    assert server.metric("sluice_rejected_total", reason=reason) == before + 1
