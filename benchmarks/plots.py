"""The plots of docs/performance.md, drawn from the JSON beside it: one look, colours that all can tell apart.

python -m benchmarks.plots [--page docs/performance.md]
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.report import PERFORMANCE, kept

INKS = {"short": "#0072B2", "long": "#D55E00", "mixed": "#009E73"}
"""Of the palette of Okabe and Ito (2008), which the colour-blind can tell apart; markers say the same again."""
MARKERS = {"short": "o", "long": "s", "mixed": "^"}
_SIZE = (9.0, 3.6)
"""In inches."""
_MOST_REFUSED = 0.01
_THIRD, _GREY = "#CC79A7", "0.45"
_LOOK: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "sluice",  # the same figures make the same file
    "svg.fonttype": "none",
}

mpl.use("Agg")


def draw(page: Path) -> Iterator[Path]:
    """Draw every plot whose figures are in the JSON beside a page, into the folder of its name; yield the files."""
    sections = kept(page)
    folder = page.with_suffix("")
    for name, (needed, plot) in PLOTS.items():
        if needed <= sections.keys():
            folder.mkdir(exist_ok=True)
            with mpl.rc_context(_LOOK):
                figure = plot(sections)
                figure.savefig(folder / name, metadata={"Date": None})
            yield folder / name


def throughput(sections: Mapping[str, Any]) -> Figure:
    """Return latency against throughput, a point a number of connections."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    for axis, quantile in zip(figure.subplots(1, 2, sharey=True), ("p50", "p99"), strict=True):
        for kind, loads in _by_kind(sections["curves"]):
            rates, latencies = [load["requests_s"] for load in loads], [load[f"{quantile}_ms"] for load in loads]
            _line(axis, kind, rates, latencies)
            for load, rate, latency in zip(loads, rates, latencies, strict=True):
                axis.annotate(str(load["connections"]), (rate, latency), (3, 3), textcoords="offset points", fontsize=6)
        axis.set(xlabel="requests/s", title=f"{quantile} against throughput")
        _logarithmic(axis)
    figure.axes[0].set_ylabel("latency, ms")
    lines, kinds = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, kinds, title="texts; a point a number of connections", loc="outside lower center", ncols=3)
    return figure


def cost(sections: Mapping[str, Any]) -> Figure:
    """Return CPU time against the length of a text, and against the connections."""
    figure, length, connections = _two()
    curves = sections["curves"]
    points = curves["words"]
    _line(length, "mixed", [at["words"] for at in points], [at["cpu_s_per_1k"] for at in points])
    length.set(xlabel="words of a text", ylabel="CPU ms a request", title="Length, 16 connections")
    for kind, loads in _by_kind(curves):
        _line(connections, kind, [at["connections"] for at in loads], [at["cpu_s_per_1k"] for at in loads])
    connections.set(xlabel="connections", ylabel="CPU ms a request", title="Connections")
    connections.legend()
    for axis in (length, connections):
        _logarithmic(axis)
    return figure


def batching(sections: Mapping[str, Any]) -> Figure:
    """Return CPU time against the texts of a request, and against the rows of a batch of the model alone."""
    figure, items, rows = _two()
    points = sections["curves"]["items"]
    _line(items, "short", [at["items"] for at in points], [at["cpu_s_per_1k"] / at["items"] for at in points])
    items.set(xlabel="short texts a request", ylabel="CPU ms a text", title="Texts of a request, 8 connections")
    for kind, found in zip(("short", "long"), sections["batches"]["lengths"], strict=True):
        sizes = list(map(int, found["us_a_row"]))
        label = f"{kind}, {found['tokens']} tokens"
        _line(rows, kind, sizes, [us / 1000 for us in found["us_a_row"].values()], label=label)
    rows.set(xlabel="rows of a batch", ylabel="CPU ms a row", title="The model alone, by rows of a batch")
    rows.legend()
    for axis in (items, rows):
        _logarithmic(axis)
    return figure


def open_loop(sections: Mapping[str, Any]) -> Figure:
    """Return latency from the intended start, and what is answered, against the rate that comes."""
    figure, latency, answered = _two()
    points = sections["curves"]["rates"]
    rates = [at["rate"] for at in points]
    sustained = [at["rate"] for at in takewhile(lambda at: at["sustained"], points)]
    _line(latency, "short", rates, [at["p50_ms"] for at in points], label="p50")
    _line(latency, "long", rates, [at["p99_ms"] for at in points], label="p99")
    latency.set(ylabel="ms from the intended start", title="Latency of what is answered")
    answered.plot(rates, rates, color=_GREY, linestyle=":", label="offered")
    _line(answered, "mixed", rates, [at["goodput"] for at in points], label="answered within the run")
    refused = [at["refused"] / at["seconds"] for at in points]
    answered.plot(rates, refused, color=_THIRD, marker="D", label="refused (429)")
    answered.set(ylabel="requests/s", title="Answers")
    for axis in (latency, answered):
        axis.set_xlabel("mixed texts offered a second, open loop")
        if sustained:
            axis.axvline(sustained[-1], color=_GREY, linestyle="--", label=f"sustained: {sustained[-1]:,.0f}/s")
        axis.legend()
    _logarithmic(latency, both=False)
    return figure


PLOTS: dict[str, tuple[set[str], Callable[[Mapping[str, Any]], Figure]]] = {
    "throughput.svg": ({"curves"}, throughput),
    "cost.svg": ({"curves"}, cost),
    "batching.svg": ({"curves", "batches"}, batching),
    "open-loop.svg": ({"curves"}, open_loop),
}
"""Each file with the sections that it is drawn from, and how."""


def _by_kind(curves: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Yield the measurements of each kind of text; those of which more was refused are of another work."""
    loads, seconds = curves["connections"], curves["seconds"]
    good = [load for load in loads if load["errors"] <= _MOST_REFUSED * load["requests_s"] * seconds]
    for kind in INKS:
        yield kind, [load for load in good if load["kind"] == kind]


def _line(axis: Axes, kind: str, across: Sequence[float], up: Sequence[float], label: str | None = None) -> None:
    axis.plot(across, up, color=INKS[kind], marker=MARKERS[kind], label=label or kind)


def _two() -> tuple[Figure, Axes, Axes]:
    """Return a figure of two plots side by side."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    left, right = figure.subplots(1, 2)
    return figure, left, right


def _logarithmic(axis: Axes, *, both: bool = True) -> None:
    """Make the axes, or the vertical one alone, logarithmic, with numbers as numbers, not as powers of ten."""
    axis.set(yscale="log", **({"xscale": "log"} if both else {}))
    for side in (axis.xaxis, axis.yaxis) if both else (axis.yaxis,):
        side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        side.set_minor_locator(NullLocator())


def main(page: Annotated[Path, typer.Option(help="Page of the plots, beside its JSON.")] = PERFORMANCE) -> None:
    """Draw the plots anew."""
    for file in draw(page):
        typer.echo(f"{file}: drawn")


if __name__ == "__main__":
    typer.run(main)
