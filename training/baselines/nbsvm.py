"""NBSVM: a linear SVM over n-grams weighed by their naive Bayes log-count ratio.

Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification". Features are binary,
the ratio's smoothing is 1, more than two classes are one against the rest. Where the paper has fixed C and the
interpolation between the SVM and naive Bayes, both are chosen on dev here.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.svm import LinearSVC

from training.baselines.protocol import SEED, WORD, Candidate, Fitted, Problem, choose
from training.data import Rows

Floats = NDArray[np.float32]
SMOOTHING = 1.0


@dataclass(frozen=True, slots=True)
class NbsvmBaseline:
    """Words 1-3 or characters 1-3; C and the SVM's share beta chosen on dev."""

    strengths: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 1.0)
    betas: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    tolerance: float = 0.1
    max_iterations: int = 100
    most_labels: int = 50
    name: str = "nbsvm"
    title: str = "NBSVM"
    library: None = None

    def settings(self, problem: Problem) -> Mapping[str, Any]:
        """Return the cut, both grids and where liblinear stops."""
        stop = {"tolerance": self.tolerance, "max_iterations": self.max_iterations}
        return {**_cut(problem), "c": self.strengths, "beta": self.betas, **stop}

    def applies(self, problem: Problem) -> bool:
        """Any text of at most `most_labels` labels: each label is five fits of its own."""
        return 1 < len(problem.labels) <= self.most_labels

    def fit(self, train: Rows, dev: Rows, problem: Problem) -> Fitted:
        """Fit at each C, interpolate at each beta, and keep the best pair on dev."""
        return choose(self._candidates(train, dev, problem), dev, problem)

    def _candidates(self, train: Rows, dev: Rows, problem: Problem) -> Iterator[Candidate]:
        vectorizer = CountVectorizer(**_cut(problem), binary=True, dtype=np.float32)
        features, wanted = vectorizer.fit_transform(train.texts), vectorizer.transform(dev.texts)
        # Of two classes one is the other's rest, and a single column says both.
        positives = problem.labels if len(problem.labels) > 2 else problem.labels[1:]  # noqa: PLR2004
        truth = np.array(train.labels)
        ratios = [log_count_ratio(features, truth == label) for label in positives]
        for c in self.strengths:
            columns = [
                self._svm(features, truth == one, ratio, c) for one, ratio in zip(positives, ratios, strict=True)
            ]
            for beta in self.betas:
                weights = np.stack([interpolated(w, beta) * r for (w, _), r in zip(columns, ratios, strict=True)], 1)
                bias = np.array([b for _, b in columns], dtype=np.float32)

                def predict(texts: list[str], weights: Floats = weights, bias: Floats = bias) -> list[str]:
                    return _decide(vectorizer.transform(texts) @ weights + bias, problem.labels)

                yield Candidate({"c": c, "beta": beta}, _decide(wanted @ weights + bias, problem.labels), predict)

    def _svm(self, features: csr_matrix, inside: NDArray[np.bool_], ratio: Floats, c: float) -> tuple[Floats, float]:
        weighed = features.copy()
        weighed.data *= ratio[weighed.indices]
        svm = LinearSVC(C=c, tol=self.tolerance, max_iter=self.max_iterations, dual=True, random_state=SEED)
        with warnings.catch_warnings():
            # At the limit the last digits still move, where C is too large to be chosen anyway.
            warnings.simplefilter("ignore", ConvergenceWarning)
            svm.fit(weighed, inside)
        return svm.coef_.ravel().astype(np.float32), float(svm.intercept_[0])


def log_count_ratio(features: csr_matrix, inside: NDArray[np.bool_]) -> Floats:
    """Return r float32[F] = ln((p / |p|) / (q / |q|)), p and q the smoothed counts inside and outside a class.

    `features` is binary, [rows, F]; `inside` bool[rows] says which rows are of the class.
    """
    p = SMOOTHING + np.asarray(features[inside].sum(axis=0), dtype=np.float64).ravel()
    q = SMOOTHING + np.asarray(features[~inside].sum(axis=0), dtype=np.float64).ravel()
    ratio: Floats = np.log((p / p.sum()) / (q / q.sum())).astype(np.float32)
    return ratio


def interpolated(weights: Floats, beta: float) -> Floats:
    """Return (1 - beta) * mean |w| + beta * w, float32[F]: at 0 all features weigh alike, which is naive Bayes."""
    mixed: Floats = ((1 - beta) * np.abs(weights).mean() + beta * weights).astype(np.float32)
    return mixed


def _decide(margins: Floats, labels: tuple[str, ...]) -> list[str]:
    if margins.shape[1] == 1:
        return [labels[int(margin > 0)] for margin in margins[:, 0]]
    return [labels[at] for at in margins.argmax(axis=1)]


def _cut(problem: Problem) -> dict[str, Any]:
    if problem.unit == "words":
        # Signs are words here: "!" and the n't of "do n't" carry sentiment, and a trigram may hold them.
        return {"analyzer": "word", "token_pattern": WORD, "ngram_range": (1, 3), "min_df": 2}
    return {"analyzer": "char", "ngram_range": (1, 3), "min_df": 2}
