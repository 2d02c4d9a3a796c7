"""Which requests are plain, and that a plain one is answered in one piece."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from app.api.access import Access
from app.api.express import Express, Parcel
from app.api.ledger import Ledger
from app.main import Parts
from app.settings import Settings
from tests.packages import PACKAGES

PATH = "/v1/sentiment"
PLAIN = (b"content-type", b"application/json")
TEXT = b'{"inputs": "a good film"}'


class Written(Parcel):
    """Takes what is written."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[bytes, bytes], dict[str, Any]]] = []
        self._more = asyncio.Event()

    def write(self, status: int, lines: bytes, body: bytes) -> None:
        headers = dict(line.split(b": ", 1) for line in lines.split(b"\r\n")[:-1])
        self.answers.append((status, headers, orjson.loads(body)))
        self._more.set()

    async def another(self) -> None:
        """Return once something is written."""
        await self._more.wait()


@asynccontextmanager
async def opened(*, anonymous: bool = True, **settings: Any) -> AsyncIterator[tuple[Express, Parts]]:
    made = Settings(models_dir=PACKAGES, threads=1, **settings)
    parts = Parts(made)
    async with parts.running() as service:
        ledger = Ledger(parts.metrics, frozenset([PATH]))
        yield Express(service, Access(None, anonymous=anonymous), ledger, made.max_body_bytes), parts


def begun(express: Express, body: bytes, written: Written, *headers: tuple[bytes, bytes]) -> bool:
    """Offer a request; return whether it is plain."""
    head = express.vet(PATH.encode(), [(b"host", b"sluice"), *(headers or (PLAIN,))])
    return head is not None and express.begin(head, body, written)


def requests(parts: Parts, code: str) -> float:
    return parts.metrics.registry.get_sample_value("sluice_requests_total", {"route": PATH, "code": code}) or 0.0


async def test_a_plain_request_is_answered_once_and_counted_once() -> None:
    written = Written()
    async with opened() as (express, parts):
        assert begun(express, TEXT, written, PLAIN, (b"x-request-id", b"mine"))
        assert parts.metrics.registry.get_sample_value("sluice_requests_in_flight") == 1
        await written.another()
        assert requests(parts, "200") == 1
        assert parts.metrics.registry.get_sample_value("sluice_requests_in_flight") == 0
    ((status, headers, answer),) = written.answers
    assert (status, headers[b"x-request-id"], headers[b"content-type"]) == (200, b"mine", b"application/json")
    assert answer["results"][0]["tokens"] == 3


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([PLAIN, (b"x-whatever", b"1")], TEXT),
        ([(b"content-type", b"text/plain")], TEXT),
        ([(b"host", b"no content type")], TEXT),
        ([PLAIN, PLAIN], TEXT),
        ([PLAIN, (b"content-encoding", b"gzip")], TEXT),
        ([PLAIN], b'{"inputs": "a good film", "explain": true}'),
        ([PLAIN], b'{"inputs": "a good film", "sentences": true}'),
        ([PLAIN], b'{"inputs": ""}'),
        ([PLAIN], b'{"inputs": "a good film", "model": "nothing"}'),
        ([PLAIN], orjson.dumps({"inputs": "good " * 5000})),
        ([PLAIN], orjson.dumps({"inputs": ["good"] * 200})),
        ([PLAIN], b"{"),
    ],
    ids=[
        *("an unknown header", "not JSON", "no content type", "a header twice", "an encoding", "an explanation"),
        *("sentences", "an item's error", "no such package", "a long text", "too many texts", "half a body"),
    ],
)
async def test_what_is_not_plain_is_left_to_the_routes_untouched(
    headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    async with opened() as (express, parts):
        written = Written()
        assert not begun(express, body, written, *headers)
        assert not written.answers
        assert parts.metrics.registry.get_sample_value("sluice_requests_in_flight") == 0
        assert parts.metrics.registry.get_sample_value("sluice_queue_rows") == 0


async def test_no_key_too_long_a_body_and_a_service_that_drains_are_left_to_the_routes() -> None:
    async with opened(anonymous=False) as (express, _):
        assert not begun(express, TEXT, Written())
    async with opened(max_body_bytes=len(TEXT) - 1) as (express, parts):
        assert not begun(express, TEXT, Written())
        assert requests(parts, "200") == 0
    async with opened() as (express, parts):
        parts.service.drain()
        assert not begun(express, TEXT, Written())


async def test_a_full_queue_is_said_as_the_routes_say_it() -> None:
    async with opened(max_queue_tokens=4) as (express, parts):
        taken, refused = Written(), Written()
        texts = orjson.dumps({"inputs": ["a good film"] * 3})
        for written in (taken, refused):
            assert begun(express, texts, written)  # a job larger than the bound is taken while nothing waits
        ((status, headers, answer),) = refused.answers
        assert (status, headers[b"retry-after"], answer["code"]) == (429, b"1", "queue_full")
        assert parts.metrics.registry.get_sample_value("sluice_rejected_total", {"reason": "queue_full"}) == 1
        await taken.another()
        assert [status for status, *_ in taken.answers] == [200]


async def test_a_request_called_off_gives_its_rows_back_and_is_counted_as_closed_by_the_client() -> None:
    async with opened() as (express, parts):
        written = Written()
        assert begun(express, TEXT, written)
        written.call_off()
        await asyncio.sleep(0.05)
        assert not written.answers
        assert requests(parts, "499") == 1
        assert parts.metrics.registry.get_sample_value("sluice_requests_in_flight") == 0


async def test_a_path_of_no_prediction_is_not_plain() -> None:
    async with opened() as (express, _):
        for url in (b"/v1/sentiment/", b"/v1/sentiment?a", b"/v1/summarize", b"/v1/%73entiment", b"*", b""):
            assert express.vet(url, [PLAIN]) is None


async def test_of_the_same_head_each_request_has_its_own_id_and_its_own_time() -> None:
    async with opened() as (express, _):
        head = express.vet(PATH.encode(), [PLAIN, (b"x-request-timeout-ms", b"5000")])
        assert head is not None
        one, other = Written(), Written()
        for written in (one, other):
            assert express.begin(head, TEXT, written)
            await written.another()
        assert one.trace.request_id != other.trace.request_id
        assert one.trace.haste.until is not None
        assert other.trace.haste.until is not None
        assert one.trace.haste.until < other.trace.haste.until
