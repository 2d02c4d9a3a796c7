"""The tables of a side-by-side run in docs/performance.md, ours against the best peer of each cell, and the README's.

    python -m benchmarks.side_by_side RESULTS [--mixed RESULTS] [--bare LIMITS] [--posts SHARES]

RESULTS has the run's lines of JSON, with ``sluice`` among the targets; ``--mixed`` those of a run whose short texts are
of mixed length; ``--bare`` those of the bare loop over the same work, and ``--posts`` what many texts a POST came to as
shares of the bare loop where both took turns. A cell's figures are the medians of its rounds.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from benchmarks.posts import CONNECTIONS, ITEMS
from benchmarks.report import PERFORMANCE, README, Section, fill, kept, publish, run_of

OURS = "sluice"
MARK = "side-by-side"
_HEAD = (
    "| texts | conn. | texts a request | ours: req/s, p50 ms, p99 ms, CPU s/1k | best peer: req/s, p99 ms, CPU s/1k | "
    "req/s, ours / best | p99, ours / that peer's | texts/s, ours / bare loop |"
)
_ROW = "|---|---|---|---|---|---|---|---|"


_NAMES = {
    OURS: "**Sluice**",
    "triton": "Triton, Python backend",
    "mosec": "mosec",
    "fastapi_ort": "FastAPI and ONNX Runtime, a text at a time",
}


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """What was asked of each target: texts a request, kind of text, connections."""

    items: int
    kind: str
    connections: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One target in one cell."""

    texts_s: float
    p50_ms: float
    p99_ms: float
    cpu_s_per_1k: float
    errors: int


Results = dict[Cell, dict[str, Figures]]
Shares = dict[str, dict[str, float]]
"""Of each kind of text, a share of the bare loop's texts a second (``per_s``) and a second of CPU (``per_cpu_s``)."""

_TOLD = {
    Cell(1, "short", 1): "short texts, 1 connection",
    Cell(1, "short", 64): "short texts, 64 connections",
    Cell(1, "mixed", 64): "mixed lengths, 64",
    Cell(1, "long", 64): "long texts, 64",
    Cell(32, "short", 8): "32 short texts a request, 8",
}
"""The cells that the README tells of."""


def read(lines: Iterable[str], mixed: Iterable[str] = ()) -> Results:
    """Return each target's figures by cell; the short texts of ``mixed`` are of mixed length."""
    rounds: dict[Cell, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for row, of_mixed in [*((json.loads(x), False) for x in lines), *((json.loads(x), True) for x in mixed)]:
        if row["kind"] in {"single", "batch32"}:
            cell = Cell(32 if row["kind"] == "batch32" else 1, "mixed" if of_mixed else row["set"], row["connections"])
            rounds[cell][row["peer"]].append(row)
    return {
        cell: {name: _figures(found, cell.items) for name, found in targets.items()}
        for cell, targets in sorted(rounds.items(), key=lambda one: _order(one[0]))
    }


def table(results: Results, bare: dict[str, float]) -> str:
    """Return the tables: ours against the best peer of each cell, and every target's figures."""
    lines = [_HEAD, _ROW]
    for cell, targets in results.items():
        if OURS in targets:
            lines.append(_against(cell, targets, bare.get(cell.kind)))
    return "\n".join([*lines, "", *_everyone(results)])


def bare_loop(lines: Iterable[str]) -> dict[str, float]:
    """Return the bare loop's best texts a second by kind of text, on all cores, over texts as they come."""
    best: dict[str, float] = {}
    for row in map(json.loads, lines):
        if row["procs"] > 1 and not row["sorted"]:  # sorted: beyond a window that a service could wait for
            best[row["set"]] = max(best.get(row["set"], 0.0), row["texts_s"])
    return best


def best_peer(targets: dict[str, Figures]) -> tuple[str, Figures] | None:
    """Return the peer with the most texts a second in a cell, and its figures; nothing where there is none."""
    peers = {name: found for name, found in targets.items() if name != OURS}
    return max(peers.items(), key=lambda one: one[1].texts_s) if peers else None


def ratio(one: float, other: float) -> float | None:
    """Return one beside the other; nothing where the other answered nothing."""
    return one / other if other else None


def as_json(results: Results, bare: dict[str, float], posts: Shares | None = None) -> Section:
    """Return what JSON keeps of a run."""
    cells = [
        {**asdict(cell), "targets": {name: asdict(one) for name, one in targets.items()}}
        for cell, targets in results.items()
    ]
    return {"cells": cells, "bare_texts_s": bare, "posts": posts or {}}


def of_json(section: Section | None) -> tuple[Results, dict[str, float]]:
    """Return what JSON has kept of a run, nothing where there is none."""
    results: Results = {}
    for row in section["cells"] if section else ():
        cell = Cell(row["items"], row["kind"], row["connections"])
        results[cell] = {name: Figures(**one) for name, one in row["targets"].items()}
    return results, dict(section["bare_texts_s"]) if section else {}


def shown(section: Section) -> str:
    """Return a run's figures as Markdown."""
    return f"{run_of(section)}.\n\n{table(*of_json(section))}{_in_turns(section.get('posts', {}))}"


def _in_turns(posts: Shares) -> str:
    told = "; ".join(f"{kind} {one['per_s']:.2f}, by CPU time {one['per_cpu_s']:.2f}" for kind, one in posts.items())
    head = f"{ITEMS} texts a POST over {CONNECTIONS} connections, in turn with the bare loop, as shares of its texts/s"
    return f"\n\n{head}: {told}." if told else ""


def brief(section: Section) -> str:
    """Return what the README tells of a run: each target's texts a second and p99 in a few of its cells."""
    results, _ = of_json(section)
    told = {title: results[cell] for cell, title in _TOLD.items() if cell in results}
    lines = [f"| texts/s, p99 ms | {' | '.join(told)} |", "|---" * (len(told) + 1) + "|"]
    for name in _by_work(results):
        found = [targets.get(name) for targets in told.values()]
        cells = [f"{one.texts_s:,.0f}, {one.p99_ms:.1f}" if one else "-" for one in found]
        lines.append(f"| {_NAMES.get(name, name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _figures(rows: list[Any], items: int) -> Figures:
    def middle(field: str) -> float:
        return median(float(row[field]) for row in rows)

    return Figures(
        texts_s=items * middle("req_s"),
        p50_ms=middle("p50_ms"),
        p99_ms=middle("p99_ms"),
        cpu_s_per_1k=middle("cpu_s_per_1k"),
        errors=sum(row["errors"] for row in rows),
    )


def _against(cell: Cell, targets: dict[str, Figures], bare: float | None) -> str:
    ours = targets[OURS]
    head = f"| {cell.kind} | {cell.connections} | {cell.items} | {_shown(ours, cell, p50=True)} |"
    ceiling = f"{ours.texts_s / bare:.2f}" if bare and cell.connections > 1 else "-"
    found = best_peer(targets)
    if found is None:
        return f"{head} - | - | - | {ceiling} |"
    name, best = found
    rate, tail = ratio(ours.texts_s, best.texts_s), ratio(ours.p99_ms, best.p99_ms)
    of_peer = " | ".join("-" if one is None else f"{one:.2f}" for one in (rate, tail))
    return f"{head} {name}: {_shown(best, cell)} | {of_peer} | {ceiling} |"


def _everyone(results: Results) -> list[str]:
    titles = [f"{cell.kind}, {cell.connections}" + (", 32 a POST" if cell.items > 1 else "") for cell in results]
    lines = [f"| texts/s, p99 ms (errors) | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name in _by_work(results):
        cells = [targets.get(name) for targets in results.values()]
        shown = [
            f"{one.texts_s:,.0f}, {one.p99_ms:.1f}" + (f" ({one.errors})" if one.errors else "") if one else "-"
            for one in cells
        ]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return lines


def _by_work(results: Results) -> list[str]:
    """Return the targets, the one that did most first."""
    return sorted(
        {name for targets in results.values() for name in targets},
        key=lambda name: -sum(targets[name].texts_s for targets in results.values() if name in targets),
    )


def _shown(found: Figures, cell: Cell, *, p50: bool = False) -> str:
    middle = f", {found.p50_ms:.2f}" if p50 else ""
    return f"{found.texts_s / cell.items:,.0f}{middle}, {found.p99_ms:.1f}, {found.cpu_s_per_1k:.2f}"


def _order(cell: Cell) -> tuple[int, int, int]:
    return cell.items, ["short", "long", "mixed"].index(cell.kind), cell.connections


def main(
    results: Annotated[Path, typer.Argument(help="The run's lines of JSON.")],
    *,
    mixed: Annotated[Path | None, typer.Option(help="Those of the run with texts of mixed length.")] = None,
    bare: Annotated[Path | None, typer.Option(help="Those of the bare loop.")] = None,
    posts: Annotated[Path | None, typer.Option(help="Shares of the bare loop where both took turns.")] = None,
    page: Annotated[Path, typer.Option(help="Page of the tables, beside its JSON.")] = PERFORMANCE,
    readme: Annotated[Path, typer.Option(help="Page of the brief table.")] = README,
) -> None:
    """Write the tables between the marks of the pages, and print those of the first."""
    shares: Shares = json.loads(posts.read_text("utf-8")) if posts is not None else {}
    figures = as_json(read(_lines(results), _lines(mixed)), bare_loop(_lines(bare)), shares)
    typer.echo(publish(page, MARK, figures, shown))
    fill(readme, MARK, brief(kept(page)[MARK]))


def _lines(path: Path | None) -> list[str]:
    return path.read_text("utf-8").splitlines() if path is not None else []


if __name__ == "__main__":
    typer.run(main)
