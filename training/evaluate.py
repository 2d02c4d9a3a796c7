"""Scores a model package on a labelled split through the code that serves it: its tokenizer, runtime and task head."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import PackageError
from app.modelpack.manifest import CLASSIFYING, Precision
from app.modelpack.store import Package, latest, open_package
from app.modelpack.tokenizer import TextTokenizer
from app.runtime.providers import choose
from app.runtime.session import Session, padded
from app.runtime.threads import usable_cores
from app.tasks.classify import classify
from training.batches import cut
from training.calibration import Judged
from training.data import Rows
from training.scores import UNANSWERED, Scores, confusion, score

# As the service batches: the nearest in length, few padded cells.
MAX_CELLS = 4096
MAX_ROWS = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Served:
    """A package opened the way the service opens it, at one precision."""

    package: Package
    precision: Precision
    tokenizer: TextTokenizer
    session: Session

    @property
    def labels(self) -> list[str]:
        """Names of the logits' columns."""
        return self.package.manifest.labels

    def logits(self, ids: Sequence[NDArray[np.int64]]) -> Floats:
        """Return logits float32[rows, C] in the order of `ids`, run in batches of rows near in length."""
        pad_id = self.package.manifest.tokenizer.pad_id
        found = np.empty((len(ids), len(self.labels)), dtype=np.float32)
        for index in cut(np.array([len(row) for row in ids]), MAX_CELLS, MAX_ROWS):
            (found[index],) = self.session.run(["logits"], padded([ids[at] for at in index], pad_id))
        return found

    def answer(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], Floats]:
        """Return which texts the service answers, bool[N], and the logits float32[answered, C] of those.

        The others have no token that the model knows.
        """
        tokens = self.tokenizer.encode(texts)
        answered = np.array([one.known for one in tokens])  # [N]
        return answered, self.logits([one.ids for one in tokens if one.known])


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Figures of one split, and the rows behind them: true and decided classes int64[rows], classes bool[C] of the set.

    A row that the service would refuse as `no_usable_text` is decided `UNANSWERED` and counts as wrong; `judged` holds
    the logits of the others. `counts` int64[C', C'] has true class by decided class of the answered rows.
    """

    scores: Scores
    seconds: float
    labels: list[str]
    counts: NDArray[np.int64]
    truth: NDArray[np.int64]
    decided: NDArray[np.int64]
    judged: Judged

    @property
    def rows(self) -> int:
        """All rows, answered or not."""
        return len(self.truth)

    @property
    def unanswered(self) -> int:
        """Rows without a token that the model knows."""
        return int((self.decided == UNANSWERED).sum())

    def figures(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self.scores)


def open_served(path: Path, precision: Precision | None = None, threads: int | None = None) -> Served:
    """Open models/<name> (its highest version) or models/<name>/<version>; `PackageError` where it is broken."""
    folder = path.resolve()
    if not folder.is_dir():
        raise PackageError(str(path), "no such folder", "models/<name> or models/<name>/<version>")
    package = open_package(folder if folder.name.isdigit() else latest(folder))
    if package.manifest.task not in CLASSIFYING:
        raise PackageError("manifest.json", f"task is {package.manifest.task!r}", "a package that classifies")
    provider = choose("cpu")
    wanted = [precision] if precision else list(provider.precisions)
    graph = next((found for one in wanted if (found := package.manifest.graph(one))), None)
    if graph is None:
        raise PackageError("manifest.json", f"no graph of precision {wanted[0]}", "one among its graphs")
    session = Session(graph, package.graph_bytes(graph), provider, threads or usable_cores())
    return Served(package, graph.precision, package.tokenizer(), session)


def evaluate(served: Served, rows: Rows) -> Evaluated:
    """Score every row; a set of fewer labels than the model has is scored on its own labels alone."""
    started = time.monotonic()
    labels = [label for label in served.labels if label in set(rows.labels)]
    answered, logits = served.answer(rows.texts)
    decided = np.full(len(rows), UNANSWERED)
    decided[answered] = _decided(served, logits, labels)
    seconds = time.monotonic() - started
    truth = np.array([served.labels.index(label) for label in rows.labels])
    classes = np.array([label in labels for label in served.labels])
    return Evaluated(
        scores=score(truth, decided, classes),
        seconds=seconds,
        labels=labels,
        counts=confusion(truth, decided, len(classes))[np.ix_(classes, classes)],
        truth=truth,
        decided=decided,
        judged=Judged(logits, truth[answered], classes),
    )


def _decided(served: Served, logits: Floats, labels: list[str]) -> NDArray[np.int64]:
    columns = [served.labels.index(label) for label in labels]
    temperature = served.package.manifest.temperature
    said = [served.labels.index(one.label) for one in classify(logits[:, columns], labels, temperature)]
    return np.array(said, dtype=np.int64)
