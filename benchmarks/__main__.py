"""`make bench`: the service against its own ceiling, in one run, as JSON and as a table.

python -m benchmarks [--seconds 5] [--out benchmarks.json]
"""

import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.ceiling import Ceiling, measure
from benchmarks.load import Load, drive
from benchmarks.service import running
from benchmarks.texts import texts

_CONNECTIONS = (1, 8, 64)
_KINDS = ("short", "long", "mixed")
_BULK_ITEMS, _BULK_CONNECTIONS = 32, 8


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Length of each measurement.")] = 5,
    out: Annotated[Path | None, typer.Option(help="File for the figures as JSON.")] = None,
    model: Annotated[Path, typer.Option(help="Package for the ceiling.")] = Path("models/sentiment-en"),
) -> None:
    """Measure ceilings and loads, and print what each load reaches of its ceiling."""
    kinds = {kind: texts(kind) for kind in _KINDS}
    ceilings = {kind: measure(model, kind, kinds[kind], seconds) for kind in _KINDS}
    loads: list[Load] = []
    with running() as service:
        for kind in _KINDS:
            drive(service, kind, kinds[kind], connections=8, seconds=1)  # warm-up
            loads += [
                drive(service, kind, kinds[kind], connections=connections, seconds=seconds)
                for connections in _CONNECTIONS
            ]
            bulk = {"connections": _BULK_CONNECTIONS, "items": _BULK_ITEMS}
            loads.append(drive(service, kind, kinds[kind], seconds=seconds, **bulk))
        pss_mb = service.pss_mb()
    typer.echo(_table(ceilings, loads))
    typer.echo(f"\nmemory under load (PSS): {pss_mb:.0f} MB")
    if out is not None:
        figures = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()},
            "pss_mb": round(pss_mb),
            "ceilings": [asdict(ceiling) for ceiling in ceilings.values()],
            "loads": [asdict(load) for load in loads],
        }
        out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


def _table(ceilings: dict[str, Ceiling], loads: list[Load]) -> str:
    lines = [
        "| texts | connections | texts a request | req/s | p50 ms | p99 ms | CPU s per 1,000 | of the bare loop |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, ceiling in ceilings.items():
        lines.append(
            f"| {kind} | bare loop | - | {ceiling.all_cores_texts_s:,.0f} texts/s | {ceiling.alone_ms:.2f} alone | - "
            f"| {ceiling.cpu_s_per_1k:.2f} | 100 % |"
        )
        lines += [
            f"| {kind} | {load.connections} | {load.items} | {load.requests_s:,.0f} | {load.p50_ms:.2f} "
            f"| {load.p99_ms:.2f} | {load.cpu_s_per_1k:.2f} | {load.texts_s / ceiling.all_cores_texts_s:.0%} |"
            for load in loads
            if load.kind == kind
        ]
    if any(load.errors for load in loads):
        lines.append(f"\nerrors: {sum(load.errors for load in loads)}")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
