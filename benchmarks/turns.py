"""Rates side by side on a machine whose speed changes: whoever is compared works between two turns of the measure."""

from collections.abc import Callable
from statistics import median
from typing import NamedTuple


class Turn(NamedTuple):
    """What was done in one turn: so much a second, and so much a second of CPU time, which others cannot take away."""

    per_s: float
    per_cpu_s: float


Work = Callable[[], Turn]
"""Works for a while and tells what it did."""


def shares(measure: Work, *others: Work, rounds: int) -> list[Turn]:
    """Return what each of ``others`` does as a share of what the ``measure`` does, the median of so many rounds.

    In a round each has one turn, before and after which comes one of the measure, and is held against the mean of the
    two: a machine that gets slower or faster meanwhile does so for both. A turn that others disturb costs a round.
    """
    found: list[list[Turn]] = [[] for _ in others]
    before = measure()
    for _ in range(rounds):
        for mine, other in zip(found, others, strict=True):
            did = other()
            after = measure()
            mine.append(_share(did, before, after))
            before = after
    return [Turn(*(median(column) for column in zip(*mine, strict=True))) for mine in found]


def _share(did: Turn, before: Turn, after: Turn) -> Turn:
    return Turn(*(2 * mine / (one + two) for mine, one, two in zip(did, before, after, strict=True)))
