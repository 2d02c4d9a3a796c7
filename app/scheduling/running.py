"""What runs now, and what may run beside it; whoever touches it holds the queue's lock."""

from collections.abc import Sequence

from app.scheduling.job import Row
from app.scheduling.places import Places

_SHORT_ABOUT_S = 1.0
"""How long after the last short row came a thread is still kept free of long ones."""


class Running:
    """Counts the batches that run.

    ``threads`` of them may at any time. With ``places``, as many threads as there are cores ask for work, and those
    beyond ``threads`` get some where a core is free or every batch that runs is a long row.
    """

    def __init__(self, threads: int, short_tokens: int, places: Places | None = None) -> None:
        """``short_tokens``: a row of more is long, and no batch that it is in can be short."""
        self.threads = threads
        self._short_tokens = short_tokens
        self._places = places
        self._batches = 0
        self._long = 0
        self._short_came = float("-inf")

    @property
    def asking(self) -> int:
        """How many threads ask for work."""
        return self.threads if self._places is None else max(self.threads, self._places.cores)

    @property
    def leaves_loop_free(self) -> bool:
        """Whether a batch on the event loop's thread would run beside nothing, or beside long rows alone.

        Beside a long row only where there is one thread, which then has it: what is short must not wait for that.
        """
        return self._batches == self._long if self.threads == 1 else not self._batches

    @property
    def is_any(self) -> bool:
        """Whether a batch runs."""
        return self._batches > 0

    @property
    def busy(self) -> bool:
        """Whether as many batches run as may at any time."""
        return self._batches >= self.threads

    def share(self, asking: int) -> int:
        """Return how many of the threads that wait for work get some of a short queue."""
        return max(1, asking if self._places is None else min(asking, self.threads - self._batches))

    def is_long(self, row: Row) -> bool:
        """Tell whether a row is long."""
        return row.length > self._short_tokens

    def has_long(self, rows: Sequence[Row]) -> bool:
        """Tell whether one of the rows is long."""
        return max([row.length for row in rows], default=0) > self._short_tokens

    def came(self, rows: Sequence[Row], now: float) -> None:
        """Note rows that came."""
        if any([row.length <= self._short_tokens for row in rows]):  # noqa: C419 - a list is quicker, of few
            self._short_came = now

    def began(self, rows: Sequence[Row]) -> None:
        """Count a batch that begins."""
        self._count(1, self.has_long(rows))

    def ended(self, rows: Sequence[Row]) -> bool:
        """Count a batch that is done; tell whether it was a long one."""
        long = self.has_long(rows)
        self._count(-1, -long)
        return long

    def room(self, *, plenty: bool) -> int:
        """Return for how many more batches a thread may be woken; ``plenty``: more waits than half of one.

        On a core that another process leaves free only then: less goes with the next batch, at a lower cost a row. But
        beside long rows alone always, for what is short must not wait for them.
        """
        return max(0, self.threads - self._batches) + self._may_borrow(plenty=plenty)

    def lets_begin(self, *, plenty: bool) -> bool:
        """Tell whether a thread that asks may begin one more."""
        return self._places is None or not self.busy or self._may_borrow(plenty=plenty)

    def spares_long(self, now: float) -> bool:
        """Tell whether what begins next must be short.

        A text of thousands of words is one row, and no batch can be smaller. On all threads at once, such rows would
        make each short text wait for one. While there are none about, long rows get every thread.
        """
        last = 0 < self.asking - 1 <= self._long and now - self._short_came < _SHORT_ABOUT_S
        return last or (self._places is not None and self.busy and not self._places.has_free)

    def _may_borrow(self, *, plenty: bool) -> bool:
        if self._batches >= self.asking:
            return False
        free_of_long = self._batches - self._long < self.threads
        return free_of_long or (plenty and self._places is not None and self._places.has_free)

    def _count(self, more: int, long: int) -> None:
        self._batches += more
        self._long += long
        if self._places is not None:
            self._places.tell(self._batches)
