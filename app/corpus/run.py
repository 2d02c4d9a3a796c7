"""One file from its rows to its answers: blocks in, parts out, and the whole in one step at the end."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson

from app.bulk import Answered, Bulk, Row
from app.corpus.block import Block, Record, Sink, Source
from app.corpus.journal import Done, Journal
from app.errors import InvalidLine, StartupError
from app.exchange import Query, Result
from app.modelpack.manifest import Classifying

ANSWER = ("label", "score", "scores", "language", "truncated", "model", "version")
"""The columns that a row gets."""
_DIGITS = 6

Progress = Callable[[int, int, int], None]
"""Is told how much of the source has been read, and how many rows are done and how many of them are bad."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked: a task's answer to each row of a source, in the columns of ``ANSWER`` after ``prefix``."""

    task: Classifying
    query: Query
    prefix: str = ""


def columns_of(source: Source, prefix: str) -> list[str]:
    """Return the columns of the output; ``StartupError`` where the answer's and the source's own share a name."""
    ours = [prefix + name for name in ANSWER]
    taken = sorted(set(ours) & set(source.columns))
    if taken:
        raise StartupError(f"the file has columns {', '.join(taken)} already; expected others: --prefix predicted_")
    return [*source.columns, *ours]


async def score(bulk: Bulk, job: Job, source: Source, sink: Sink, *, journal: Journal, progress: Progress) -> None:
    """Answer the rows that are not done and put the whole in its place; what is done survives whatever stops this."""
    waiting: deque[Block] = deque()
    answered: list[Answered] = []
    read = _read(source, journal.rows, waiting)
    async with aclosing(bulk.answers(job.task, job.query, read)) as answers:
        async for some in answers:
            answered += some
            while waiting and len(answered) >= len(waiting[0].lines):
                block = waiting.popleft()
                mine, answered = answered[: len(block.lines)], answered[len(block.lines) :]
                await asyncio.to_thread(_write, job, sink, journal, block, mine)
                progress(source.position, journal.rows, journal.bad)
    await asyncio.to_thread(_finish, sink, journal)


async def _read(source: Source, skip: int, waiting: deque[Block]) -> AsyncGenerator[list[Row], None]:
    blocks = ((block, _rows(block)) for block in source.blocks(skip))
    while (read := await asyncio.to_thread(next, blocks, None)) is not None:
        block, rows = read
        waiting.append(block)
        yield rows


def _rows(block: Block) -> list[Row]:
    return [
        Row(at, line.text, error=InvalidLine(line.trouble) if line.trouble is not None else None)
        for at, line in enumerate(block.lines, block.first)
    ]


def _write(job: Job, sink: Sink, journal: Journal, block: Block, answered: list[Answered]) -> None:
    kept, answers, bad = list[int](), list[Record](), list[Record]()
    names = [job.prefix + name for name in ANSWER]
    for at, one in enumerate(answered):
        if one.result is not None:
            kept.append(at)
            answers.append(dict(zip(names, _values(one.result), strict=True)))
        elif one.error is not None:
            bad.append({"row": one.row.index, "code": one.error.code, "reason": str(one.error)})
    said = b"".join(orjson.dumps(line) + b"\n" for line in bad)
    journal.add(sink.part(block, kept, answers), said, Done(len(answered), len(bad)))


def _values(result: Result) -> tuple[Any, ...]:
    """Return what stands in the columns of ``ANSWER``."""
    label = result.answer.label
    scores = {label: round(score, _DIGITS) for label, score in result.answer.scores.items()}
    return (label, scores[label], scores, result.language, result.truncated, result.model, result.version)


def _finish(sink: Sink, journal: Journal) -> None:
    if not journal.parts:
        journal.add(sink.part(Block(1, []), [], []), b"", Done(0, 0))
    whole = journal.folder / "whole"
    sink.whole(journal.files("part"), whole)
    journal.finish(whole)
