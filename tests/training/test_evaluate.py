"""Scores through the serving code."""

import numpy as np
import pytest

from app.errors import PackageError
from tests.training.conftest import DATA, TinyRun
from training.data import Rows, read_split
from training.evaluate import evaluate, open_served
from training.scores import UNANSWERED

LABELS = ("negative", "neutral", "positive")


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_both_graphs_of_the_tiny_package_are_right_about_its_test(run: TinyRun, precision: str) -> None:
    served = open_served(run.package, precision, threads=1)  # type: ignore[arg-type]
    found = evaluate(served, read_split(DATA, "tiny", "test", LABELS))
    assert found.figures() == {"accuracy": 1.0, "macro_f1": 1.0, "macro_recall": 1.0}
    assert found.rows == 90
    assert found.counts.tolist() == [[30, 0, 0], [0, 30, 0], [0, 0, 30]]


def test_a_name_folder_means_its_highest_version(run: TinyRun) -> None:
    served = open_served(run.package.parent, threads=1)
    assert served.package.version == 1
    assert served.precision == "int8"


def test_a_binary_set_is_scored_without_neutral(run: TinyRun) -> None:
    served = open_served(run.package, threads=1)
    found = evaluate(served, Rows(["an average film", "a bad film", "good"], ["positive", "negative", "positive"]))
    assert found.labels == ["negative", "positive"]
    assert found.counts.shape == (2, 2)
    assert found.counts.sum() == 3


def test_logits_come_back_in_the_order_of_the_rows(run: TinyRun) -> None:
    served = open_served(run.package, "fp32", threads=1)
    ids = [tokens.ids for tokens in served.tokenizer.encode(["what a bad film!", "good", "a plain meal"])]
    alone = np.concatenate([served.logits([row]) for row in ids])
    np.testing.assert_allclose(served.logits(ids), alone, atol=1e-4)


def test_a_row_that_the_service_would_refuse_is_counted_as_wrong(run: TinyRun) -> None:
    served = open_served(run.package, threads=1)
    found = evaluate(served, Rows(["good", " ", "bad", "♞"], ["positive", "negative", "negative", "positive"]))
    assert (found.rows, found.unanswered) == (4, 2)
    assert found.scores.accuracy == 0.5
    assert found.decided.tolist() == [2, UNANSWERED, 0, UNANSWERED]
    assert found.judged.logits.shape == (2, 3)
    assert found.judged.labels.tolist() == [2, 0]


def test_a_folder_that_is_none_is_refused(run: TinyRun) -> None:
    with pytest.raises(PackageError, match="no such folder"):
        open_served(run.models / "other")
