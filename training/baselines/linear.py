"""TF-IDF of n-grams and multinomial logistic regression, the baseline that most people would try first."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from training.baselines.protocol import SEED, Candidate, Fitted, Problem, choose
from training.data import Rows


@dataclass(frozen=True, slots=True)
class LogisticBaseline:
    """Words 1-2 or characters 1-3, the inverse L2 strength chosen on dev."""

    strengths: tuple[float, ...] = (1.0, 4.0, 16.0)
    max_iterations: int = 300
    name: str = "lr"
    title: str = "LR"
    library: None = None

    def settings(self, problem: Problem) -> Mapping[str, Any]:
        """Return the cut, the grid and the limit of iterations."""
        return {**_cut(problem), "c": self.strengths, "max_iterations": self.max_iterations}

    def applies(self, problem: Problem) -> bool:
        """Any labelled text will do."""
        return len(problem.labels) > 1

    def fit(self, train: Rows, dev: Rows, problem: Problem) -> Fitted:
        """Fit at each strength, and keep the best on dev."""
        return choose(self._candidates(train, dev, problem), dev, problem)

    def _candidates(self, train: Rows, dev: Rows, problem: Problem) -> Iterator[Candidate]:
        vectorizer = TfidfVectorizer(**_cut(problem), sublinear_tf=True, dtype=np.float32)
        features, wanted = vectorizer.fit_transform(train.texts), vectorizer.transform(dev.texts)
        for c in self.strengths:
            fitted = LogisticRegression(C=c, max_iter=self.max_iterations, random_state=SEED)
            with warnings.catch_warnings():
                # At the iteration limit the last digits still move; the limit is part of the fixed setting.
                warnings.simplefilter("ignore", ConvergenceWarning)
                fitted.fit(features, train.labels)

            def predict(texts: list[str], fitted: LogisticRegression = fitted) -> list[str]:
                return [str(label) for label in fitted.predict(vectorizer.transform(texts))]

            yield Candidate({"c": c}, [str(label) for label in fitted.predict(wanted)], predict)


def _cut(problem: Problem) -> dict[str, Any]:
    if problem.unit == "words":
        return {"analyzer": "word", "ngram_range": (1, 2), "min_df": 2}
    return {"analyzer": "char", "ngram_range": (1, 3), "min_df": 2}
