"""The service beside its own ceiling and beside a naive service, in one run.

    python -m benchmarks [--seconds 4]

Writes its part of docs/performance.md and of the JSON beside it. Needs wrk.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.modelpack.store import latest
from benchmarks.ceiling import Ceiling, measure
from benchmarks.load import Load, drive
from benchmarks.report import PERFORMANCE, Section, publish, run_of
from benchmarks.service import running
from benchmarks.texts import texts

MARK = "own"
_CONNECTIONS = (1, 8, 64)
_KINDS = ("short", "long", "mixed")
_BULK_ITEMS, _BULK_CONNECTIONS = 32, 8
DEFAULT = Path("models/sentiment-en")


def main(
    seconds: Annotated[int, typer.Option(min=1, help="Length of each measurement.")] = 4,
    model: Annotated[Path, typer.Option(help="Package of the bare loop and of the naive service.")] = DEFAULT,
    page: Annotated[Path, typer.Option(help="Page of the table, beside its JSON.")] = PERFORMANCE,
) -> None:
    """Measure the bare loop, the service and a naive one in turn, and show each beside the others."""
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
    found = {
        "seconds": seconds,
        "package": f"{model.name}/{latest(model).name}",
        "pss_mb": round(pss_mb),
        "ceilings": [asdict(ceiling) for ceiling in ceilings.values()],
        "ours": [asdict(one) for one, _ in pairs],
        "naive": [asdict(other) for _, other in pairs if other],
    }
    typer.echo(publish(page, MARK, found, shown))


def shown(section: Section) -> str:
    """Return a run's figures as Markdown."""
    naive = {(load.kind, load.connections, load.items): load for load in (Load(**row) for row in section["naive"])}
    ours = [Load(**row) for row in section["ours"]]
    lines = [
        f"{run_of(section)} with the load generator on them, `{section['package']}`, {section['seconds']} s a cell.",
        "",
        "| texts | conn. | texts a request | req/s | p50 ms | p99 ms | CPU s per 1,000 | naive: req/s, p99, CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for ceiling in (Ceiling(**row) for row in section["ceilings"]):
        lines.append(
            f"| {ceiling.kind} | bare loop | - | {ceiling.all_cores_texts_s:,.0f} texts/s "
            f"| {ceiling.alone_ms:.2f} alone | - | {ceiling.cpu_s_per_1k:.2f} | - |"
        )
        own = [one for one in ours if one.kind == ceiling.kind]
        lines += [_row(one, naive.get((one.kind, one.connections, one.items))) for one in own]
    errors = sum(one.errors for one in ours), sum(other.errors for other in naive.values())
    lines += ["", f"Errors and time-outs (2 s): ours {errors[0]}, naive {errors[1]}."]
    return "\n".join([*lines, f"Memory under load, every bundled package open (PSS): {section['pss_mb']} MB."])


def _row(one: Load, other: Load | None) -> str:
    control = f"{other.requests_s:,.0f}, {other.p99_ms:.1f}, {other.cpu_s_per_1k:.2f}" if other else "-"
    rate = f"{one.requests_s:,.0f}" + (f" ({one.texts_s:,.0f} texts/s)" if one.items > 1 else "")
    return (
        f"| {one.kind} | {one.connections} | {one.items} | {rate} | {one.p50_ms:.2f} "
        f"| {one.p99_ms:.2f} | {one.cpu_s_per_1k:.2f} | {control} |"
    )


if __name__ == "__main__":
    typer.run(main)
