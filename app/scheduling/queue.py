"""The rows that wait for compute, and the one lock that guards them.

The queue is bounded in tokens, which is what costs. It gives out batches: the row that is due first, with its nearest
neighbours in length from the same lane and class. A lane is whatever may run together: one graph, one set of outputs.
A class says whose turn it is: interactive work goes first, and batch work gets one turn in several.

How long a row waits is bounded. Of its class at most n rows are due before it: those that waited when it came, and
those that come less than ``PATIENCE_S`` later with a nearer deadline. Each batch takes at least the first of its class,
so that on T threads it starts after at most ``ceil((n + 1) / T)`` batches a thread beside the one that runs; and while
the other class has work too, after 8/7 as many (interactive) or 8 times as many (batch). No batch is longer than the
largest that the budget allows, or one row. A long row, where a thread is kept free of them, counts T - 1 threads.
"""

import threading
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from app.errors import QueueFull
from app.runtime.widths import rung
from app.scheduling.backlog import Backlog, by_length
from app.scheduling.estimate import RunCosts
from app.scheduling.job import Job, Row
from app.scheduling.places import Places
from app.scheduling.policy import BATCH_TURN, Budget, Joining, Priority, due, neighbours, turn
from app.scheduling.running import Running

Brief = Callable[[Sequence[Row]], bool]
"""Tells whether rows that would run together are brief and sure enough for the event loop's own thread."""

_LOOK_S = 0.05
"""How often a thread that is kept free looks whether it still has to be."""

_FEW = 8
"""While more rows wait, all go by the threads: then the event loop has enough to do with who comes, and who is refused.
"""

_PADDING_OF_FEW = 0.5
"""So much of a batch's cells may be padding while so few wait."""

_LOOK_PAST = 64
"""How many long rows a thread that is kept free passes over in search of a short one."""


@dataclass(slots=True)
class _Choice:
    """The rows that would run together, and where they stand in their lane."""

    priority: Priority
    lane: Hashable
    start: int
    end: int
    rows: list[Row]


class Waiting:
    """The bounded queue; every method may be called from any thread."""

    def __init__(
        self,
        budget: Budget,
        max_tokens: int,
        threads: int = 1,
        costs: RunCosts | None = None,
        places: Places | None = None,
    ) -> None:
        """``costs`` forecasts runs; without, no run is forecast to take any time.

        ``threads``: batches that may run at once. With ``places``, as many threads as there are cores ask for work, and
        those beyond ``threads`` get some where a core is free or every batch that runs is a long row.
        """
        self._budget = budget
        self._max_tokens = max_tokens
        self._running = Running(threads, budget.max_cells // 2, places)
        self._costs = costs or RunCosts()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._interactive, self._batch = Backlog(), Backlog()
        self._classes: dict[Priority, Backlog] = {"interactive": self._interactive, "batch": self._batch}
        self._passed = 0
        self._orders = 0
        self._idle = 0
        self._closed = False
        self._parts: deque[list[Row]] = deque()
        self._brief: Brief | None = None
        self._leave: Callable[[], None] = _nobody

    @property
    def rows(self) -> int:
        """Rows waiting."""
        return len(self._interactive.due) + len(self._batch.due)

    @property
    def is_still(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._running.is_any and not self.rows

    @property
    def tokens(self) -> int:
        """Tokens waiting."""
        return self._interactive.tokens + self._batch.tokens

    @property
    def asking(self) -> int:
        """How many threads ask for work."""
        return self._running.asking

    @property
    def is_short(self) -> bool:
        """Whether the interactive work that waits is, in full batches, no more than one a thread."""
        return self._interactive.batches <= self._running.threads

    @property
    def busy(self) -> bool:
        """Whether as many batches run as may at any time."""
        return self._running.busy

    def put(self, job: Job, now: float = 0.0) -> None:
        """Take all of a job's rows, at their price, or none: ``QueueFull`` where they would exceed the bound.

        A job larger than the whole bound is taken when nothing waits, or it could never be. The class ``batch`` fills
        at most half of the bound, so that interactive work always finds room.
        """
        tokens = sum([row.length for row in job.rows])
        with self._lock:
            self._refuse_beyond_bound(job.priority, tokens)
            job.due = due(now, job.deadline)
            for row in job.rows:
                self._orders += 1
                row.order = self._orders
            self._running.came(job.rows, now)
            self._classes[job.priority].add(job)

    def price(self, job: Job) -> float:
        """Note what each of a job's rows is forecast to cost, and return their sum, in seconds of one thread.

        It is nothing until enough has run: a wrong price would stay in the queue with its rows.
        """
        cost = self._costs.of(job.lane) if self._costs.learnt else None
        alone = joining_of(job.lane) == "alone"
        total_s = 0.0
        for row in job.rows:
            width = rung(row.length)
            rows = 1 if alone else self._budget.full_rows(width)
            row.share = 1 / rows
            if cost is not None:
                row.cost_s = cost.seconds(rows, width) / rows
                total_s += row.cost_s
        return total_s

    def cost_before_s(self, priority: Priority, when: float) -> float:
        """Return the forecast of what goes before a row of a class that is due at ``when``, in seconds of one thread.

        Of the other class that is what its turns come to: of interactive work, all of it.
        """
        with self._lock:
            mine = self._classes[priority].cost_before_s(when)
            if priority == "batch":
                return mine + self._interactive.cost_s
            other = self._batch.cost_s
            return mine + min(other, mine / (BATCH_TURN - 1)) if other else mine

    def wake(self) -> None:
        """Wake as many waiting threads as there are rows for; ``put`` wakes none, so that several jobs wake once."""
        with self._lock:
            self._changed.notify(min(self.rows, self._running.room(plenty=self._has_plenty)))

    def discard(self, job: Job) -> int:
        """Forget the rows of ``job`` that still wait; return how many."""
        with self._lock:
            return sum(self._classes[job.priority].forget(row) for row in job.rows)

    def shed(self, keep_s: float) -> list[Job]:
        """Forget the interactive jobs that are due last, until no more than ``keep_s`` is left, or few; return them.

        A job of which a row runs already, or has run, stays.
        """
        with self._lock:
            mine = self._interactive
            waiting = Counter(row.job for row in mine.due)
            gone: list[Job] = []
            for job in reversed(waiting):  # in the order in which their first rows are due
                if mine.cost_s <= keep_s or self.is_short:
                    break
                if waiting[job] == len(job.rows):
                    gone.append(job)
                    for row in job.rows:
                        mine.forget(row)
            return gone

    def take(self, now: float) -> tuple[list[Row], list[Row]]:
        """Return what the policy would run now, and the rows among it whose deadline has passed.

        Both are taken off the queue; both are empty where nothing waits that this thread may run. What is to run is
        given back to ``ran``.
        """
        with self._lock:
            return self._take(now)

    def leave_brief(self, brief: Brief, leave: Callable[[], None]) -> None:
        """Keep what is ``brief`` for the event loop's thread, which ``take_brief`` takes it for.

        Where one batch may run at a time, threads take none of it while nothing runs but long rows, and call ``leave``.
        """
        self._brief, self._leave = brief, leave

    def take_brief(self, now: float) -> list[Row] | None:
        """Take what would run now, where it is brief and nothing short runs; else ``None``. Give it back to ``ran``.

        Several rows are taken where there is one thread, few wait, and they are interactive.
        """
        with self._lock:
            if not self._running.leaves_loop_free:
                return None
            choice = self._choose(now)
            return self._take_out(choice, now)[0] if choice is not None and self._is_for_loop(choice, now) else None

    def let_by(self, row: Row, now: float) -> bool:
        """Let a row run on the event loop's thread that never joined the queue; give it back to ``ran``.

        ``False`` where something waits or runs, and where the row is not brief.
        """
        with self._lock:
            if self.rows or self._parts or self._closed or not self._running.leaves_loop_free:
                return False
            if not self._may_run_on_loop([row], now):
                return False
            self._running.came([row], now)
            self._running.began([row])
            return True

    def put_parts(self, parts: Sequence[list[Row]]) -> None:
        """Put in what was taken and is to run again, on the threads, each part as a batch of its own."""
        with self._lock:
            self._parts += parts
            self._changed.notify(len(parts))

    def wait(self, clock: Callable[[], float]) -> tuple[list[Row], list[Row]] | None:
        """Block until there is something to take and return it; ``None`` once the queue is closed."""
        with self._lock:
            self._idle += 1
            try:
                while True:
                    taken = self._take(clock())
                    if taken[0] or taken[1]:
                        return taken
                    if self._closed:
                        return None
                    self._changed.wait(_LOOK_S if self.rows else None)
            finally:
                self._idle -= 1

    def ran(self, rows: list[Row]) -> None:
        """Say that a batch has run: a thread that is kept free of long rows may take one now."""
        with self._lock:
            if self._running.ended(rows):
                self._changed.notify()

    def close(self) -> list[Row]:
        """Let every waiting thread go; return the rows that will never run."""
        with self._lock:
            self._closed = True
            left = [row for each in self._classes.values() for row in each.due]
            for row in left:
                self._classes[row.job.priority].forget(row)
            left += [row for part in self._parts for row in part]
            self._parts.clear()
            self._changed.notify_all()
            return left

    def _refuse_beyond_bound(self, priority: Priority, tokens: int) -> None:
        waits, most = self.tokens, self._max_tokens
        if priority == "batch":
            waits, most = self._classes[priority].tokens, self._max_tokens // 2
        if waits and waits + tokens > most:
            raise QueueFull(f"{waits} tokens are waiting and this request has {tokens}; expected at most {most} in all")

    def _take(self, now: float) -> tuple[list[Row], list[Row]]:
        if self._parts:
            return self._begun(self._parts.popleft()), []
        choice = self._choose(now) if self._running.lets_begin(plenty=self._has_plenty) else None
        if choice is None:
            return [], []
        if self._running.threads == 1 and self._running.leaves_loop_free and self._is_for_loop(choice, now):
            self._leave()
            return [], []
        return self._take_out(choice, now)

    def _choose(self, now: float) -> _Choice | None:
        """Return what the policy would run now; it stays in the queue."""
        first = self._first(now)
        if first is None:
            return None
        job = first.job
        lane = self._classes[job.priority].lanes[job.lane]
        budget = self._share(job.lane)
        seconds = self._costs.of(job.lane).seconds
        at = bisect_left(lane, by_length(first), key=by_length)
        start = max(0, at - budget.max_rows)  # no batch reaches further
        lengths = [row.length for row in lane[start : at + budget.max_rows]]
        low, high = neighbours(lengths, at - start, budget, seconds, within_s=job.deadline - now)
        low, high = start + low, start + high
        return _Choice(job.priority, job.lane, low, high, lane[low:high])

    def _is_for_loop(self, choice: _Choice, now: float) -> bool:
        few = self.rows <= _FEW and self._running.threads == 1 and choice.priority == "interactive"
        return (self.rows == 1 or few) and self._may_run_on_loop(choice.rows, now)

    def _may_run_on_loop(self, rows: list[Row], now: float) -> bool:
        if self._brief is None or min([row.job.deadline for row in rows]) <= now or self._running.has_long(rows):
            return False
        return self._brief(rows)

    def _take_out(self, choice: _Choice, now: float) -> tuple[list[Row], list[Row]]:
        """Take what was chosen off the queue: the rows that are in time, which count as running, and the others."""
        self._passed = self._passed + 1 if choice.priority == "interactive" and self._batch.due else 0
        taken = self._classes[choice.priority].take(choice.lane, choice.start, choice.end)
        expired = [row for row in taken if row.job.deadline <= now]
        return self._begun([row for row in taken if row.job.deadline > now] if expired else taken), expired

    def _begun(self, rows: list[Row]) -> list[Row]:
        if rows:
            self._running.began(rows)
        return rows

    @property
    def _has_plenty(self) -> bool:
        return self.rows > self._budget.max_rows // 2 or self.tokens > self._budget.max_cells // 2

    def _first(self, now: float) -> Row | None:
        """Return the row around which the next batch is formed."""
        waits: dict[Priority, bool] = {priority: bool(each.due) for priority, each in self._classes.items()}
        if not any(waits.values()):
            return None
        whose = turn(waits, self._passed)
        found = self._free_of_long(self._classes[whose].due, now)
        if found is None:  # long rows alone, and it is not for this thread to take one: is there another class?
            whose = "batch" if whose == "interactive" else "interactive"
            found = self._free_of_long(self._classes[whose].due, now)
        return found

    def _free_of_long(self, rows: list[Row], now: float) -> Row | None:
        """Return the first row; the first short one where it is not the turn of a long one."""
        if not self._running.spares_long(now):
            return rows[0] if rows else None
        return next((row for row in rows[:_LOOK_PAST] if not self._running.is_long(row)), None)

    def _share(self, lane: Hashable) -> Budget:
        """Return the budget of a lane, cut so that other idle threads get their part of a short queue.

        Of few rows none has a neighbour of its length. Forecasts tell then whether two run together at less than each.
        """
        fair = -(-self.rows // self._running.share(self._idle))
        budget, joining = self._budget, joining_of(lane)
        padding = budget.max_padding_share
        if self.rows <= _FEW and self._costs.learnt:
            padding = max(padding, _PADDING_OF_FEW)
        if fair >= budget.max_rows and (padding, joining) == (budget.max_padding_share, budget.joining):
            return budget
        return Budget(budget.max_cells, min(fair, budget.max_rows), padding, joining)


def _nobody() -> None:
    """Leave it to nobody: nothing is brief where nobody said what is."""


def joining_of(lane: Hashable) -> Joining:
    """Return how a lane's rows run together, as its ``joining`` says; ``padded`` where it says nothing."""
    joining: Joining = getattr(lane, "joining", "padded")
    return joining
