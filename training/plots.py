"""The pictures of a package's report: learning curves, confusion matrices and reliability diagrams."""

import csv
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from training.calibration import Judged, reliability

WIDTH_IN, DPI = 9.0, 110
MAX_WIDTH_IN = 11.0
SMOOTH_STEPS = 20
# Up to so many labels a cell of a confusion matrix says share and rows.
COUNTED_LABELS = 5
LEAST_SHARE = 0.005
LABEL_CHARS = 18

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
    most = max(len(labels) for labels, _ in counts.values())
    side = max(2.6, 0.48 * most + 1.2)
    figure, axes = _grid(len(counts), side, side, columns=max(1, int(MAX_WIDTH_IN / side)))
    for axis, (name, (labels, table)) in zip(axes, counts.items(), strict=True):
        _confusion(axis, labels, table)
        axis.set_title(name, fontsize=8)
        axis.set_xlabel("decided", fontsize=7)
        axis.set_ylabel("true", fontsize=7)
    told = "share of the true class, and rows" if most <= COUNTED_LABELS else "per cent of the true class"
    figure.suptitle(f"{split} split: {told}", fontsize=9)
    figure.savefig(out, dpi=DPI)


def reliability_diagrams(sets: Mapping[str, Judged], temperature: float, split: str, out: Path) -> None:
    """Draw one diagram a set: share right against confidence, before and after the temperature (Guo et al. 2017).

    A point is a bin, as large as its rows are many; on the diagonal a probability means what it says.
    """
    figure, axes = _grid(len(sets), 2.6, 2.8, columns=4)
    for axis, (name, judged) in zip(axes, sets.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        for label, found, ink in (
            ("before", reliability(judged), "tab:orange"),
            ("after", reliability(judged, temperature), "tab:blue"),
        ):
            full = found.rows > 0
            size = 8 + 90 * found.rows[full] / found.rows.sum()
            axis.plot(found.confidence[full], found.right[full], color=ink, linewidth=1.0)
            legend = f"{label}: ECE {100 * found.error:.1f}"
            axis.scatter(found.confidence[full], found.right[full], s=size, color=ink, alpha=0.7, label=legend)
        axis.set(xlim=(0, 1.02), ylim=(0, 1.02))
        axis.set_title(name, fontsize=8)
        axis.set_xlabel("confidence", fontsize=7)
        axis.set_ylabel("share right", fontsize=7)
        axis.tick_params(labelsize=6)
        axis.legend(fontsize=6, loc="upper left", markerscale=0.5)
    figure.suptitle(f"{split} split: temperature {temperature:.3f}", fontsize=9)
    figure.savefig(out, dpi=DPI)


def _grid(panels: int, width_in: float, height_in: float, columns: int) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels, the places left over blank."""
    columns = min(columns, panels)
    lines = -(-panels // columns)
    figure = Figure(figsize=(width_in * columns, height_in * lines + 0.3), layout="constrained")
    axes = list(np.atleast_1d(figure.subplots(lines, columns)).flatten())
    for axis in axes[panels:]:
        axis.axis("off")
    return figure, axes[:panels]


def _confusion(axis: Axes, labels: list[str], table: NDArray[np.int64]) -> None:
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)  # [C, C]
    few = len(labels) <= COUNTED_LABELS
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        # Of many labels a cell has room for one number, and most cells have nothing to say.
        text = f"{share:.2f}\n{table[row, column]}" if few else f"{100 * share:.0f}" if share >= LEAST_SHARE else ""
        ink = "white" if share > 0.6 else "black"  # noqa: PLR2004 - where black on blue turns hard to read
        axis.text(column, row, text, ha="center", va="center", color=ink, fontsize=7)
    short = [label if len(label) <= LABEL_CHARS else f"{label[: LABEL_CHARS - 1]}…" for label in labels]
    axis.set_xticks(range(len(labels)), short, rotation=0 if few else 90, fontsize=7)
    axis.set_yticks(range(len(labels)), short, fontsize=7)


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
