"""From the start of the process until it is ready, again and again, with the bundled packages.

    python -m benchmarks.start [--times 5] [--models models]

Byte code is there beforehand, as it is in the image. Writes its figure into docs/reliability.md and into
docs/performance.json.
"""

import compileall
import resource
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

import app
from benchmarks.report import PERFORMANCE, RELIABILITY, fill, keep, today
from benchmarks.service import running

MARK = "start"
TARGET_S = 1.5


def main(
    times: Annotated[int, typer.Option(min=1, help="Starts.")] = 5,
    models: Annotated[Path, typer.Option(help="Folder of the packages.")] = Path("models"),
    page: Annotated[Path, typer.Option(help="Page whose figure is replaced.")] = RELIABILITY,
    performance: Annotated[Path, typer.Option(help="Page beside whose JSON it is kept.")] = PERFORMANCE,
) -> None:
    """Start and stop the service, and write the median time until it was ready, and the CPU that a start took."""
    for folder in app.__path__:
        compileall.compile_dir(folder, quiet=1)
    seconds = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        began = time.monotonic()
        with running(SLUICE_MODELS_DIR=str(models), SLUICE_LOG_LEVEL="warning", whole=False):
            seconds.append(time.monotonic() - began)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / times
    packages = sum(1 for _ in models.glob("*/*/manifest.json"))
    figure = f"{median(seconds):.2f} s, the median of {times}; {cpu_s:.2f} s of CPU; {packages} packages ({today()})"
    fill(page, MARK, figure)
    keep(performance, MARK, {"ready_s": median(seconds), "cpu_s": cpu_s, "times": times, "packages": packages})
    typer.echo(f"{figure}; target {TARGET_S} s")


if __name__ == "__main__":
    typer.run(main)
