"""Which waiting rows make a batch: pure functions of their lengths.

ONNX Runtime computes every row of a batch to the longest, so a batch costs ``rows x longest`` cells and a mix of
lengths is mostly padding. A batch is therefore a run of neighbours in length around the row that has waited longest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Priority = Literal["interactive", "batch"]
"""Who goes first: somebody waits for ``interactive`` work, and nobody in particular for ``batch``."""

BATCH_TURN = 8
"""While both wait, one batch in so many is of the class ``batch``."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one batch may cost; a single row always may, however long."""

    max_cells: int
    max_rows: int
    max_padding_share: float

    def allows(self, rows: int, longest: int, tokens: int) -> bool:
        """Tell whether ``rows`` rows of ``tokens`` tokens in all, the longest of ``longest``, may run together."""
        cells = rows * longest
        return rows <= self.max_rows and cells <= self.max_cells and cells - tokens <= self.max_padding_share * cells


def neighbours(lengths: Sequence[int], oldest: int, budget: Budget) -> tuple[int, int]:
    """Return the half-open range of ``lengths`` (ascending) that runs together with the row at ``oldest``.

    Greedy: the range grows by whichever side is nearer in length, until the budget allows neither.
    """
    low, high = oldest, oldest + 1
    tokens = lengths[oldest]
    while True:
        for below in _nearer_first(lengths, low, high, oldest):
            at = low - 1 if below else high
            longest = lengths[high - 1] if below else lengths[at]
            if budget.allows(high - low + 1, longest, tokens + lengths[at]):
                low, high = (low - 1, high) if below else (low, high + 1)
                tokens += lengths[at]
                break
        else:
            return low, high


def turn(waits: Mapping[Priority, bool], passed: int) -> Priority:
    """Return whose turn it is, where one of them waits; ``passed`` batches in a row have gone before ``batch``.

    Interactive work waits for at most the batch that runs, and gives up one turn in ``BATCH_TURN`` while it has a
    backlog; work of the class ``batch`` that is next in its class waits for at most ``BATCH_TURN - 1`` others.
    """
    if not waits["batch"]:
        return "interactive"
    return "batch" if passed >= BATCH_TURN - 1 or not waits["interactive"] else "interactive"


def _nearer_first(lengths: Sequence[int], low: int, high: int, oldest: int) -> list[bool]:
    """Return the sides that still have a row, ``True`` for the shorter side, the nearer in length first."""
    sides = []
    if low > 0:
        sides.append((lengths[oldest] - lengths[low - 1], True))
    if high < len(lengths):
        sides.append((lengths[high] - lengths[oldest], False))
    return [below for _, below in sorted(sides, key=lambda side: side[0])]
