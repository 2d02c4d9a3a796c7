"""Which rows may run on the event loop's own thread, and what saves the event loop where one hangs all the same.

The event loop does nothing else meanwhile, so a row must be brief by its forecast. And it must be as sure to come back
as can be: a graph's run time is made by its shapes, so a width runs here only after the inference threads have run it
several times, and a lane that ever hung runs here no more.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from app.errors import InferenceHung
from app.scheduling.ticket import Answer, Lane
from app.scheduling.watchdog import GivenUp, Watchdog, Work

_RUNS_BEFORE = 3
"""Runs of a width on the inference threads before it may run here: the first few of a shape are slower, too."""
_INTERRUPT_S = 1.0
"""A run that was interrupted and does not come back within this will not: the runtime looks between two nodes."""
_LOOK_S = 0.02

Stuck = Callable[[int, float], None]
"""Hears which thread stands still, and for how many seconds it has: it ends the process."""


@dataclass(slots=True)
class _Run:
    """One run on the event loop's thread, as the watchdog's thread sees it."""

    lane: Lane
    thread: int
    started: float
    back: bool = False


class Inline:
    """What may run on the event loop's thread; may be used from any thread."""

    def __init__(self, limit_s: float = 0.0, stuck: Stuck | None = None) -> None:
        """``limit_s``: what a run may be forecast to take; 0 lets nothing run there.

        ``stuck`` is called from the watchdog's thread where a run hangs that cannot be interrupted; default nobody.
        """
        self._limit_s = limit_s
        self._stuck = stuck
        self._lock = threading.Lock()
        self._runs: WeakKeyDictionary[Hashable, Counter[int]] = WeakKeyDictionary()  # models come and go
        self._hung: WeakSet[Hashable] = WeakSet()

    def takes(self, lane: Hashable, width: int, forecast_s: float) -> bool:
        """Tell whether rows of a lane, each padded to ``width`` tokens, are brief and sure enough."""
        if forecast_s > self._limit_s:
            return False
        with self._lock:
            runs = self._runs.get(lane)
            return runs is not None and runs[width] >= _RUNS_BEFORE

    def trust(self, lane: Hashable, width: int) -> None:
        """Learn of a run of the inference threads that came back."""
        if not self._limit_s:
            return
        with self._lock:
            runs = self._runs.get(lane)
            if runs is not None:
                runs[width] += 1
            elif lane not in self._hung:
                self._runs[lane] = Counter([width])

    def distrust(self, lane: Hashable) -> None:
        """Learn that a lane hung: it runs on the event loop's thread no more."""
        with self._lock:
            self._hung.add(lane)
            self._runs.pop(lane, None)

    def run(self, watchdog: Watchdog, work: Work, lane: Lane, rows: Sequence[Any]) -> Sequence[Answer]:
        """Run rows on this thread; ``InferenceHung`` where the watchdog had to interrupt them."""
        run = _Run(lane, threading.get_ident(), time.monotonic())
        try:
            with watchdog.over(work, partial(self._give_up, run)):
                return lane.run(rows)
        except GivenUp:
            raise InferenceHung("the model did not come to an end in time and was interrupted") from None
        finally:
            run.back = True

    def _give_up(self, run: _Run, _: InferenceHung) -> None:
        """Interrupt a run that is late and, where it does not come back even so, say that the event loop is stuck."""
        self.distrust(run.lane)
        if not run.back:
            run.lane.interrupt()
        until = time.monotonic() + _INTERRUPT_S
        while not run.back and time.monotonic() < until:
            time.sleep(_LOOK_S)
        if not run.back and self._stuck is not None:
            self._stuck(run.thread, time.monotonic() - run.started)
