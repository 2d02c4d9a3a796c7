"""NBSVM."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.svm import LinearSVC

from tests.training.baselines.problems import rows
from training.baselines.nbsvm import NbsvmBaseline, interpolated, log_count_ratio
from training.baselines.protocol import Problem

TWO = Problem(("negative", "positive"), "accuracy", "sentiment", ("en",))


def test_the_log_count_ratio_is_that_of_the_paper() -> None:
    features = csr_matrix(np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 1]], dtype=np.float32))
    inside = np.array([True, True, False, False])
    p, q = np.array([3, 2, 2]) / 7, np.array([1, 2, 3]) / 6
    assert log_count_ratio(features, inside) == pytest.approx(np.log(p / q), rel=1e-6)


def test_the_interpolation_runs_from_equal_weights_to_the_svms_own() -> None:
    weights = np.array([0.5, -1.0, 3.0], dtype=np.float32)
    assert interpolated(weights, 0.0) == pytest.approx([1.5, 1.5, 1.5])
    assert interpolated(weights, 0.25) == pytest.approx([1.25, 0.875, 1.875])
    assert interpolated(weights, 1.0) == pytest.approx(weights)


def test_weighed_by_the_ratio_a_rare_clear_word_beats_a_common_vague_one() -> None:
    # "well" stands 30 to 18 for positive; each rare word stands thrice, always with negative. A strongly regularised
    # SVM over bare words goes by how often a word stands there, and gets the sentence with both wrong.
    clear = ("grim", "dull", "vile", "drab")
    pairs = [("well", "positive")] * 30 + [("well", "negative")] * 18 + [(word, "negative") for word in clear] * 3
    train = rows(pairs)
    strength = 0.001
    vectorizer = CountVectorizer()
    bare = LinearSVC(C=strength, random_state=13).fit(vectorizer.fit_transform(train.texts), train.labels)
    assert bare.predict(vectorizer.transform(["well grim"])) == ["positive"]
    weighed = NbsvmBaseline(strengths=(strength,), betas=(1.0,)).fit(train, train, TWO)
    assert weighed.predict(["well grim", "grim", "well"]) == ["negative", "negative", "positive"]
