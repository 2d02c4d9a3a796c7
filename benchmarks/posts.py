"""A service in turn with the bare loop over the same package: many texts a POST, and a text alone.

Each turn of the service comes between two of the bare loop, since a machine's speed changes from minute to minute.
"""

from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.ceiling import alone, on_all_cores
from benchmarks.load import drive
from benchmarks.service import Service
from benchmarks.turns import Turn, between, shares, timed

KINDS = ("short", "long")
CONNECTIONS, ITEMS = 8, 32


def title(kind: str, work: str) -> str:
    """Return what the figure of one kind of text is called; ``work``: the package that both run."""
    return f"{ITEMS} {kind} texts a POST, {CONNECTIONS} connections, {work}: texts/s, to the bare loop"


def share_of_bare(service: Service, package: Path, kind: str, texts: list[str], *, seconds: int, rounds: int) -> Turn:
    """Return what ``ITEMS`` texts a POST over ``CONNECTIONS`` connections come to, as a share of the bare loop's."""

    def posted() -> Turn:
        load = drive(service, kind, texts, connections=CONNECTIONS, seconds=seconds, items=ITEMS)
        return Turn(load.texts_s, 1000 * load.items / load.cpu_s_per_1k)

    posted()  # warm-up
    (found,) = shares(partial(timed, on_all_cores(package, texts, seconds / 2)), posted, rounds=rounds)
    return found


def above_bare_ms(service: Service, package: Path, texts: list[str], seconds: int, rounds: int) -> float:
    """Return by how much the p50 of one text after the other over one connection is above the bare loop's."""
    bare = alone(package, texts, seconds / 2)

    def p50_ms() -> float:
        return drive(service, "short", texts, connections=1, seconds=seconds).p50_ms

    (found,) = between(bare, p50_ms, rounds=rounds)
    return median(ours - (before + after) / 2 for ours, before, after in found)
