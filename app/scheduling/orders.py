"""What is ordered of the decoder, what comes back, and the job in between that somebody waits for."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from app.runtime.roster import Draft, Writer
from app.scheduling.slots import Job, Row
from app.tasks.generate import Options, Summary, Token
from app.tasks.numerals import Numerals

OnToken = Callable[[int, Token], None]
"""Told on the event loop of each token of a beam of one as it is decided, with the place of its order in the job."""


@dataclass(frozen=True, slots=True)
class Order:
    """A text to be summarized, and how."""

    draft: Draft
    options: Options
    numerals: Numerals | None = None
    """Those of the text, where they are to be written whole."""


@dataclass(slots=True)
class Written:
    """A job's summaries in the order of its orders, and its times on ``time.monotonic``.

    ``started``: when its first text was read; ``first_token``: when its first token was decided, 0 where none was.
    """

    summaries: list[Summary]
    submitted: float
    started: float = 0.0
    first_token: float = 0.0
    ended: float = 0.0


@dataclass(slots=True, eq=False)
class Pending(Job):
    """A job with the future that waits for it; touched by the event loop alone once it is submitted."""

    future: asyncio.Future[Written] = field(kw_only=True)
    written: Written = field(kw_only=True)
    left: int = field(kw_only=True)
    on_token: OnToken | None = field(kw_only=True)

    @classmethod
    def of(
        cls, writer: Writer, orders: Sequence[Order], now: float, timeout_s: float, on_token: OnToken | None
    ) -> Self:
        """Return the job of ``orders``, submitted ``now``; a future of the running loop waits for it."""
        blank = Summary([], 0.0, "deadline")
        job = cls(
            writer,
            now,
            now + timeout_s,
            future=asyncio.get_running_loop().create_future(),
            written=Written([blank] * len(orders), now),
            left=len(orders),
            on_token=on_token,
        )
        for at, order in enumerate(orders):
            listened = on_token is not None and order.options.beams == 1
            job.rows.append(Row(job, at, order.draft, order.options, order.numerals, listened=listened))
        return job


def pending_of(row: Row) -> Pending:
    """Return a row's job, which somebody waits for."""
    if not isinstance(row.job, Pending):
        raise TypeError("This is a bug: a row without a future")
    return row.job
