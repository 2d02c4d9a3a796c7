"""Half an hour of everything at once, and whether the service then holds what it held once it had warmed up.

python -m benchmarks.soak [--minutes 30] [--callers 8] [--models models] [--page docs/reliability.md]
"""

import json
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated

import httpx
import typer

from benchmarks.report import RELIABILITY, fill, today
from benchmarks.service import Service, running
from benchmarks.traffic import Traffic
from tests.operating import keys_file

_SAMPLES, _WARM_UP_SHARE = 240, 0.1
_PARTS = 10
"""Of the series that is told: the warm-up is the first."""
_MORE_MEMORY_SHARE, _MORE_FILES, _MORE_THREADS = 0.03, 8, 2


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process held at one moment."""

    at_s: float
    pss_mb: float
    files: int
    threads: int


@dataclass(slots=True)
class Run:
    """What a soak saw: samples of the process, and answers by what was asked."""

    minutes: float
    samples: list[Sample] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def thirds(self, of: str) -> tuple[float, float]:
        """Return the median of a figure over the first and the last third, what the warm-up took left out."""
        warm = [each for each in self.samples if each.at_s >= _WARM_UP_SHARE * self.minutes * 60]
        third = max(1, len(warm) // 3)
        first, last = ([float(getattr(each, of)) for each in part] for part in (warm[:third], warm[-third:]))
        return median(first), median(last)

    def series(self, of: str) -> list[float]:
        """Return the median of a figure over each tenth of the run, the warm-up first."""
        tenth_s = self.minutes * 60 / _PARTS
        tenths = [
            [float(getattr(each, of)) for each in self.samples if int(each.at_s / tenth_s) == part]
            for part in range(_PARTS)
        ]
        return [median(values) for values in tenths if values]

    def grown(self) -> list[str]:
        """Return the figures that are not flat."""
        bounds = {
            "pss_mb": self.thirds("pss_mb")[0] * _MORE_MEMORY_SHARE,
            "files": _MORE_FILES,
            "threads": _MORE_THREADS,
        }
        return [of for of, more in bounds.items() if self.thirds(of)[1] - self.thirds(of)[0] > more]


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="Length.")] = 30.0,
    callers: Annotated[int, typer.Option(min=1, help="Callers at once.")] = 8,
    models: Annotated[Path, typer.Option(help="Folder of the packages.")] = Path("models"),
    page: Annotated[Path, typer.Option(help="Page whose figures are replaced.")] = RELIABILITY,
) -> None:
    """Soak, and say what grew; exit 1 where something did, or where an answer was not what was provoked."""
    with guarded(models) as (service, key, grpc_port):
        run = soak(service, minutes, callers, key, grpc_port)
    typer.echo(table(run))
    fill(page, "soak", summary(run))
    fill(page, "soak-table", table(run))
    if run.grown() or run.errors:
        typer.echo(f"not flat: {run.grown()}; errors: {dict(run.errors)}", err=True)
        raise typer.Exit(1)


@contextmanager
def guarded(models: Path) -> Iterator[tuple[Service, str, int]]:
    """Yield the service over ``models`` with every route there is, a key that opens them, and the port of gRPC."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="sluice-soak-") as scratch:
        file, key = keys_file(Path(scratch))
        with running(
            SLUICE_MODELS_DIR=str(models),
            SLUICE_API_KEYS_FILE=str(file),
            SLUICE_ALLOW_ANONYMOUS="1",
            SLUICE_GRPC_PORT=str(port),
            SLUICE_LOG_LEVEL="warning",
        ) as service:
            yield service, key, port


def soak(service: Service, minutes: float, callers: int, key: str, grpc_port: int) -> Run:
    """Let callers ask for so long, the first of them by gRPC and with a key too, and sample the process meanwhile."""
    run, stopped = Run(minutes), threading.Event()
    with httpx.Client(base_url=service.url) as client:
        models = client.get("/v1/models").json()["models"]
    tasks = {model["name"]: model["task"] for model in models if "en" in (model["languages"] or ())}  # as the texts are
    threads = [
        threading.Thread(target=_call, args=(traffic, run, stopped), daemon=True)
        for traffic in (
            Traffic(service.url, tasks, seed, *((key, grpc_port) if seed == 0 else ())) for seed in range(callers)
        )
    ]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    while (at_s := time.monotonic() - started) < minutes * 60:
        run.samples.append(_sample(service, at_s))
        time.sleep(max(0.2, minutes * 60 / _SAMPLES))
    stopped.set()
    for thread in threads:
        thread.join(60)
    return run


def _call(traffic: Traffic, run: Run, stopped: threading.Event) -> None:
    with traffic:
        while not stopped.is_set():
            name, wrong = traffic.step()
            with run.lock:
                run.answers[name] += 1
                run.errors += Counter([f"{name}: {wrong}"] if wrong else [])


def _sample(service: Service, at_s: float) -> Sample:
    files, threads = (
        sum(1 for process in service.processes for _ in (process / folder).iterdir()) for folder in ("fd", "task")
    )
    return Sample(at_s, service.pss_mb(), files, threads)


def summary(run: Run) -> str:
    """Return the line's figure."""
    first, last = run.thirds("pss_mb")
    state = "flat" if not run.grown() else f"{', '.join(run.grown())} grew"
    return (
        f"{run.minutes:g} minutes, {run.answers.total():,} requests, {run.errors.total()} unprovoked errors; "
        f"memory {first:.0f} to {last:.0f} MB: {state} ({today()})"
    )


def table(run: Run) -> str:
    """Return the figures as Markdown: the process by thirds, and the answers by what was asked."""
    lines = ["| | first third | last third |", "|---|---|---|"]
    for of, name in (("pss_mb", "memory (PSS), MB"), ("files", "open files"), ("threads", "threads")):
        first, last = run.thirds(of)
        lines.append(f"| {name} | {first:.1f} | {last:.1f} |")
    series = ", ".join(f"{value:.0f}" for value in run.series("pss_mb"))
    lines += ["", f"Memory by tenths of the run, of which the first is left out above, in MB: {series}."]
    lines += ["", "| asked | times | not as expected |", "|---|---|---|"]
    for name, count in sorted(run.answers.items()):
        wrong = {each.partition(": ")[2]: times for each, times in run.errors.items() if each.startswith(f"{name}: ")}
        lines.append(f"| {name} | {count:,} | {json.dumps(wrong) if wrong else 0} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
