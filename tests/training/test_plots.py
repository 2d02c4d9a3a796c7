"""Pictures."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from training import plots
from training.calibration import Judged


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return every figure that is saved, so that a test can read what stands on it."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *args: object, **options: object) -> None:
        figures.append(figure)
        save(figure, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_a_small_matrix_says_shares_and_rows(tmp_path: Path, drawn: list[Figure]) -> None:
    table = np.array([[3, 1], [0, 4]])
    plots.confusion_matrices({"a": (["negative", "positive"], table)}, "dev", tmp_path / "out.png")
    assert texts(drawn[0]) == ["0.75\n3", "0.25\n1", "0.00\n0", "1.00\n4"]


def test_twenty_labels_stay_readable(tmp_path: Path, drawn: list[Figure]) -> None:
    labels = [f"label number {at:02}" for at in range(20)]
    table = np.eye(20, dtype=np.int64) * 9 + np.eye(20, k=1, dtype=np.int64)
    plots.confusion_matrices({"many": (labels, table), "more": (labels, table)}, "test", tmp_path / "out.png")
    (figure,) = drawn
    first = figure.axes[0]
    assert [tick.get_text() for tick in first.get_yticklabels()] == labels
    figure.canvas.draw()
    cell_px = first.get_window_extent().height / 20
    assert max(text.get_window_extent().height for text in first.texts) < cell_px
    assert max(tick.get_window_extent().height for tick in first.get_yticklabels()) < cell_px
    assert max(text.get_window_extent().width for text in first.texts) < cell_px


def test_a_reliability_diagram_says_the_error_before_and_after(tmp_path: Path, drawn: list[Figure]) -> None:
    # Every confidence is 0.9, half of the rows are right.
    logits = np.log(np.array([[0.9, 0.1]] * 4, dtype=np.float32))
    judged = Judged(logits, np.array([0, 1, 0, 1]), np.array([True, True]))
    plots.reliability_diagrams({"a": judged, "b": judged}, 1e6, "dev", tmp_path / "out.png")
    legends = [text.get_text() for axis in drawn[0].axes[:2] for text in axis.get_legend().get_texts()]  # type: ignore[union-attr]
    assert legends == ["before: ECE 40.0", "after: ECE 0.0"] * 2
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert mpl.get_backend().lower() == "agg"
