"""A job on its way through the batcher: what runs it, whose future gets its answers, and who counts."""

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy.typing as npt

from app.scheduling.job import Job, Row
from app.scheduling.policy import Priority

Answer = tuple[npt.NDArray[Any], ...]
"""One row's arrays: one for each output of its lane."""
Wait = tuple[float, float]
"""The seconds that a request was forecast to wait for its first batch, and those that it did."""


class Lane(Hashable, Protocol):
    """What may run together: rows of one model that ask for the same outputs.

    One whose rows are not padded to the longest says so by ``joining``, one of ``app.scheduling.policy.Joining``.
    """

    @property
    def model(self) -> str:
        """The model's name, for the metrics."""

    @property
    def version(self) -> str:
        """The model's version, for the metrics."""

    def run(self, rows: Sequence[Any]) -> Sequence[Answer]:
        """Return one answer a row, in order; called from an inference thread."""

    def renew(self) -> None:
        """Open a new session in the place of one that hangs; an exception where that cannot be."""

    def interrupt(self) -> None:
        """Ask what runs now to end with an error, as soon as the runtime looks; called from any thread."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one run of the runtime did, for whoever counts: times in seconds, on ``time.monotonic``."""

    lane: Lane
    rows: int
    tokens: int
    width: int
    """Of each row as it ran: of the longest, or the mean where they are not padded."""
    cells: int
    started: float
    ended: float
    forecast_s: float = 0.0
    """How long it was expected to take, by the batches before it."""
    inline: bool = False
    """Whether it ran on the event loop's thread."""


class Observer(Protocol):
    """Whoever counts; called on the event loop."""

    def batch(self, batch: Batch) -> None:
        """One run of the runtime is done."""

    def dropped(self, reason: str, rows: int) -> None:
        """Rows left the queue unanswered: ``cancelled``, ``expired`` or ``shed``."""

    def queue(self, rows: int, tokens: int) -> None:
        """So much waits now."""

    def waits(self, seconds: Mapping[Priority, float], lag_s: float) -> None:
        """So long would wait what comes now, by class; and so late is the event loop that reads it."""

    def waited(self, waits: Sequence[Wait]) -> None:
        """Count requests by how long they waited for their first batch, and were forecast to."""


@dataclass(slots=True)
class Answers:
    """A job's answers in the order of its rows, and when its first batch started and its last ended."""

    rows: list[Answer]
    submitted: float
    started: float = 0.0
    ended: float = 0.0


@dataclass(slots=True, eq=False)
class Ticket(Job):
    """A job with the future that waits for it; touched by the event loop alone once it is submitted."""

    future: asyncio.Future[Answers] = field(kw_only=True)
    answers: Answers = field(kw_only=True)
    left: int = field(kw_only=True)
    wait_s: float = field(kw_only=True, default=0.0)
    """How long it was forecast to wait."""
    alarm: asyncio.TimerHandle = field(init=False)

    def take(self, index: int, answer: Answer, batch: Batch) -> None:
        """Take the answer to one of its rows; the last one makes the future done."""
        whole = self.answers
        whole.rows[index] = answer
        if not whole.started or batch.started < whole.started:
            whole.started = batch.started
        whole.ended = max(whole.ended, batch.ended)
        self.left -= 1
        if not self.left and not self.future.done():
            self.future.set_result(whole)


def ticket_of(row: Row) -> Ticket:
    """Return the ticket that a row belongs to."""
    if not isinstance(row.job, Ticket):
        raise TypeError("This is a bug: a row without a future")
    return row.job


def fail(row: Row, error: Exception) -> None:
    """Fail the whole job of a row, unless it is answered or failed already."""
    future = ticket_of(row).future
    if not future.done():
        future.set_exception(error)
