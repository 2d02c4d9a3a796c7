"""Which waiting rows make a batch: pure functions of their lengths.

ONNX Runtime computes every row of a batch to the longest, so a batch costs ``rows x longest`` cells and a mix of
lengths is mostly padding. A batch is therefore a run of neighbours in length around the row that has waited longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass


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


def _nearer_first(lengths: Sequence[int], low: int, high: int, oldest: int) -> list[bool]:
    """Return the sides that still have a row, ``True`` for the shorter side, the nearer in length first."""
    sides = []
    if low > 0:
        sides.append((lengths[oldest] - lengths[low - 1], True))
    if high < len(lengths):
        sides.append((lengths[high] - lengths[oldest], False))
    return [below for _, below in sorted(sides, key=lambda side: side[0])]
