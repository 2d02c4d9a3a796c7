"""A stream of any length has a bounded part under way, and its answers keep its order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest

from app.bulk import Answered, Bulk, Row, parts
from app.errors import EmptyText, InferenceFailed, MalformedLine, ModelNotFound
from app.exchange import Failure, Query, Reply, Result
from app.keys.allowance import Allowances
from app.keys.key import parse
from app.main import Parts
from app.modelpack.manifest import Task
from app.service import Service
from app.settings import Settings
from app.tasks.classify import Classified
from tests.packages import PACKAGES

QUERY = Query([])


class Fake:
    """A service that answers a text with itself, and keeps count of what is under way."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.asked: list[Query] = []
        self.now = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer_admitted(self, _: Task, query: Query) -> Reply:
        self.asked.append(query)
        self.now += len(query.texts)
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.001 * (len(self.asked) % 3))  # so that parts end in another order
            await self.gate.wait()
        finally:
            self.now -= len(query.texts)
        if set(self.broken) & set(query.texts):
            raise InferenceFailed("the model failed on this input")
        reply = Reply()
        for index, text in enumerate(query.texts):
            if text:
                answer = Classified(text, 1.0, {text: 1.0})
                reply.results.append(Result(index, text, "fake", 1, "en", 1, False, answer))
            else:
                reply.failures.append(Failure(index, EmptyText("empty")))
        return reply


def bulk(fake: Fake, max_rows: int = 8, max_chars: int = 1000) -> Bulk:
    return Bulk(cast("Service", fake), max_rows, max_chars)


async def stream(texts: list[str], of: int = 3) -> AsyncGenerator[list[Row], None]:
    for at in range(0, len(texts), of):
        yield [Row(at + index, text) for index, text in enumerate(texts[at : at + of])]


async def gathered(answers: AsyncIterator[list[Answered]]) -> list[Answered]:
    return [answered async for part in answers for answered in part]


def told(answered: list[Answered]) -> list[tuple[int, str]]:
    return [
        (one.row.index, one.result.answer.label if one.result else getattr(one.error, "code", "")) for one in answered
    ]


async def test_answers_keep_the_order_of_the_rows_and_no_more_than_the_bound_is_under_way() -> None:
    fake = Fake()
    texts = [f"t{at}" for at in range(200)]
    found = await gathered(bulk(fake).answers("topic", QUERY, stream(texts, of=50)))
    assert told(found) == list(enumerate(texts))
    assert 2 < fake.most <= 8


async def test_parts_are_patient_and_of_the_class_batch() -> None:
    fake = Fake()
    await gathered(bulk(fake).answers("topic", QUERY, stream(["a", "b"])))
    assert {(query.haste.priority, query.patient) for query in fake.asked} == {("batch", True)}


async def test_nothing_is_read_while_answers_are_not_taken() -> None:
    read = 0

    async def source() -> AsyncGenerator[list[Row], None]:
        nonlocal read
        for index in range(1000):
            read += 1
            yield [Row(index, "a")]

    async with aclosing(bulk(Fake()).answers("topic", QUERY, source())) as answers:
        await anext(answers)
        await asyncio.sleep(0.05)
        assert read <= 10


async def test_characters_are_bounded_too_and_a_longer_text_goes_alone() -> None:
    fake = Fake()
    texts = ["a" * 400, "b" * 400, "c" * 5000, "d"]
    found = await gathered(bulk(fake).answers("topic", QUERY, stream(texts, of=4)))
    assert [answered.row.index for answered in found] == [0, 1, 2, 3]
    assert fake.most == 2


async def test_rows_without_a_text_and_texts_without_an_answer_keep_their_place() -> None:
    async def source() -> AsyncGenerator[list[Row], None]:
        yield [Row(0, "a"), Row(1, error=MalformedLine("x")), Row(2, ""), Row(5, "b")]

    found = await gathered(bulk(Fake()).answers("topic", QUERY, source()))
    assert told(found) == [(0, "a"), (1, "malformed_line"), (2, "empty_text"), (5, "b")]


async def test_a_text_on_which_the_model_fails_costs_its_own_row_only() -> None:
    found = await gathered(bulk(Fake("bad")).answers("topic", QUERY, stream(["a", "bad", "b"])))
    assert told(found) == [(0, "a"), (1, "inference_failed"), (2, "b")]


async def test_what_the_source_raises_comes_after_the_answers_to_what_came_before() -> None:
    async def source() -> AsyncGenerator[list[Row], None]:
        yield [Row(0, "a")]
        raise ModelNotFound("gone")

    answers = bulk(Fake()).answers("topic", QUERY, source())
    assert told(await anext(answers)) == [(0, "a")]
    with pytest.raises(ModelNotFound):
        await anext(answers)


async def test_closing_stops_what_is_under_way() -> None:
    fake = Fake()
    answers = bulk(fake).answers("topic", QUERY, stream([f"t{at}" for at in range(100)]))
    fake.gate.clear()
    waiting = asyncio.ensure_future(anext(answers))
    while not fake.now:  # noqa: ASYNC110 - the fake counts, and tells nobody
        await asyncio.sleep(0.001)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert fake.now == 0


def test_parts_are_bounded_in_rows_and_in_characters() -> None:
    rows = [Row(at, "a" * size) for at, size in enumerate([3, 3, 9, 1, 1, 1, 1])]
    assert [[row.index for row in part] for part in parts(rows, 3, 6)] == [[0, 1], [2], [3, 4, 5], [6]]


@asynccontextmanager
async def service(**settings: int) -> AsyncIterator[Service]:
    async with Parts(Settings(models_dir=PACKAGES, threads=1, **settings)).running() as running:  # type: ignore[arg-type]
        yield running


async def test_a_stream_waits_where_the_queue_is_full() -> None:
    texts = ["a good film", "bad"] * 200
    async with service(max_queue_tokens=20) as running:
        found = await gathered(Bulk(running, 64).answers("sentiment", QUERY, stream(texts)))
    assert [label for _, label in told(found)] == ["positive", "negative"] * 200


async def test_a_key_whose_texts_are_used_up_is_waited_for() -> None:
    (key,) = parse(f'ci = {{sha256 = "{"ab" * 32}", scopes = ["predict"], items_per_minute = 3600}}', "x")
    allowance = Allowances().of(key)
    assert allowance is not None
    allowance.take("items", 3600)  # sixty come back a second
    async with service() as running:
        query = replace(QUERY, allowance=allowance)
        found = await gathered(Bulk(running, 64).answers("sentiment", query, stream(["a good film"] * 20)))
    assert len(found) == 20


async def test_parts_are_no_larger_than_a_key_may_ask_for_at_once() -> None:
    (key,) = parse(f'ci = {{sha256 = "{"ab" * 32}", scopes = ["predict"], items_per_minute = 2}}', "x")
    fake = Fake()
    query = replace(QUERY, allowance=Allowances().of(key))
    await gathered(bulk(fake, max_rows=40).answers("topic", query, stream(["a"] * 9, of=9)))
    assert {len(one.texts) for one in fake.asked} == {1, 2}
