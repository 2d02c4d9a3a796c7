"""The cheapest correct graph of each bundled package: what each choice of the export is worth, in one run.

    python -m benchmarks.graphs [--rounds 5]

Each graph beside its other forms (``benchmarks.variants``): file in MB, CPU milliseconds until it is open, CPU
microseconds a short and a long text, and the share of texts on which it decides as the fp32 graph does. Writes its part
of docs/performance.md and of the JSON beside it.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

from app.modelpack.manifest import Role
from app.modelpack.store import Package, discover
from benchmarks.report import PERFORMANCE, Section, publish, run_of
from benchmarks.variants import FP32, PACKED, variants
from benchmarks.work import Work, work_of

MARK = "graphs"
_TIMES = ("mb", "open_ms", "short_us", "long_us")


@dataclass(slots=True)
class Cost:
    """What a form of a graph costs, the least of the rounds, and how often it decides as the fp32 graph does."""

    mb: float
    open_ms: float = float("inf")
    short_us: float = float("inf")
    long_us: float = float("inf")
    agrees: float = 0.0


def costs(package: Package, rounds: int, role: Role = "model") -> dict[str, Cost]:
    """Return what each form of a package's graph costs; in a round each takes its turn."""
    kinds = list(variants(package, role))
    found = {kind.name: Cost(len(kind.raw) / 1e6) for kind in kinds}
    work = work_of(package, role)
    decided = {}
    for _ in range(rounds):
        for kind in kinds:
            cost = found[kind.name]
            started = time.process_time()
            session = kind.session()
            cost.open_ms = min(cost.open_ms, 1000 * (time.process_time() - started))
            decided[kind.name] = work.decisions(session)
            cost.short_us = min(cost.short_us, _us(session, work, work.short))
            cost.long_us = min(cost.long_us, _us(session, work, work.long))
    for name, decisions in decided.items():
        found[name].agrees = float((decisions == decided[FP32]).mean())
    return found


def shown(section: Section) -> str:
    """Return a run's figures as Markdown: what each choice comes to, then every graph."""
    head = f"{run_of(section)}, one thread of CPU time, the least of {section['rounds']} rounds."
    return "\n".join([head, "", *_summary(section["graphs"]), "", *_everything(section["graphs"])])


def _summary(graphs: dict[str, Any]) -> list[str]:
    """Return the medians over all graphs, beside the packed form's."""
    lines = [
        "| form, beside what is packed | MB | open | short text | long text | decides as fp32, at least | graphs |",
        "|---|---|---|---|---|---|---|",
    ]
    for form in dict.fromkeys(form for forms in graphs.values() for form in forms):
        having = [forms for forms in graphs.values() if form in forms]
        ratios = [f"{median(forms[form][of] / forms[PACKED][of] for forms in having):.2f}x" for of in _TIMES]
        least = min(forms[form]["agrees"] for forms in having)
        lines.append(f"| {form} | {' | '.join(ratios)} | {least:.1%} | {len(having)} |")
    return lines


def _everything(graphs: dict[str, Any]) -> list[str]:
    lines = [
        "| graph | form | MB | open ms | short text us | long text us | decides as fp32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for graph, forms in graphs.items():
        for form, cost in forms.items():
            times = f"{cost['mb']:.1f} | {cost['open_ms']:.0f} | {cost['short_us']:,.0f} | {cost['long_us']:,.0f}"
            lines.append(f"| {graph} | {form} | {times} | {cost['agrees']:.1%} |")
    return lines


def main(
    models: Annotated[Path, typer.Option(help="Folder of the packages.")] = Path("models"),
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the least counts.")] = 5,
    page: Annotated[Path, typer.Option(help="Page of the tables, beside its JSON.")] = PERFORMANCE,
) -> None:
    """Measure every graph that is there as int8 and as fp32, and fill the page."""
    found = {}
    for package in (one for one in discover(models) if isinstance(one, Package)):
        for role in _roles(package):
            name = f"{package.name}/{package.version}" + ("" if role == "model" else f" {role}")
            found[name] = {form: asdict(cost) for form, cost in costs(package, rounds, role).items()}
            typer.echo(f"{name}: {len(found[name])} forms measured")
    typer.echo(publish(page, MARK, {"rounds": rounds, "graphs": found}, shown))


def _roles(package: Package) -> Iterator[Role]:
    """Yield the roles that the package has both precisions of."""
    for role in dict.fromkeys(graph.role for graph in package.manifest.graphs):
        if package.manifest.graph("int8", role) and package.manifest.graph("fp32", role):
            yield role


def _us(session: Any, work: Work, runs: list[dict[str, np.ndarray[Any, Any]]]) -> float:
    """Return the CPU microseconds a text."""
    started = time.process_time()
    for feeds in runs:
        session.run(list(work.outputs), feeds)
    texts = sum(work.texts_of(feeds) for feeds in runs)
    return 1e6 * (time.process_time() - started) / texts


if __name__ == "__main__":
    typer.run(main)
