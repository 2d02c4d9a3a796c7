"""The pictures of a study's pages."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from training.plots import DPI, WIDTH_IN
from training.study.results import Results
from training.study.search_page import SearchResults
from training.study.tables import difference

# Without a date in the file, the same results make the same bytes.
METADATA = {"Software": None, "Creation Time": None}
INK = {"fp32": "tab:blue", "int8": "tab:orange"}


def differences(found: Results, set_name: str, out: Path) -> None:
    """Draw one line a technique: the paired difference on one set with its interval, best at the top."""
    gaps = [(one.name, gap) for one in found.techniques if (gap := difference(one, set_name)) is not None]
    gaps.sort(key=lambda pair: pair[1].difference)
    figure = Figure(figsize=(WIDTH_IN, 1.2 + 0.24 * len(gaps)), layout="constrained")
    axis = figure.subplots()
    for at, (_, gap) in enumerate(gaps):
        ink = "tab:blue" if gap.clear else "0.6"
        if gap.low is not None and gap.high is not None:
            axis.plot([gap.low, gap.high], [at, at], color=ink, linewidth=1.5)
        axis.plot(gap.difference, at, "o", color=ink, markersize=5)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(gaps)), [name for name, _ in gaps], fontsize=8)
    axis.set(
        xlabel="points on dev, on minus off, paired by seed; blue where the interval leaves out zero", title=set_name
    )
    axis.grid(axis="x", linewidth=0.4)
    figure.savefig(out, dpi=DPI, metadata=METADATA)


def cells(found: Results, out: Path) -> None:
    """Draw the time of a call for each cell, one panel a shape, fp32 beside int8."""
    timed = [(cell.name, cell.speed) for cell in found.cells if cell.speed and cell.speed.timings]
    shapes = list(dict.fromkeys((one.rows, one.tokens) for _, speed in timed for one in speed.timings))
    figure = Figure(figsize=(WIDTH_IN, 3.0), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(shapes)))
    for panel, shape in zip(panels, shapes, strict=True):
        for side, (precision, ink) in enumerate(INK.items()):
            heights = [
                one.ms
                for _, speed in timed
                for one in speed.timings
                if (one.rows, one.tokens) == shape and one.precision == precision
            ]
            panel.bar(np.arange(len(timed)) + 0.4 * side - 0.2, heights, width=0.38, color=ink, label=precision)
        panel.set_xticks(range(len(timed)), [name for name, _ in timed])
        panel.set(title=f"{shape[0]} x {shape[1]} tokens", ylabel="ms a call")
    panels[0].legend(fontsize="small")
    figure.savefig(out, dpi=DPI, metadata=METADATA)


def history(found: SearchResults, out: Path) -> None:
    """Draw each whole trial's score in order, and the best so far; pruned trials at their last epoch's."""
    figure = Figure(figsize=(WIDTH_IN, 3.2), layout="constrained")
    axis = figure.subplots()
    whole = [(one.number, 100 * one.score) for one in found.trials if one.score is not None]
    pruned = [(one.number, 100 * one.by_epoch[-1]) for one in found.trials if one.state == "pruned" and one.by_epoch]
    axis.plot(*zip(*whole, strict=True), "o", color="tab:blue", markersize=4, label="whole")
    if pruned:
        axis.plot(*zip(*pruned, strict=True), "x", color="0.6", markersize=4, label="given up, last look")
    numbers, values = zip(*whole, strict=True)
    axis.step(numbers, np.maximum.accumulate(values), where="post", color="black", linewidth=1, label="best so far")
    axis.set(xlabel="trial", ylabel="points on dev")
    axis.legend(fontsize="small")
    figure.savefig(out, dpi=DPI, metadata=METADATA)


def importances(found: SearchResults, out: Path) -> None:
    """Draw one bar a setting, the weightiest at the top."""
    shares = sorted(found.importances.items(), key=lambda pair: pair[1])
    figure = Figure(figsize=(WIDTH_IN, 1.0 + 0.28 * max(1, len(shares))), layout="constrained")
    axis = figure.subplots()
    axis.barh([key for key, _ in shares], [value for _, value in shares], color="tab:blue")
    axis.set(xlabel="share of the scores' variance that the setting explains")
    figure.savefig(out, dpi=DPI, metadata=METADATA)
