"""Notices a run of the runtime that does not return, so that its rows, its thread and its session can be given up.

A run may take a bound that is set, or a multiple of what such runs have taken so far where that is more. Time is
counted in ticks of the watchdog's own thread: while the whole process stands still (a paused container, a machine
asleep), no run grows old.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

from app.errors import InferenceHung

_TIMES_LEARNT = 50
"""A run that takes so many times what its lane's runs have taken so far is no slow run any more."""
_FADE = 0.99
_TICKS = 10
_SHORTEST_TICK_S, _LONGEST_TICK_S = 0.02, 1.0
_FAILING_RUNS, _FAILING_WITHIN_S = 3, 60.0


class GivenUp(Exception):
    """Raised in a thread whose run came back after it was given up: another has taken its place."""


class Renewable(Hashable, Protocol):
    """What runs: a lane of a model, or a writer."""

    def renew(self) -> None:
        """Open a new session in the old one's place; an exception where that cannot be."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is watched: a runner, whose model and version it is, and the cells of this run."""

    runner: Renewable
    model: str
    version: str
    cells: int


class Alarm(Protocol):
    """Whoever counts and tells; called from any thread."""

    def hung(self, work: Work, limit_s: float) -> None:
        """Hear of a run that did not return within its limit and was given up."""

    def renewed(self, work: Work, broken: Exception | None) -> None:
        """Hear that the session of such a run is replaced, or of what is ``broken`` so that it is not."""

    def failing(self, *, failing: bool) -> None:
        """Hear that runs hang again and again, or no longer do."""


@dataclass(slots=True, eq=False)
class _Run:
    work: Work
    limit_s: float
    started: float
    give_up: Callable[[InferenceHung], None]
    age_s: float = 0.0


@dataclass(slots=True)
class _Learnt:
    """Seconds and cells of the runs so far, of which the older ones fade."""

    seconds: float = 0.0
    cells: float = 0.0

    def add(self, seconds: float, cells: int) -> None:
        self.seconds = _FADE * self.seconds + seconds
        self.cells = _FADE * self.cells + cells

    def expects(self, cells: int) -> float:
        return self.seconds / self.cells * cells if self.cells else 0.0


class Watchdog:
    """Watches every run that it is told of, from one thread of its own."""

    def __init__(self, limit_s: float, alarm: Alarm | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """``limit_s``: what a run may take at least; 0 watches nothing. ``clock`` stands in for ``time.monotonic``."""
        self._limit_s = limit_s
        self._alarm = alarm
        self._clock = clock
        self._tick_s = min(_LONGEST_TICK_S, max(_SHORTEST_TICK_S, limit_s / _TICKS))
        self._lock = threading.Lock()
        self._runs: set[_Run] = set()
        self._learnt: WeakKeyDictionary[Renewable, _Learnt] = WeakKeyDictionary()  # models come and go
        self._hangs: deque[float] = deque(maxlen=_FAILING_RUNS)
        self._stop = threading.Event()
        self._ticked = 0.0
        self._failing = False

    def start(self) -> None:
        """Start watching."""
        if self._limit_s:
            self._ticked = self._clock()
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def close(self) -> None:
        """Watch no more."""
        self._stop.set()

    @contextmanager
    def over(self, work: Work, give_up: Callable[[InferenceHung], None]) -> Iterator[None]:
        """Watch what is done in this context.

        ``give_up`` is called from the watchdog's thread, at most once, when the run is late; its thread then gets
        ``GivenUp`` when it comes back, whatever the run came to.
        """
        if not self._limit_s:
            yield
            return
        run = self._began(work, give_up)
        try:
            yield
        finally:
            if not self._ended(run):
                raise GivenUp

    def renew(self, work: Work) -> None:
        """Give what was given up a new session, and tell what came of it."""
        broken = None
        try:
            work.runner.renew()
        except Exception as error:  # noqa: BLE001 - whatever it is: the old session goes on
            broken = error
        if self._alarm is not None:
            self._alarm.renewed(work, broken)

    def tick(self) -> None:
        """Let the runs grow older, and give up those that are late."""
        now = self._clock()
        passed = min(now - self._ticked, 2 * self._tick_s)
        self._ticked = now
        with self._lock:
            late = []
            for run in self._runs:
                run.age_s += min(passed, now - run.started)
                if run.age_s >= run.limit_s:
                    late.append(run)
            self._runs.difference_update(late)
        for run in late:
            self._hangs.append(now)
            if self._alarm is not None:
                self._alarm.hung(run.work, run.limit_s)
            run.give_up(InferenceHung(f"the model did not come to an end within {run.limit_s:.1f} s"))
        self._tell_failing(now)

    def _tell_failing(self, now: float) -> None:
        failing = len(self._hangs) == _FAILING_RUNS and now - self._hangs[0] < _FAILING_WITHIN_S
        if failing != self._failing:
            self._failing = failing
            if self._alarm is not None:
                self._alarm.failing(failing=failing)

    def _began(self, work: Work, give_up: Callable[[InferenceHung], None]) -> _Run:
        with self._lock:
            learnt = self._learnt.get(work.runner)
            limit_s = max(self._limit_s, _TIMES_LEARNT * learnt.expects(work.cells)) if learnt else self._limit_s
            run = _Run(work, limit_s, self._clock(), give_up)
            self._runs.add(run)
            return run

    def _ended(self, run: _Run) -> bool:
        """Take a run off the list; tell whether it was still there."""
        with self._lock:
            if run not in self._runs:
                return False
            self._runs.remove(run)
            learnt = self._learnt.get(run.work.runner)
            if learnt is None:
                learnt = self._learnt[run.work.runner] = _Learnt()
            learnt.add(self._clock() - run.started, run.work.cells)
            return True

    def _watch(self) -> None:
        while not self._stop.wait(self._tick_s):
            self.tick()
