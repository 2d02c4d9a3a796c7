"""What the network has to beat: TF-IDF over word 1-2-grams and logistic regression, on one set's own training rows."""

import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from training.config import DataSet
from training.data import Rows, read_split
from training.scores import Scores, score

STRENGTHS = (1.0, 4.0, 16.0)
MAX_ITERATIONS = 300


@dataclass(frozen=True, slots=True)
class Baseline:
    """The baseline's figures on one split, the inverse L2 strength chosen on dev, and what it was trained on."""

    scores: Scores
    rows: int
    seconds: float
    c: float
    trained_on: list[str]


def baseline(data: Path, one: DataSet, split: str, labels: tuple[str, ...]) -> Baseline:
    """Train on every training split of the set, choose C on dev, and score `split` once."""
    started = time.monotonic()
    parts = [read_split(data, one.name, part.split, labels) for part in one.train]
    train = Rows([text for part in parts for text in part.texts], [label for part in parts for label in part.labels])
    dev = read_split(data, one.name, "dev", labels)
    scored = dev if split == "dev" else read_split(data, one.name, split, labels)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32)
    features = vectorizer.fit_transform(train.texts)
    wanted = vectorizer.transform(dev.texts)
    models = {c: _fit(features, train.labels, c) for c in STRENGTHS}
    figures = {c: _score(model.predict(wanted), dev, labels).of(one.metric) for c, model in models.items()}
    c = max(figures, key=figures.__getitem__)
    found = _score(models[c].predict(vectorizer.transform(scored.texts)), scored, labels)
    trained_on = [part.split for part in one.train]
    return Baseline(found, len(scored), round(time.monotonic() - started, 1), c, trained_on)


def _fit(features: object, labels: list[str], c: float) -> LogisticRegression:
    with warnings.catch_warnings():
        # At the iteration limit the last digits still move; the limit is part of the fixed setting.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=c, max_iter=MAX_ITERATIONS, solver="lbfgs", random_state=13).fit(features, labels)


def _score(decided: np.ndarray, rows: Rows, labels: tuple[str, ...]) -> Scores:
    index = {label: at for at, label in enumerate(labels)}
    classes = np.array([label in set(rows.labels) for label in labels])
    truth = np.array([index[label] for label in rows.labels])
    return score(truth, np.array([index[label] for label in decided]), classes)
