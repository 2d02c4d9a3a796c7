"""A connection of the server: a head that came before is not parsed again, and nothing else is different."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState

from app.api import gate, wire
from app.api.gate import Gate, GateBounds
from app.keys.key import line_of, mint
from app.main import create_app
from app.settings import Settings
from tests.packages import PACKAGES

JSON = "Content-Type: application/json"
KEPT_S = 75


def request(words: int, *more: str, length: str | None = None) -> bytes:
    body = orjson.dumps({"inputs": " ".join(["good"] * words)})
    lines = ["POST /v1/sentiment HTTP/1.1", "Host: sluice", *more, f"Content-Length: {length or len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class Caller:
    """One connection to a server in this process, and the server's side of it."""

    app: FastAPI
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    side: Gate

    @property
    def parsed(self) -> int:
        """How many requests the parser has seen."""
        return int(cast("Any", self.side).parsed)

    async def ask(self, sent: bytes) -> tuple[bytes, Any]:
        """Send a request and return its answer."""
        self.writer.write(sent)
        return await self.answer()

    async def answer(self) -> tuple[bytes, Any]:
        """Return the next answer's head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        return head, orjson.loads(await self.reader.readexactly(int(length[1])))

    async def words(self, sent: bytes = b"") -> int:
        """Send a request and return how many words were counted."""
        head, answer = await self.ask(sent)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n"), (head, answer)
        return int(answer["results"][0]["tokens"])

    async def is_closed(self) -> bool:
        """Read to the end."""
        return await self.reader.read() == b""


@asynccontextmanager
async def calling(bounds: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Caller]:
    """Yield a connection whose first request, of 5 words and with JSON alone, was answered."""
    async with connected(bounds, **settings) as caller:
        assert await caller.words(request(5, JSON)) == 5
        assert caller.parsed == 1
        yield caller


@asynccontextmanager
async def connected(bounds: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Caller]:
    app = create_app(Settings(models_dir=PACKAGES, threads=1, **settings))
    allowed = {"max_connections": 8, "max_header_bytes": 16384, "max_headers": 100, "head_timeout_s": 10.0}
    gated = gate.protocol(
        wire.protocol(app.state.express), GateBounds(**{**allowed, **(bounds or {})}), app.state.ledger
    )

    class Watched(gated):  # type: ignore[misc, valid-type]
        parsed = 0

        def on_message_begin(self) -> None:
            self.parsed += 1
            super().on_message_begin()

    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_keep_alive=KEPT_S)
    config.load()
    state = ServerState()
    async with app.router.lifespan_context(app):
        while app.state.service.phase != "ready":  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Watched(config, state, {}), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            while not state.connections:  # noqa: ASYNC110 - nor does Uvicorn
                await asyncio.sleep(0)
            (side,) = state.connections
            yield Caller(app, reader, writer, cast("Gate", side))
            writer.close()
        for task in list(state.tasks):
            await task


async def test_a_head_that_came_before_is_not_parsed_again_whatever_the_length_of_its_body() -> None:
    async with calling() as caller:
        for words in (5, 2, 9, 1):
            assert await caller.words(request(words, JSON)) == words
        assert caller.parsed == 1
        assert await caller.words(request(40, JSON)) == 40  # a figure of more digits: a longer head
        assert await caller.words(request(3, JSON)) == 3
        assert caller.parsed == 2


async def test_the_answers_are_the_same_parsed_or_not() -> None:
    sent = request(4, JSON, "X-Request-Id: the-same")
    async with connected() as caller:
        heads, answers = zip(*[await caller.ask(sent) for _ in range(3)], strict=True)
        assert caller.parsed == 1
        routes, by_the_routes = await caller.ask(request(4, JSON, "X-Request-Id: the-same", "X-Of-No-Meaning: 1"))
        assert len({without_length(head) for head in (*heads, routes)}) == 1
        for answer in (*answers, by_the_routes):
            answer["timings_ms"] = sorted(answer["timings_ms"])
        assert answers[0] == answers[1] == answers[2] == by_the_routes


def without_length(head: bytes) -> bytes:
    """Leave out what the digits of the times in the body decide."""
    return re.sub(rb"content-length: \d+", b"", head)


async def test_each_has_an_id_of_its_own_and_is_counted() -> None:
    async with calling() as caller:
        heads = [(await caller.ask(request(5, JSON)))[0] for _ in range(3)]
        ids = {re.search(rb"x-request-id: ([0-9a-f]{32})\r\n", head) for head in heads}
        assert len({found[1] for found in ids if found is not None}) == 3
        assert caller.side.server_state.total_requests == 4
        assert caller.parsed == 1


async def test_a_head_with_another_header_is_parsed_and_known_from_then_on() -> None:
    async with calling() as caller:
        for parsed, more in ((2, "User-Agent: a"), (2, "User-Agent: a"), (3, "User-Agent: b"), (4, "X-Unknown: 1")):
            assert await caller.words(request(2, JSON, more)) == 2
            assert caller.parsed == parsed
        assert await caller.words(request(3, JSON, "X-Unknown: 1")) == 3
        assert caller.parsed == 5, "what goes by the routes is parsed each time"


async def test_of_a_client_with_ever_new_heads_few_are_learned() -> None:
    async with calling() as caller:
        for number in range(10):
            assert await caller.words(request(2, JSON, f"X-Request-Id: {number}")) == 2
        for parsed in range(12, 65):
            assert await caller.words(request(2, JSON)) == 2
            assert caller.parsed == parsed
        for _ in range(3):
            assert await caller.words(request(2, JSON)) == 2
            assert caller.parsed == 64


async def test_requests_sent_at_once_are_answered_in_their_order() -> None:
    async with calling() as caller:
        assert await caller.words(request(1, JSON) + request(2, JSON)) == 1
        assert await caller.words() == 2
        caller.side.data_received(request(3, JSON))  # not parsed, and under way
        caller.side.data_received(request(4, JSON))
        assert [await caller.words() for _ in range(2)] == [3, 4]
        assert await caller.words(request(5, JSON)) == 5


async def test_a_request_in_two_pieces_is_parsed_wherever_it_is_cut() -> None:
    sent = request(3, JSON)
    async with calling() as caller:
        for cut in range(1, len(sent)):
            assert await caller.words(request(2, JSON)) == 2
            before = caller.parsed
            caller.side.data_received(sent[:cut])
            caller.side.data_received(sent[cut:])
            assert await caller.words() == 3
            assert caller.parsed == before + 1
        assert await caller.words(b"\r\n" + sent) == 3, "an empty line before a request is none"
        assert await caller.words(sent) == 3


async def test_pieces_that_look_like_a_request_are_not_taken_for_one() -> None:
    whole = request(3, JSON)
    body = orjson.dumps({"inputs": "good", "more": whole.decode()})
    head = b"POST /v1/sentiment HTTP/1.1\r\nHost: sluice\r\n%b\r\nContent-Length: %d\r\n\r\n" % (
        JSON.encode(),
        len(body),
    )
    async with calling() as caller:
        at = len(body) - 20
        caller.side.data_received(head + body[:at])
        caller.side.data_received(body[at:])
        refused, answer = await caller.answer()
        assert (refused[:13], answer["code"]) == (b"HTTP/1.1 422 ", "invalid_request")
    async with calling() as caller:
        caller.side.data_received(b"POST /v1/sentiment HTTP/1.1\r\nReferer: ")
        caller.side.data_received(whole)  # the line of a request, as a header's value
        assert await caller.words() == 3
        assert await caller.words(whole) == 3
        assert caller.parsed == 3, "what was learned is not the head that came, but a part of it"


@pytest.mark.parametrize(
    ("more", "length", "status"),
    [
        (("Transfer-Encoding: chunked",), None, 400),
        (("Content-Length: 3",), None, 400),
        ((), "+25", 400),
        ((), "25, 25", 400),
        ((), "0x19", 400),
    ],
    ids=["chunked as well", "two lengths", "a sign", "a list of lengths", "hexadecimal"],
)
async def test_a_body_of_doubtful_length_is_refused_after_a_known_head(
    more: tuple[str, ...], length: str | None, status: int
) -> None:
    async with calling() as caller:
        assert await caller.words(request(5, JSON)) == 5
        head, answer = await caller.ask(request(4, JSON, *more, length=length))
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert answer["code"] == "malformed_http"
        assert await caller.is_closed()


async def test_what_follows_a_body_is_the_next_request() -> None:
    body = orjson.dumps({"inputs": "good"})
    async with calling() as caller:
        inner = request(2, JSON)
        head = request(1, JSON)[: -len(body)]
        assert await caller.words(head + body + inner) == 1
        assert await caller.words() == 2
        assert await caller.words(request(5, JSON)) == 5


async def test_an_expectation_and_a_wish_to_close_are_parsed() -> None:
    async with calling() as caller:
        caller.writer.write(request(3, JSON, "Expect: 100-continue"))
        assert await caller.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert await caller.words() == 3
        head, _ = await caller.ask(request(3, JSON, "Connection: close"))
        assert head.endswith(b"connection: close\r\n\r\n")
        assert await caller.is_closed()


async def test_a_known_head_with_a_body_that_is_wrong_is_said_as_the_routes_say_it() -> None:
    wrong = b'{"inputs": 1}'
    sent = (
        request(5, JSON, length=str(len(wrong)))[: -len(orjson.dumps({"inputs": "good good good good good"}))] + wrong
    )
    async with calling() as caller:
        head, answer = await caller.ask(sent)
        assert head.startswith(b"HTTP/1.1 422 ")
        assert answer["code"] == "invalid_request"
        assert await caller.words(request(5, JSON)) == 5


async def test_a_head_that_is_not_kept_goes_by_the_bounds_each_time() -> None:
    async with calling({"max_header_bytes": 200, "max_headers": 4}) as caller:
        assert await caller.words(request(5, JSON)) == 5
        head, answer = await caller.ask(request(5, JSON, "Accept: " + "a" * 200))
        assert (head[:13], answer["code"]) == (b"HTTP/1.1 431 ", "headers_too_large")
        assert await caller.is_closed()


async def test_a_keys_limit_and_its_end_hold_for_each_request(tmp_path: Path) -> None:
    secret, file = mint(), tmp_path / "keys.toml"
    file.write_text(line_of("caller", secret, {"scopes": ["predict"], "items_per_minute": 3}), "utf-8")
    sent = request(2, JSON, f"X-Api-Key: {secret}")
    async with connected(api_keys_file=file) as caller:
        heads = [(await caller.ask(sent))[0] for _ in range(4)]
        assert caller.parsed == 1
        assert [head.split(b" ")[1] for head in heads] == [b"200", b"200", b"200", b"429"]
        left = [re.search(rb";r=(\d+)", head) for head in heads]
        assert [found and int(found[1]) for found in left] == [2, 1, 0, 0]
        file.write_text(line_of("caller", mint(), {"scopes": ["predict"]}), "utf-8")
        caller.app.state.access.hurry()
        until = asyncio.get_running_loop().time() + 10
        while (await caller.ask(sent))[0].split(b" ")[1] != b"401":
            assert asyncio.get_running_loop().time() < until, "the key is gone, and still opens"
            await asyncio.sleep(0.05)


async def test_nothing_is_started_on_for_a_client_that_does_not_read() -> None:
    async with calling() as caller:
        caller.side.pause_writing()
        caller.side.data_received(request(5, JSON))
        assert caller.parsed == 2
        caller.side.resume_writing()
        assert await caller.words() == 5


async def test_a_connection_is_closed_when_it_was_idle_for_long_enough_and_not_when_its_timer_was_set() -> None:
    async with calling() as caller:
        side, loop = caller.side, asyncio.get_running_loop()
        timer = side.timeout_keep_alive_task
        assert timer is not None
        assert await caller.words(request(2, JSON)) == 2
        assert side.timeout_keep_alive_task is timer, "it is not set anew at each request"
        timer.cancel()
        side.data_received(request(3, JSON))
        side.timeout_keep_alive_handler()  # while a request is under way
        assert await caller.words() == 3
        assert side.timeout_keep_alive_task is not None
        side.timeout_keep_alive_handler()  # too early
        again = side.timeout_keep_alive_task
        assert again is not None
        assert again.when() == pytest.approx(side.idle_since + KEPT_S)
        assert await caller.words(request(4, JSON)) == 4
        side.idle_since = loop.time() - KEPT_S
        side.timeout_keep_alive_handler()
        assert await caller.is_closed()


async def test_a_drain_closes_an_idle_connection_and_lets_a_busy_one_answer() -> None:
    async with calling() as caller:
        caller.side.data_received(request(3, JSON))
        caller.side.shutdown()
        head, answer = await caller.answer()
        assert answer["results"][0]["tokens"] == 3
        assert head.endswith(b"connection: close\r\n\r\n")
        assert await caller.is_closed()
    async with calling() as caller:
        caller.side.shutdown()
        assert await caller.is_closed()


async def test_a_client_that_leaves_calls_its_request_off() -> None:
    async with calling() as caller:
        caller.side.data_received(request(3, JSON))
        caller.writer.close()
        closed = ("sluice_requests_total", {"route": "/v1/sentiment", "code": "499"})
        registry = caller.app.state.service.metrics.registry
        caller.side.connection_lost(None)
        await asyncio.sleep(0.05)
        assert registry.get_sample_value(*closed) == 1
        assert caller.side.timeout_keep_alive_task is None


async def test_each_answer_has_the_headers_that_uvicorn_gives_now() -> None:
    async with calling() as caller:
        for date in (b"one second", b"one second", b"another"):
            if date not in dict(caller.side.server_state.default_headers).values():
                caller.side.server_state.default_headers = [(b"date", date)]
            head, _ = await caller.ask(request(2, JSON))
            assert head.startswith(b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-length: " % date)
        assert caller.parsed == 1
