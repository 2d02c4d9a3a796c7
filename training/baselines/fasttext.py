"""fastText: averaged embeddings of words and hashed n-grams under a linear softmax, by floret, a fork that is kept.

Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification": ten dimensions, n-grams of words, the rate
chosen on validation rows. The number of epochs is chosen too, since small sets need more than the paper's five.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from training.baselines.protocol import SEED, Candidate, Fitted, Problem, choose, cut
from training.data import Rows

# Trained by one thread, fastText draws a tenth of its table at random. Here the rest is zeros; the packages named
# fasttext-numpy2 leave there what the memory held, and ended in NaN. floret's figures were the same digits as 0.9.2's.
BUCKETS = 1_000_000
# Never a token: `cut` parts a sign from the word after it.
PREFIX = "<label>"


@dataclass(frozen=True, slots=True)
class FastTextBaseline:
    """Words 1-2 or characters 1-3; rate and epochs chosen on dev; one thread, so that a figure can be repeated."""

    rates: tuple[float, ...] = (0.1, 0.5)
    epochs: tuple[int, ...] = (5, 20)
    most_tokens: int = 20_000_000
    dimensions: int = 10
    name: str = "fasttext"
    title: str = "fastText"
    library: str = "floret"

    def settings(self, problem: Problem) -> Mapping[str, Any]:
        """Return the cut, the grid and the sizes."""
        sizes = {"dim": self.dimensions, "bucket": BUCKETS, "ngrams": _ngrams(problem)}
        return {"unit": problem.unit, "lr": self.rates, "epoch": self.epochs, "tokens": self.most_tokens, **sizes}

    def applies(self, problem: Problem) -> bool:
        """Any labelled text will do."""
        return len(problem.labels) > 1

    def fit(self, train: Rows, dev: Rows, problem: Problem) -> Fitted:
        """Train at each rate and number of epochs, and keep the best on dev."""
        with TemporaryDirectory(prefix="sluice-fasttext-") as folder:
            path = Path(folder) / "train.txt"
            tokens = _write(path, train, problem)
            # The first number of epochs is for every set, a greater one for those small enough to come to an end.
            epochs = [one for one in self.epochs if one == self.epochs[0] or one * tokens <= self.most_tokens]
            return choose(self._candidates(path, epochs, dev, problem), dev, problem)

    def _candidates(self, path: Path, epochs: Sequence[int], dev: Rows, problem: Problem) -> Iterator[Candidate]:
        import floret  # noqa: PLC0415 - optional

        wanted = [_line(text, problem) for text in dev.texts]
        for epoch, rate in product(epochs, self.rates):
            model = floret.train_supervised(
                input=str(path),
                label=PREFIX,
                lr=rate,
                epoch=epoch,
                dim=self.dimensions,
                bucket=BUCKETS,
                wordNgrams=_ngrams(problem),
                minCount=1,
                loss="softmax",
                thread=1,
                seed=SEED,
                verbose=0,
            )

            def predict(texts: list[str], model: Any = model) -> list[str]:
                return _decide(model, [_line(text, problem) for text in texts], problem)

            yield Candidate({"lr": rate, "epoch": epoch}, _decide(model, wanted, problem), predict)


def _ngrams(problem: Problem) -> int:
    return 2 if problem.unit == "words" else 3


def _line(text: str, problem: Problem) -> str:
    return " ".join(cut(text, problem.unit))


def _write(path: Path, train: Rows, problem: Problem) -> int:
    """Write a line a row, and return the number of tokens."""
    index = {label: at for at, label in enumerate(problem.labels)}
    rows = list(zip(train.texts, train.labels, strict=True))
    # fastText goes through its file in order, and a file may have its classes one after the other.
    random.Random(SEED).shuffle(rows)  # noqa: S311 - an order, not a secret
    with path.open("w", encoding="utf-8") as file:
        lines = [f"{PREFIX}{index[label]} {_line(text, problem)}\n" for text, label in rows]
        file.writelines(lines)
    return sum(line.count(" ") for line in lines)


def _decide(model: Any, lines: Iterable[str], problem: Problem) -> list[str]:
    said, _ = model.predict(list(lines))
    return [problem.labels[int(one[0].removeprefix(PREFIX))] for one in said]
