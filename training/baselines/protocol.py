"""What every baseline does: it is fitted on training rows, makes its choices on dev, and then labels texts."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from training.config import Metric
from training.data import Rows
from training.scores import Scores, score

Unit = Literal["words", "characters"]
Choice = dict[str, float]
Predict = Callable[[list[str]], list[str]]

SEED = 13
# Written without spaces between words: an n-gram of characters is what an n-gram of words is elsewhere.
UNSPACED = frozenset({"ja", "km", "lo", "my", "th", "yue", "zh"})
WORD = r"\w+|[^\w\s]"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a set asks for: the labels of its training rows, the figure it is judged by, and how its texts are cut."""

    labels: tuple[str, ...]
    metric: Metric
    task: str
    languages: tuple[str, ...]

    @property
    def unit(self) -> Unit:
        """What n-grams are made of: characters for a language written without spaces, words for every other."""
        return "characters" if UNSPACED.intersection(self.languages) else "words"

    def score(self, truth: list[str], decided: list[str]) -> Scores:
        """Return the figures of the labels `decided` for rows whose labels are `truth`."""
        # A label that a later split has and training lacks is one that no baseline can decide; it counts all the same.
        labels = [*self.labels, *sorted(set(truth) - set(self.labels))]
        index = {label: at for at, label in enumerate(labels)}
        classes = np.isin(labels, sorted({*truth, *decided}))
        return score(_ids(truth, index), _ids(decided, index), classes)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A baseline ready to label texts, and what was chosen for it on dev."""

    choice: Choice
    predict: Predict


@dataclass(frozen=True, slots=True)
class Candidate:
    """One setting of a baseline: what it says of the dev rows, and how it labels others."""

    choice: Choice
    on_dev: list[str]
    predict: Predict


class Baseline(Protocol):
    """One way to label texts. It never sees the rows it is scored on: `fit` is given training and dev rows alone."""

    @property
    def name(self) -> str:
        """The name on the command line and in the manifest."""
        ...

    @property
    def title(self) -> str:
        """The name in a table."""
        ...

    @property
    def library(self) -> str | None:
        """The module of an optional library that it needs."""
        ...

    def settings(self, problem: Problem) -> Mapping[str, Any]:
        """Return all that a figure depends on besides the rows; a kept figure of other settings is not used."""
        ...

    def applies(self, problem: Problem) -> bool:
        """Whether it can label such texts at all."""
        ...

    def fit(self, train: Rows, dev: Rows, problem: Problem) -> Fitted:
        """Fit on `train`, and keep the setting that is best on `dev`."""
        ...


def choose(candidates: Iterable[Candidate], dev: Rows, problem: Problem) -> Fitted:
    """Return the candidate with the best figure on dev, the earliest of equals; only the best so far is kept."""
    best: Candidate | None = None
    highest = -1.0
    for one in candidates:
        figure = problem.score(dev.labels, one.on_dev).of(problem.metric)
        if figure > highest:
            best, highest = one, figure
    if best is None:
        raise AssertionError("This is a bug: a baseline has at least one setting.")
    return Fitted(best.choice | {"dev": round(highest, 6)}, best.predict)


def cut(text: str, unit: Unit) -> list[str]:
    """Return the text's words and signs in lower case, or its characters; white space is dropped."""
    return re.findall(WORD, text.lower()) if unit == "words" else re.findall(r"\S", text.lower())


def _ids(labels: list[str], index: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([index[label] for label in labels], dtype=np.int64)
