"""Fits every baseline that applies to a set once, scores it on any number of splits, and keeps the figures."""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from training.baselines.fasttext import FastTextBaseline
from training.baselines.kept import Figures, Kept
from training.baselines.lexicon import SNOWNLP, VADER
from training.baselines.linear import LogisticBaseline
from training.baselines.nbsvm import NbsvmBaseline
from training.baselines.protocol import Baseline, Fitted, Problem
from training.config import DataSet, RunConfig
from training.data import Rows, file_of, read_split
from training.errors import DataError

BASELINES: tuple[Baseline, ...] = (LogisticBaseline(), NbsvmBaseline(), FastTextBaseline(), VADER, SNOWNLP)
TITLES: Mapping[str, str] = {one.name: one.title for one in BASELINES}

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of all baselines on one split, and why those that are not there could not run."""

    data: str
    split: str
    trained_on: list[str]
    baselines: list[Figures]
    not_run: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of the split; 0 where no baseline could run."""
        return self.baselines[0].rows if self.baselines else 0

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return accuracy, macro-F1 and macro-recall by the baselines' names."""
        return {one.name: asdict(one.scores) for one in self.baselines}


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a baseline is fitted on, and the hash of it: every label and text as it was read."""

    train: Rows
    dev: Rows
    sha256: str


def measure(
    data: Path,
    config: RunConfig,
    one: DataSet,
    splits: Sequence[str],
    *,
    kept: Kept,
    say: Say,
    baselines: Sequence[Baseline] = BASELINES,
) -> list[Measured]:
    """Return the figures of a set's splits, in the order of `splits`; what `kept` has is not measured again.

    Every baseline is fitted on the splits of the set that the run trains on and makes its choices on dev. A scored
    split is read only to be scored.
    """
    rows = _read(data, one, config.labels)
    read = _reader(data, one, config.labels)
    problem = Problem(tuple(sorted(set(rows.train.labels))), one.metric, config.task, config.languages)
    found: dict[str, list[Figures]] = {split: [] for split in splits}
    not_run: dict[str, str] = {}
    for baseline in baselines:
        if not baseline.applies(problem):
            continue
        keys = {split: _key(baseline, problem, rows, file_of(data, one.name, split)) for split in splits}
        figures = {split: kept.get(one.name, split, baseline.name, keys[split]) for split in splits}
        missing = [split for split in splits if figures[split] is None]
        if missing and baseline.library and find_spec(baseline.library) is None:
            not_run[baseline.name] = f"{baseline.library} is not installed; it comes with sluice's extra 'baselines'"
            continue
        for split, measured in _score(baseline, problem, rows, read, missing):
            figures[split] = measured
            kept.put(one.name, split, keys[split], measured)
            figure = f"{one.metric} {measured.scores.of(one.metric):.4f}"
            say(f"baseline {one.name}/{split}: {baseline.name}: {figure}, {measured.seconds} s")
        for split, either in figures.items():
            found[split] += [either] if either is not None else []
    trained_on = [part.split for part in one.train]
    return [Measured(one.name, split, trained_on, found[split], not_run) for split in splits]


def named(names: Collection[str]) -> list[Baseline]:
    """Return the baselines of these names, in the usual order; `DataError` names one that does not exist."""
    unknown = sorted(set(names) - set(TITLES))
    if unknown:
        raise DataError(f"no baseline {unknown[0]!r}; there are {', '.join(TITLES)}")
    return [one for one in BASELINES if one.name in names]


def _read(data: Path, one: DataSet, labels: Collection[str]) -> _Rows:
    parts = [read_split(data, one.name, part.split, labels) for part in one.train]
    train = Rows([text for part in parts for text in part.texts], [label for part in parts for label in part.labels])
    dev = read_split(data, one.name, "dev", labels)
    digest = hashlib.sha256()
    for rows in (train, dev):
        digest.update(f"{len(rows)}\n".encode())
        for text, label in zip(rows.texts, rows.labels, strict=True):
            digest.update(f"{label}\0{text}\0".encode("utf-8", "surrogatepass"))
    return _Rows(train, dev, digest.hexdigest())


def _reader(data: Path, one: DataSet, labels: Collection[str]) -> Callable[[str], Rows]:
    return lambda split: read_split(data, one.name, split, labels)


def _key(baseline: Baseline, problem: Problem, rows: _Rows, scored: Path) -> str:
    """Return the hash of all that the figures depend on; the problem's task and languages only say what applies."""
    about: dict[str, Any] = {
        "settings": baseline.settings(problem),
        "labels": problem.labels,
        "metric": problem.metric,
        "rows": rows.sha256,
        "scored": hashlib.sha256(scored.read_bytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _score(
    baseline: Baseline, problem: Problem, rows: _Rows, read: Callable[[str], Rows], splits: Sequence[str]
) -> Iterator[tuple[str, Figures]]:
    if not splits:
        return
    fitted, fit_seconds = _timed(lambda: baseline.fit(rows.train, rows.dev, problem))
    for split in splits:
        scored = rows.dev if split == "dev" else read(split)
        yield split, _figures(baseline, problem, fitted, scored, fit_seconds)


def _figures(baseline: Baseline, problem: Problem, fitted: Fitted, scored: Rows, fit_seconds: float) -> Figures:
    decided, seconds = _timed(lambda: fitted.predict(scored.texts))
    scores = problem.score(scored.labels, decided)
    return Figures(baseline.name, scores, len(scored), fitted.choice, round(fit_seconds + seconds, 2), decided)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started
