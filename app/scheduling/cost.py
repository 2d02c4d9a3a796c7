"""What a step costs, measured on this machine, and what that says of which rows should step together.

A step costs something however few rows it has (the weights are read once, the search is done for all rows at once),
something a row (the vocabulary), and something a cell of padded source memory (attention). Rows of like length
therefore step together, and a row of another length joins them only where a step of its own would cost more than the
padding.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from app.modelpack.summaries import KindName
from app.runtime.roster import Draft, Floats, Ids, Roster, Writer, padded_width
from app.runtime.session import Array
from app.tasks.generate import Options
from app.tasks.searches import Searches

_ROWS, _WIDTHS, _ROUNDS = (1, 8), (16, 256), 3


@dataclass(frozen=True, slots=True)
class StepCost:
    """Seconds that a step takes: a part of its own, one a row, and one a cell (rows x width)."""

    fixed_s: float
    row_s: float
    cell_s: float

    def of(self, rows: int, width: int) -> float:
        """Return the seconds of a step of so many rows; without rows there is none."""
        return self.fixed_s + rows * (self.row_s + width * self.cell_s) if rows else 0.0


_UNKNOWN = StepCost(0.0, 0.0, 0.0)


class Costs:
    """The cost of a step of each writer and number of beams, measured for the first row of its kind, or before."""

    def __init__(self, measured: Callable[[Writer, Draft, Options], StepCost] | None = None) -> None:
        """``measured`` stands in for ``measure``."""
        self._measured = measured or measure
        self._known: WeakKeyDictionary[Writer, dict[int, StepCost]] = WeakKeyDictionary()  # models come and go

    def of(self, lane: tuple[Writer, int]) -> StepCost:
        """Return the cost of a writer's step with so many beams; nothing at all, so any team will do, until learnt."""
        writer, beams = lane
        return self._known.get(writer, {}).get(beams, _UNKNOWN)

    def learn(self, lane: tuple[Writer, int], draft: Draft, options: Options) -> None:
        """Measure a cost that is not known yet, on a draft and options of its kind."""
        writer, beams = lane
        known = self._known.setdefault(writer, {})
        if beams not in known:
            known[beams] = self._measured(writer, draft, options)


def cheapest(cost: StepCost, teams: Sequence[tuple[int, int]], tokens: int) -> int | None:
    """Return which of ``teams``, each (rows, width), a row of so many tokens joins; ``None`` to step apart.

    It is the one whose step grows least, the first of equals.
    """
    width = padded_width(tokens)
    best, least = None, cost.of(1, width)
    for at, (rows, wide) in enumerate(teams):
        more = cost.of(rows + 1, max(wide, width)) - cost.of(rows, wide)
        if more <= least and (best is None or more < least):
            best, least = at, more
    return best


def measure(writer: Writer, draft: Draft, options: Options, clock: Callable[[], float] = time.thread_time) -> StepCost:
    """Time a few steps of few and many rows on short and long sources, made of the draft's tokens; take the best of 3.

    ``clock``: CPU seconds of this thread, since others may be at work. The shapes take turns, so that whoever disturbs
    them disturbs them all. A step is said to cost at least what a row adds: the weights are read for each, and a cost
    that was measured too low would let every row step alone.
    """
    stills = [_Still(writer, Draft(np.resize(draft.ids, width), draft.kind)) for width in _WIDTHS]
    searches = [_begun(still, options, rows) for still in stills for rows in _ROWS]
    rounds = [[_seconds(each, clock) for each in searches] for _ in range(_ROUNDS)]
    shapes = np.array([(1, rows, rows * width) for width in _WIDTHS for rows in _ROWS], float)
    found, *_ = np.linalg.lstsq(shapes, np.array(rounds).min(0), rcond=None)
    fixed_s, row_s, cell_s = np.maximum(0.0, found).tolist()
    return StepCost(max(fixed_s, row_s), row_s, cell_s)


def _begun(still: "_Still", options: Options, rows: int) -> Searches[Draft]:
    """Return searches of so many rows of one draft, of which none ends while it is timed."""
    endless = replace(options, max_tokens=_ROUNDS + 1, min_tokens=_ROUNDS + 1)
    roster = Roster(still, options.beams, options.candidates)
    searches = Searches(roster, options.beams, still.bos_id, still.eos_id)
    for _ in range(rows):
        searches.join(still.draft, endless)
    return searches


def _seconds(searches: Searches[Draft], clock: Callable[[], float]) -> float:
    started = clock()
    searches.advance()
    return clock() - started


class _Still:
    """A writer that has read one draft and gives it for any."""

    def __init__(self, writer: Writer, draft: Draft) -> None:
        self.draft = draft
        self.name, self.version = writer.name, writer.version
        self.bos_id, self.eos_id, self.pad_id = writer.bos_id, writer.eos_id, writer.pad_id
        self._writer = writer
        self._encoded = writer.encode(draft.ids, draft.kind)

    def encode(self, _ids: Ids, _kind: KindName) -> tuple[Floats, Floats, Floats]:
        return self._encoded

    def step(self, feeds: Mapping[str, Array]) -> tuple[Ids, Floats, Floats, Floats, Floats]:
        return self._writer.step(feeds)

    def renew(self) -> None:
        self._writer.renew()
