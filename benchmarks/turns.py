"""Figures side by side on a machine whose speed changes: whoever is compared works between two turns of the measure."""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple, TypeVar

_Did = TypeVar("_Did")


class Turn(NamedTuple):
    """What was done in one turn: so much a second, and so much a second of CPU time, which others cannot take away."""

    per_s: float
    per_cpu_s: float


Work = Callable[[], Turn]
"""Works for a while and tells what it did."""


def between(
    measure: Callable[[], _Did], *others: Callable[[], _Did], rounds: int
) -> list[list[tuple[_Did, _Did, _Did]]]:
    """Return what each of ``others`` did in each round, and what the ``measure`` did just before and just after.

    In a round each has one turn, before and after which comes one of the measure.
    """
    found: list[list[tuple[_Did, _Did, _Did]]] = [[] for _ in others]
    before = measure()
    for _ in range(rounds):
        for mine, other in zip(found, others, strict=True):
            did = other()
            after = measure()
            mine.append((did, before, after))
            before = after
    return found


def shares(measure: Work, *others: Work, rounds: int) -> list[Turn]:
    """Return what each of ``others`` does as a share of what the ``measure`` does, the median of so many rounds.

    Each is held against the mean of the two turns of the measure beside its own: a machine that gets slower or faster
    meanwhile does so for both. A turn that others disturb costs a round.
    """
    found = between(measure, *others, rounds=rounds)
    return [Turn(*(median(column) for column in zip(*(_share(*one) for one in mine), strict=True))) for mine in found]


def timed(rate: Callable[[], float]) -> Turn:
    """Return what was done in this process, of which ``rate`` tells how much a second."""
    started, cpu_s = time.perf_counter(), time.process_time()
    per_s = rate()
    return Turn(per_s, per_s * (time.perf_counter() - started) / (time.process_time() - cpu_s))


def _share(did: Turn, before: Turn, after: Turn) -> Turn:
    return Turn(*(2 * mine / (one + two) for mine, one, two in zip(did, before, after, strict=True)))
