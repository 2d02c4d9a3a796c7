"""The curves behind the plots: what rate, latency and cost do as one thing changes and the rest stays.

    python -m benchmarks.curves [--seconds 3]

Over connections (short, long and mixed texts), over the words of a text, over the texts of a request, and over the rate
at which requests come, whether or not those before are answered. Writes the section ``curves`` of docs/performance.json
and the plots made of it. Needs wrk.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.load import Load, drive
from benchmarks.openloop import Segment
from benchmarks.overload import drive as drive_open
from benchmarks.overload import phase, sustained
from benchmarks.plots import draw
from benchmarks.report import PERFORMANCE, keep
from benchmarks.service import Service, running
from benchmarks.texts import of_words, texts

MARK = "curves"
_KINDS = ("short", "long", "mixed")
_CONNECTIONS = (1, 2, 4, 8, 32, 64, 128, 256)
_WORDS = (4, 16, 64, 160, 400, 1000)
_ITEMS = (1, 2, 4, 8, 16, 32, 64)
_FEW, _BULK = 16, 8
"""Connections while the length of a text is what changes, and while the texts of a request are."""
_SHARES = (0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.15)
"""Of the rate of mixed texts over 64 closed connections."""


def over_connections(service: Service, seconds: int) -> Iterator[Load]:
    """Yield a measurement a kind of text and number of connections."""
    for kind in _KINDS:
        for connections in _CONNECTIONS:
            yield drive(service, kind, texts(kind), connections=connections, seconds=seconds)


def over_words(service: Service, seconds: int) -> Iterator[dict[str, Any]]:
    """Yield what texts of so many words cost."""
    for words in _WORDS:
        load = drive(service, f"{words} words", of_words(words), connections=_FEW, seconds=seconds)
        yield {"words": words, **asdict(load)}


def over_items(service: Service, seconds: int) -> Iterator[Load]:
    """Yield what a request with so many short texts costs."""
    for items in _ITEMS:
        yield drive(service, "short", texts("short"), connections=_BULK, seconds=seconds, items=items)


def over_rates(service: Service, peak_requests_s: float, seconds: int) -> Iterator[dict[str, Any]]:
    """Yield what becomes of mixed texts that come at so many a second; latency from the intended start."""
    for share in _SHARES:
        segment = Segment(share * peak_requests_s, seconds)
        before = service.cpu_s(), service.loop_cpu_s()
        driven = drive_open(service, "mixed", [segment]).calls
        cpu = service.cpu_s() - before[0], service.loop_cpu_s() - before[1]
        found = phase(f"{share:.0%}", segment, driven, 0.0, cpu)
        yield {**asdict(found), "sustained": sustained(driven)}


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Length of each measurement.")] = 3,
    page: Annotated[Path, typer.Option(help="Page of the plots, beside its JSON.")] = PERFORMANCE,
) -> None:
    """Measure every curve, keep it, and draw the plots."""
    with running(SLUICE_LOG_LEVEL="warning") as service:
        drive(service, "mixed", texts("mixed"), connections=_FEW, seconds=2)  # warm-up: it learns what batches take
        loads = [_told(load) for load in over_connections(service, seconds)]
        peak = next(load.requests_s for load in loads if (load.kind, load.connections) == ("mixed", 64))
        rates = [_told_rate(rate) for rate in over_rates(service, peak, seconds)]
    with running(SLUICE_LOG_LEVEL="warning") as service:  # what the overload taught it is no part of the rest
        drive(service, "short", texts("short"), connections=_FEW, seconds=1)
        words = list(over_words(service, seconds))
        items = [_told(load) for load in over_items(service, seconds)]
    found = {
        "seconds": seconds,
        "connections": [asdict(load) for load in loads],
        "words": words,
        "items": [asdict(load) for load in items],
        "rates": rates,
    }
    keep(page, MARK, found)
    for file in draw(page):
        typer.echo(f"{file}: drawn")


def _told(load: Load) -> Load:
    typer.echo(
        f"{load.kind}, {load.connections} connections, {load.items} texts a request: {load.requests_s:,.0f} a second, "
        f"p50 {load.p50_ms:.2f} ms, p99 {load.p99_ms:.2f} ms, {load.cpu_s_per_1k:.2f} CPU s per 1,000"
    )
    return load


def _told_rate(rate: dict[str, Any]) -> dict[str, Any]:
    typer.echo(
        f"{rate['rate']:,.0f} a second offered: {rate['goodput']:,.0f} answered in time, p50 {rate['p50_ms']:.1f} ms, "
        f"p99 {rate['p99_ms']:.1f} ms, {rate['refused']:,} refused"
    )
    return rate


if __name__ == "__main__":
    typer.run(main)
