"""Broken packages by the thousand: each is opened as the service opens one, in a process that may die of it.

    python -m benchmarks.inputs --cases 10000

Writes what came of them into docs/reliability.md. A case is made of its number and the seed, so that one can be looked
at again: ``--first 4711 --cases 1``. Exit status 1 where one crashed, hung, or was refused by anything but a
``PackageError``.
"""

import argparse
import multiprocessing
import queue
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import PackageError
from app.modelpack.store import open_package
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.wrapping import Wish, wrap
from benchmarks import report
from benchmarks.mutations import break_package

FIXTURES = Path("tests/fixtures")
READERS = tuple(FIXTURES / name for name in ("packages/tiny/1", "others/tiny-quotes/1", "others/tiny-summaries/1"))
"""The packages of text that are broken; ``run`` adds one of numbers."""
_HANG_S = 60.0
_START_S = 120.0
_MEMORY_BYTES = 8 << 30
"""More than any whole package needs; a graph that asks for all there is fails here as it would in a container."""


@dataclass(frozen=True)
class Outcome:
    """What came of one case."""

    case: int
    change: str
    result: str
    """refused, opened, crash, hang, or the name of an exception that is no PackageError."""
    detail: str = ""

    @property
    def good(self) -> bool:
        """Whether it is what is promised: refused by name, or harmless."""
        return self.result in {"refused", "opened"}


def run(cases: range, seed: int, sources: tuple[Path, ...] = ()) -> Iterator[Outcome]:
    """Yield the outcome of every case, each in a process that also had the ones before it and survived them.

    ``sources``: the packages that are broken in turn, default ``READERS`` and one of numbers.
    """
    with tempfile.TemporaryDirectory(prefix="sluice-sources-") as scratch:
        yield from _run(cases, seed, sources or (*READERS, numbers(Path(scratch))))


def numbers(root: Path) -> Path:
    """Return a package of numbers below ``root``: a classifier's graph, wrapped as it is."""
    wrap(READERS[0] / "model.onnx", root, Wish("tiny-numbers"))
    return root / "tiny-numbers" / "1"


def _run(cases: range, seed: int, sources: tuple[Path, ...]) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")
    at, ready = cases.start, False
    while at < cases.stop:
        told: Any = context.Queue()
        worker = context.Process(target=_work, args=(range(at, cases.stop), seed, sources, told), daemon=True)
        worker.start()
        change, ready = "", False
        while at < cases.stop:
            try:
                said = told.get(timeout=_HANG_S if ready else _START_S) if worker.is_alive() else told.get(timeout=1)
            except queue.Empty:
                if worker.is_alive():
                    worker.kill()
                    result, detail = "hang", f"nothing for {_HANG_S:g} s"
                else:
                    result, detail = "crash", f"exit status {worker.exitcode}"
                yield Outcome(at, change, result, detail)
                at += 1
                break
            ready = True
            if isinstance(said, str):
                change = said
            else:
                yield said
                at = said.case + 1
        worker.join(5)


def _work(cases: range, seed: int, sources: tuple[Path, ...], told: Any) -> None:
    """Be the process that opens; it says what it is about to open, and what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    provider = choose("cpu")
    with tempfile.TemporaryDirectory(prefix="sluice-inputs-") as scratch:
        for case in cases:
            source = sources[case % len(sources)]
            folder = Path(scratch) / source.parent.name / source.name
            change = f"{source.parent.name}: {break_package(source, folder, case, seed)}"
            told.put(change)
            precision = "fp32" if case % 2 else "auto"
            try:
                open_model(open_package(folder), provider, precision)
                outcome = Outcome(case, change, "opened")
            except PackageError as refused:
                outcome = Outcome(case, change, "refused", str(refused))
            except Exception as broken:  # noqa: BLE001 - what is looked for
                outcome = Outcome(case, change, type(broken).__name__, str(broken))
            told.put(outcome)


def table(outcomes: list[Outcome]) -> str:
    """Return the page's table: a row a file that was changed."""
    rows: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        file = next((name for name in ("manifest.json", "tokenizer.json") if name in outcome.change), "ONNX")
        kind = outcome.result if outcome.result in {"refused", "opened", "crash", "hang"} else "other error"
        rows.setdefault(file, Counter())[kind] += 1
    kinds = ("refused", "opened", "other error", "crash", "hang")
    lines = [
        "| changed | cases | refused by name | harmless | another error | crash | hang |",
        "|---|---|---|---|---|---|---|",
    ]
    for file, counts in sorted(rows.items()):
        lines.append(f"| {file} | {counts.total():,} | " + " | ".join(f"{counts[kind]:,}" for kind in kinds) + " |")
    return "\n".join(lines)


def main() -> int:
    """Run, print what is bad, and write the figures into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dry-run", action="store_true", help="leave the page as it is")
    asked = parser.parse_args()
    outcomes = []
    for outcome in run(range(asked.first, asked.first + asked.cases), asked.seed):
        outcomes.append(outcome)
        if not outcome.good:
            print(f"case {outcome.case}: {outcome.change}: {outcome.result}: {outcome.detail}", flush=True)
    bad = [outcome for outcome in outcomes if not outcome.good]
    print(table(outcomes))
    if not asked.dry_run:
        refused = sum(outcome.result == "refused" for outcome in outcomes)
        told = (
            f"{len(outcomes):,} broken packages: {refused:,} refused by name, {len(bad)} crashed, hung or else failed"
        )
        report.fill(report.RELIABILITY, "bad-inputs", f"{told} ({report.today()})")
        report.fill(report.RELIABILITY, "bad-inputs-table", table(outcomes))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
