"""One process with two inference threads against two with a core each, and how evenly two share few connections.

    python -m benchmarks.processes [--seconds 4] [--rounds 3]

Both shapes are up all the time and take turns; at four seconds a measurement it takes two minutes or so. Writes its
parts of docs/performance.md, with the JSON beside it, and of docs/reliability.md. Needs wrk.
"""

import contextlib
import http.client
import time
from pathlib import Path
from statistics import median
from typing import Annotated
from urllib.parse import urlsplit

import typer

from benchmarks.load import Load, drive
from benchmarks.report import PERFORMANCE, RELIABILITY, Section, fill, publish, run_of, today
from benchmarks.service import Service, running
from benchmarks.texts import texts

MARK = "processes"
_CONNECTIONS = (8, 64, 256)
_SHAPES = {"1 process, 2 threads": ("1", "2"), "2 processes, as by default": ("2", "0")}
_TRIALS = 10


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Length of each measurement.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which each shape takes its turn.")] = 3,
    performance: Annotated[Path, typer.Option(help="Page of the table.")] = PERFORMANCE,
    page: Annotated[Path, typer.Option(help="Page of the evenness.")] = RELIABILITY,
) -> None:
    """Measure both shapes in turn on short texts, and count the connections that each of two workers gets."""
    kind = texts("short")
    found: dict[tuple[str, int], list[Load]] = {}
    with contextlib.ExitStack() as stack:
        services = {}
        for name, (workers, threads) in _SHAPES.items():
            service = stack.enter_context(running(SLUICE_WORKERS=workers, SLUICE_THREADS=threads))
            drive(service, "short", kind, connections=8, seconds=1)
            services[name] = service
        for connections in _CONNECTIONS * rounds:
            for name, service in services.items():
                load = drive(service, "short", kind, connections=connections, seconds=seconds)
                found.setdefault((name, connections), []).append(load)
    rows = [
        {
            "shape": name,
            "connections": connections,
            "requests_s": median(load.requests_s for load in loads),
            "p99_ms": median(load.p99_ms for load in loads),
        }
        for (name, connections), loads in sorted(found.items())
    ]
    text = publish(performance, MARK, {"seconds": seconds, "rounds": rounds, "rows": rows}, shown)
    with running(SLUICE_WORKERS="2") as service:
        shares = [share(service, 8) for _ in range(_TRIALS)]
    worst = max(max(each) for each in shares)
    fill(page, "balance", f"8 connections, {_TRIALS} times: never more than {worst} on one worker ({today()})")
    typer.echo(f"{text}\n\nconnections of each worker: {shares}")


def shown(section: Section) -> str:
    """Return the medians as Markdown."""
    head = f"{run_of(section)} with the load generator on them, short texts, {section['seconds']} s a measurement"
    lines = [f"{head}, medians of {section['rounds']} rounds.", "", "| | conn. | req/s | p99 ms |", "|---|---|---|---|"]
    lines += [
        f"| {row['shape']} | {row['connections']} | {row['requests_s']:,.0f} | {row['p99_ms']:.1f} |"
        for row in section["rows"]
    ]
    return "\n".join(lines)


def share(service: Service, count: int) -> list[int]:
    """Open so many connections, ask once over each, and return how many each worker got."""
    parts = urlsplit(service.url)
    before = {worker: _sockets(worker) for worker in service.processes[1:]}
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(
                contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port))
            )
            connection.request("GET", "/health/live")
            connection.getresponse().read()
        found = [_sockets(worker) - had for worker, had in before.items()]
    time.sleep(0.2)  # until they are gone
    return found


def _sockets(process: Path) -> int:
    return sum(str(file.readlink()).startswith("socket:") for file in (process / "fd").iterdir())


if __name__ == "__main__":
    typer.run(main)
