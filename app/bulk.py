"""Texts as they come, answers in their order: of a stream, however long, a bounded part is under way.

Rows are cut into parts, each answered as a request of the class ``batch`` is. Several parts are under way at once, so
that the batcher has rows enough to choose neighbours in length from; no more are read until the first is taken.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.errors import InferenceFailed, InferenceHung, ItemError, LineError
from app.exchange import Query, Result
from app.modelpack.manifest import Task
from app.scheduling.haste import Haste
from app.service import Service

Id = str | int | float | bool | None
RowError = ItemError | LineError | InferenceFailed | InferenceHung
"""Why a row has no answer; each carries a stable code."""

_PARTS = 4
MAX_CHARS = 1 << 18
"""Characters under way: some 60,000 English tokens, and not much more than the queue gives to such work."""


@dataclass(slots=True)  # frozen, each would take three times as long to make
class Row:
    """One row of a stream: its place, its text, what the caller calls it, and why it has no text, if it has none."""

    index: int
    text: str = ""
    id: Id = None
    error: LineError | None = None


@dataclass(slots=True)
class Answered:
    """A row with its answer or its error."""

    row: Row
    result: Result | None = None
    error: RowError | None = None


Part = list[Row]


class Bulk:
    """Answers streams through the service; ``max_rows`` of each are under way at once."""

    def __init__(self, service: Service, max_rows: int, max_chars: int = MAX_CHARS) -> None:
        self._service = service
        self._max_rows = max_rows
        self._max_chars = max_chars

    async def answers(
        self, task: Task, query: Query, source: AsyncIterable[Sequence[Row]]
    ) -> AsyncGenerator[list[Answered], None]:
        """Yield the answers to the rows of ``source`` in their order, some at a time; ``query`` has no texts yet.

        Raises what the source raises, once what came before is answered, and ``RequestError`` where no row of a part
        can be answered. The source is not asked for more than may be under way. Closing the generator stops the work.
        """
        query = replace(query, haste=Haste(priority="batch"), patient=True)
        order: asyncio.Queue[tuple[Part, asyncio.Task[list[Answered]]] | None] = asyncio.Queue()
        room = _Room(self._max_rows, self._max_chars)
        feeding = asyncio.create_task(self._feed(task, query, source, order, room))
        try:
            while (under_way := await order.get()) is not None:
                part, answering = under_way
                try:
                    answered = await answering
                finally:
                    answering.cancel()
                yield answered
                room.give(part)
            await feeding
        finally:
            await _stop(feeding, order)

    async def _feed(
        self,
        task: Task,
        query: Query,
        source: AsyncIterable[Sequence[Row]],
        order: asyncio.Queue[tuple[Part, asyncio.Task[list[Answered]]] | None],
        room: "_Room",
    ) -> None:
        try:
            async for rows in source:
                for part in parts(rows, *self._part_size(query)):
                    await room.take(part)
                    order.put_nowait((part, asyncio.create_task(self._part(task, query, part))))
        finally:
            order.put_nowait(None)

    def _part_size(self, query: Query) -> tuple[int, int]:
        """Return the most rows and characters of a part: a caller whose texts are limited gets them a few at a time."""
        rows, chars = max(1, self._max_rows // _PARTS), self._max_chars // _PARTS
        if query.allowance is None:
            return rows, chars
        return min(rows, query.allowance.most("items")), min(chars, query.allowance.most("tokens"))

    async def _part(self, task: Task, query: Query, part: Part) -> list[Answered]:
        asked = [row for row in part if row.error is None]
        found = iter(await self._asked(task, query, asked) if asked else ())
        return [next(found) if row.error is None else Answered(row, error=row.error) for row in part]

    async def _asked(self, task: Task, query: Query, rows: Part) -> list[Answered]:
        """Answer rows, in order: together or, where the model fails on one of them, each on its own."""
        try:
            reply = await self._service.answer_admitted(task, replace(query, texts=[row.text for row in rows]))
        except (InferenceFailed, InferenceHung) as broken:
            if len(rows) == 1:
                return [Answered(rows[0], error=broken)]
            return [one for row in rows for one in await self._asked(task, query, [row])]
        answered = [Answered(row) for row in rows]
        for result in reply.results:
            answered[result.index].result = result
        for failure in reply.failures:
            answered[failure.index].error = failure.error
        return answered


def parts(rows: Sequence[Row], max_rows: int, max_chars: int) -> Iterator[Part]:
    """Cut rows, in order, into parts of at most so many rows and characters; a longer text is a part of its own."""
    part: Part = []
    chars = 0
    for row in rows:
        if part and (len(part) == max_rows or chars + len(row.text) > max_chars):
            yield part
            part, chars = [], 0
        part.append(row)
        chars += len(row.text)
    if part:
        yield part


class _Room:
    """What may still come under way; one waits, another gives."""

    def __init__(self, max_rows: int, max_chars: int) -> None:
        self._max_rows, self._max_chars = max_rows, max_chars
        self._rows = self._chars = 0
        self._freed = asyncio.Event()

    async def take(self, part: Part) -> None:
        """Wait until the part fits, or nothing is under way."""
        rows, chars = len(part), sum(len(row.text) for row in part)
        while self._rows and (self._rows + rows > self._max_rows or self._chars + chars > self._max_chars):
            self._freed.clear()
            await self._freed.wait()
        self._rows += rows
        self._chars += chars

    def give(self, part: Part) -> None:
        """Give a part's room back."""
        self._rows -= len(part)
        self._chars -= sum(len(row.text) for row in part)
        self._freed.set()


async def _stop(
    feeding: "asyncio.Task[None]", order: asyncio.Queue[tuple[Part, asyncio.Task[list[Answered]]] | None]
) -> None:
    """Cancel what is under way and wait until it is gone."""
    feeding.cancel()
    await asyncio.wait({feeding})
    left = [under_way[1] for under_way in iter(lambda: order.get_nowait() if order.qsize() else None, None)]
    for answering in left:
        answering.cancel()
    if left:
        await asyncio.wait(left)
