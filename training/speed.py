"""How fast a package answers: its graphs on one thread, through the runtime that serves them.

Random ids stand for text, since a recurrent network does the same work whatever the tokens; tokenizing and HTTP come on
top of it and are measured by benchmarks/.
"""

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.modelpack.manifest import Precision
from app.modelpack.store import Package
from app.runtime.providers import choose
from app.runtime.session import Session, padded

LENGTHS = (25, 200)
BATCH = 32
WARM_UP, LEAST, MOST = 3, 9, 200
# A median needs repeats, and nobody waits long for it.
SECONDS = 1.0
CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians of one graph at one length: milliseconds for a text alone, texts a second in full batches."""

    precision: Precision
    tokens: int
    alone_ms: float
    batch: int
    texts_per_s: float


@dataclass(frozen=True, slots=True)
class Speed:
    """All timings of a package on one thread of the named processor."""

    processor: str
    timings: list[Timing]


def measure(package: Package, lengths: tuple[int, ...] = LENGTHS, seconds: float = SECONDS) -> Speed:
    """Time every graph at every length that the package takes whole, for about `seconds` each, alone and batched."""
    manifest = package.manifest
    rng = np.random.default_rng(0)
    timings = []
    for graph in manifest.graphs:
        session = Session(graph, package.graph_bytes(graph), choose("cpu"), intra_op_threads=1)
        for tokens in lengths:
            if tokens > manifest.limits.max_tokens:
                continue
            rows = list(rng.integers(2, manifest.tokenizer.vocab_size, (BATCH, tokens)))
            alone = _median_s(session, rows[:1], manifest.tokenizer.pad_id, seconds)
            batched = _median_s(session, rows, manifest.tokenizer.pad_id, seconds)
            timings.append(Timing(graph.precision, tokens, 1000 * alone, BATCH, BATCH / batched))
    return Speed(processor(), timings)


def processor(cpuinfo: Path = CPUINFO) -> str:
    """Return the processor's own name, or its architecture where the system does not tell."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


def _median_s(session: Session, rows: list[NDArray[np.int64]], pad_id: int, seconds: float) -> float:
    feeds = padded(rows, pad_id)

    def once() -> None:
        session.run(["logits"], feeds)

    for _ in range(WARM_UP):
        once()
    return statistics.median(_timed(once, seconds))


def _timed(once: Callable[[], None], seconds: float) -> list[float]:
    taken: list[float] = []
    while len(taken) < LEAST or (sum(taken) < seconds and len(taken) < MOST):
        started = time.perf_counter()
        once()
        taken.append(time.perf_counter() - started)
    return taken
