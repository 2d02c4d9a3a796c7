"""From the start of the process until it is ready, again and again: with every bundled package, and with two of them.

    python -m benchmarks.start [--times 5] [--models models]

Byte code is there beforehand, as it is in the image. Writes its figure into docs/reliability.md and into
docs/performance.json.
"""

import compileall
import resource
import time
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import typer

import app
from benchmarks.report import PERFORMANCE, RELIABILITY, fill, keep, today
from benchmarks.service import only, running

MARK = "start"
TARGET_S = 1.5


_FEW = ("sentiment-en", "sentiment-zh")


class Starts(NamedTuple):
    """What starts took in the median, and the CPU seconds of one."""

    ready_s: float
    cpu_s: float


def started(models: Path, times: int) -> Starts:
    """Start and stop the service so many times."""
    seconds = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        began = time.monotonic()
        with running(SLUICE_MODELS_DIR=str(models), SLUICE_LOG_LEVEL="warning", whole=False):
            seconds.append(time.monotonic() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Starts(median(seconds), cpu_s / times)


def main(
    times: Annotated[int, typer.Option(min=1, help="Starts of each kind.")] = 5,
    models: Annotated[Path, typer.Option(help="Folder of the packages.")] = Path("models"),
    page: Annotated[Path, typer.Option(help="Page whose figure is replaced.")] = RELIABILITY,
    performance: Annotated[Path, typer.Option(help="Page beside whose JSON it is kept.")] = PERFORMANCE,
) -> None:
    """Start and stop the service, and write the median time until it was ready, and the CPU that a start took."""
    for folder in app.__path__:
        compileall.compile_dir(folder, quiet=1)
    every = started(models, times)
    with only(*(models / name for name in _FEW)) as two:
        few = started(two, times)
    packages = sum(1 for _ in models.glob("*/*/manifest.json"))
    figure = (
        f"{every.ready_s:.2f} s, the median of {times}; {every.cpu_s:.2f} s of CPU; {packages} packages; "
        f"{few.ready_s:.2f} s with {' and '.join(_FEW)} alone ({today()})"
    )
    fill(page, MARK, figure)
    kept = {**every._asdict(), "times": times, "packages": packages, "few": few._asdict()}
    keep(performance, MARK, kept)
    typer.echo(f"{figure}; target {TARGET_S} s")


if __name__ == "__main__":
    typer.run(main)
