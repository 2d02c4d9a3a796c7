"""Which waiting rows make a batch, and whose turn it is: pure functions.

ONNX Runtime computes every row of a batch to the longest, so a batch costs ``rows x longest`` cells and a mix of
lengths is mostly padding. A batch is therefore a run of neighbours in length around the row whose turn it is. Whose
turn it is goes by class, and within a class by when a row is due.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.runtime.widths import rung

Priority = Literal["interactive", "batch"]
"""Who goes first: somebody waits for ``interactive`` work, and nobody in particular for ``batch``."""

PRIORITIES: tuple[Priority, ...] = ("interactive", "batch")

BATCH_TURN = 8
"""While both wait, one batch in so many is of the class ``batch``."""

PATIENCE_S = 1.0
"""A deadline further off than this counts as so far off: nobody is overtaken by who comes later than that."""

Joining = Literal["padded", "end to end", "alone"]
"""How rows of a lane run together: each padded to the longest, laid end to end as they are, or not at all."""

Seconds = Callable[[int, int], float]
"""What a batch of so many rows, of such a width each, is forecast to take."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one batch may cost; a single row always may, however long. Cells are rows x padded width."""

    max_cells: int
    max_rows: int
    max_padding_share: float
    joining: Joining = "padded"

    def width(self, rows: int, longest: int, tokens: int) -> int:
        """Return how wide each of ``rows`` rows runs, of ``tokens`` tokens in all: as the longest, or their mean."""
        return rung(longest) if self.joining == "padded" else -(-tokens // rows)

    def allows(self, rows: int, width: int, tokens: int) -> bool:
        """Tell whether ``rows`` rows of ``tokens`` tokens in all may run together, each ``width`` wide."""
        if self.joining == "alone":
            return rows == 1
        cells = rows * width if self.joining == "padded" else tokens
        return rows <= self.max_rows and cells <= self.max_cells and cells - tokens <= self.max_padding_share * cells

    def full_rows(self, width: int) -> int:
        """Return how many rows of one width may run together."""
        return min(self.max_rows, self.max_cells // width) or 1


def due(arrived: float, deadline: float) -> float:
    """Return when a row is due, on the clock of both: rows of a class take turns in this order.

    Nearest deadline first, which finishes everything in time wherever that can be done at all; and those whose deadline
    is far off, which is most, in the order in which they came.
    """
    return min(deadline, arrived + PATIENCE_S)


def turn(waits: Mapping[Priority, bool], passed: int) -> Priority:
    """Return whose turn it is, where one of them waits; ``passed`` batches in a row have gone before ``batch``.

    Interactive work waits for at most the batch that runs, and gives up one turn in ``BATCH_TURN`` while it has a
    backlog; work of the class ``batch`` that is next in its class waits for at most ``BATCH_TURN - 1`` others.
    """
    if not waits["batch"]:
        return "interactive"
    return "batch" if passed >= BATCH_TURN - 1 or not waits["interactive"] else "interactive"


def neighbours(
    lengths: Sequence[int], first: int, budget: Budget, seconds: Seconds | None = None, within_s: float = float("inf")
) -> tuple[int, int]:
    """Return the half-open range of ``lengths`` (ascending) that runs together with the row at ``first``.

    Greedy: the range grows by whichever side is nearer in length, until the budget allows neither. With a forecast, a
    row joins only where that costs no more than a run of its own, and where all are done ``within_s``, or the row whose
    turn it is would miss its deadline for the sake of its neighbours.
    """
    low, high = first, first + 1
    tokens = longest = lengths[first]
    takes = seconds(1, budget.width(1, longest, tokens)) if seconds else 0.0
    if takes > within_s:
        within_s = float("inf")  # it is late whoever joins it
    while high - low < budget.max_rows:
        for below in _nearer_first(lengths, low, high, first):
            length = lengths[low - 1] if below else lengths[high]
            most = longest if below else length
            rows = high - low + 1
            width = budget.width(rows, most, tokens + length)
            if not budget.allows(rows, width, tokens + length):
                continue
            took = seconds(rows, width) if seconds else 0.0
            if seconds and (took > within_s or took - takes > seconds(1, rung(length))):
                continue
            low, high = (low - 1, high) if below else (low, high + 1)
            tokens, longest, takes = tokens + length, most, took
            break
        else:
            break
    return low, high


def _nearer_first(lengths: Sequence[int], low: int, high: int, first: int) -> tuple[bool, ...]:
    """Return the sides that still have a row, ``True`` for the shorter side, the nearer in length first."""
    if low == 0:
        return (False,) if high < len(lengths) else ()
    if high == len(lengths):
        return (True,)
    shorter_first = lengths[first] - lengths[low - 1] <= lengths[high] - lengths[first]
    return (shorter_first, not shorter_first)
