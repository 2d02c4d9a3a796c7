"""The pictures of a package's report: learning curves and a confusion matrix."""

import csv
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

WIDTH_IN, DPI = 9.0, 110
SMOOTH_STEPS = 20

mpl.use("Agg")


def learning_curves(logs: Path, out: Path) -> None:
    """Draw every metrics.csv below `logs`, one for each time the run was taken up: training loss, and dev figures."""
    series = _series(logs)
    figure = Figure(figsize=(WIDTH_IN, 3.6), layout="constrained")
    loss, dev = figure.subplots(1, 2)
    # A run of fewer steps than lie between two logged ones has no loss to show.
    steps, values = series.pop("train/loss", (np.zeros(0), np.zeros(0)))
    loss.plot(steps, values, color="0.8", linewidth=0.8)
    if len(values) > SMOOTH_STEPS:
        kernel = np.ones(SMOOTH_STEPS) / SMOOTH_STEPS
        loss.plot(steps[SMOOTH_STEPS - 1 :], np.convolve(values, kernel, "valid"), color="tab:blue", linewidth=1.5)
    loss.set(xlabel="step", ylabel="training loss", title="Recurrent branch, training")
    for name, (at, figures) in sorted(series.items()):
        if name.startswith("dev/"):
            mean = name == "dev/score"
            dev.plot(
                at,
                figures,
                marker="o",
                markersize=3,
                linewidth=2.5 if mean else 1.2,
                color="black" if mean else None,
                label="mean" if mean else name.removeprefix("dev/"),
            )
    dev.set(xlabel="step", ylabel="each set's own figure", title="Recurrent branch, dev")
    dev.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(out, dpi=DPI)


def confusion_matrices(counts: dict[str, tuple[list[str], NDArray[np.int64]]], split: str, out: Path) -> None:
    """Draw one matrix a set, rows true and columns decided, each row as shares of its class."""
    columns = min(4, len(counts))
    lines = -(-len(counts) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.7 * lines), layout="constrained")
    axes = np.atleast_1d(figure.subplots(lines, columns)).flatten()
    for axis, (name, (labels, table)) in zip(axes, counts.items(), strict=False):
        shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            ink = "white" if share > 0.6 else "black"  # noqa: PLR2004 - where black on blue turns hard to read
            axis.text(
                column, row, f"{share:.2f}\n{table[row, column]}", ha="center", va="center", color=ink, fontsize=7
            )
        short = [label[:3] for label in labels]
        axis.set_xticks(range(len(labels)), short)
        axis.set_yticks(range(len(labels)), short)
        axis.set(title=name, xlabel="decided", ylabel="true")
        axis.title.set_fontsize(8)
    for axis in axes[len(counts) :]:
        axis.axis("off")
    figure.suptitle(f"{split} split: share of the true class, and rows", fontsize=9)
    figure.savefig(out, dpi=DPI)


def _series(logs: Path) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    points: dict[str, dict[float, float]] = {}
    for metrics in sorted(logs.rglob("metrics.csv"), key=lambda path: path.stat().st_mtime):
        with metrics.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                for name, value in row.items():
                    if value and name not in {"step", "epoch"}:
                        # A step done again after a kill counts once.
                        points.setdefault(name, {})[float(row["step"])] = float(value)
    return {
        name: (np.array(sorted(found)), np.array([found[step] for step in sorted(found)]))
        for name, found in points.items()
    }
