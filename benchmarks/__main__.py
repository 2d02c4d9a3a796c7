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
DEFAULT = Path("models/sentiment-en")


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Length of each measurement.")] = 4,
    out: Annotated[Path | None, typer.Option(help="File for the figures as JSON.")] = None,
    model: Annotated[Path, typer.Option(help="Package of the bare loop and of the naive service.")] = DEFAULT,
) -> None:
    """Measure the bare loop, the service and a naive one in turn, and print each beside the others."""
    kinds = {kind: texts(kind) for kind in _KINDS}
    ceilings = {kind: measure(model, kind, kinds[kind], seconds) for kind in _KINDS}
    pairs: list[tuple[Load, Load | None]] = []
    with running() as ours, running("benchmarks.naive", "PORT", str(model)) as naive:
        for kind in _KINDS:
            for service in (ours, naive):
                drive(service, kind, kinds[kind], connections=8, seconds=1)  # warm-up
            for connections in _CONNECTIONS:
                one, other = (
                    drive(service, kind, kinds[kind], connections=connections, seconds=seconds)
                    for service in (ours, naive)
                )
                pairs.append((one, other))
            bulk = {"connections": _BULK_CONNECTIONS, "items": _BULK_ITEMS}
            pairs.append((drive(ours, kind, kinds[kind], seconds=seconds, **bulk), None))
        pss_mb = ours.pss_mb()
    typer.echo(_table(ceilings, pairs))
    typer.echo(f"\nmemory under load (PSS): {pss_mb:.0f} MB")
    if out is not None:
        figures = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()},
            "pss_mb": round(pss_mb),
            "ceilings": [asdict(ceiling) for ceiling in ceilings.values()],
            "ours": [asdict(one) for one, _ in pairs],
            "naive": [asdict(other) for _, other in pairs if other],
        }
        out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


def _table(ceilings: dict[str, Ceiling], pairs: list[tuple[Load, Load | None]]) -> str:
    lines = [
        "| texts | conn. | texts a request | req/s | p50 ms | p99 ms | CPU s per 1,000 | naive: req/s, p99, CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, ceiling in ceilings.items():
        lines.append(
            f"| {kind} | bare loop | - | {ceiling.all_cores_texts_s:,.0f} texts/s | {ceiling.alone_ms:.2f} alone | - "
            f"| {ceiling.cpu_s_per_1k:.2f} | - |"
        )
        lines += [_row(one, other) for one, other in pairs if one.kind == kind]
    errors = sum(one.errors for one, _ in pairs), sum(other.errors for _, other in pairs if other)
    return "\n".join([*lines, f"\nerrors and time-outs (2 s): ours {errors[0]}, naive {errors[1]}"])


def _row(one: Load, other: Load | None) -> str:
    control = f"{other.requests_s:,.0f}, {other.p99_ms:.1f}, {other.cpu_s_per_1k:.2f}" if other else "-"
    rate = f"{one.requests_s:,.0f}" + (f" ({one.texts_s:,.0f} texts/s)" if one.items > 1 else "")
    return (
        f"| {one.kind} | {one.connections} | {one.items} | {rate} | {one.p50_ms:.2f} "
        f"| {one.p99_ms:.2f} | {one.cpu_s_per_1k:.2f} | {control} |"
    )


if __name__ == "__main__":
    typer.run(main)
