"""Batches of rows near in length, under a budget of padded cells, in an order that a killed run takes up again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.config import LoopConfig
from training.corpus import Corpus
from training.endless import Endless, Plan


class Batch(NamedTuple):
    """ids int64[B, T], lens int64[B], labels int64[B], classes bool[B, C] that count, weights float32[B].

    soft float32[B, C] is what a teacher gives each class, where there is one: a row of zeros has none.
    total float32[] is what the loss is divided by where the batch is one process's share of a larger one.
    """

    ids: Tensor
    lens: Tensor
    labels: Tensor
    classes: Tensor
    weights: Tensor
    soft: Tensor | None = None
    total: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A corpus to train on: how many of its rows an epoch takes, and each row's weight in the loss, float32[rows].

    soft float32[rows, C] is a teacher's probabilities, for distillation (`loop.distill_weight`).
    """

    corpus: Corpus
    rows_per_epoch: int
    weights: NDArray[np.float32]
    soft: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        wanted = (len(self.corpus), len(self.corpus.classes))
        if self.soft is not None and self.soft.shape != wanted:
            raise ValueError(f"soft: expected the shape {wanted}, got {self.soft.shape}")

    def taught(self, row: int) -> NDArray[np.float32]:
        """Return the teacher's probabilities of a row, float32[C], zeros where there is none."""
        return np.zeros(len(self.corpus.classes), np.float32) if self.soft is None else self.soft[row]


def class_weights(corpus: Corpus, balance: float) -> NDArray[np.float32]:
    """Return float32[rows]: (rows of the class)^-balance, scaled to a mean of one."""
    counts = np.bincount(corpus.labels, minlength=len(corpus.classes)).astype(np.float64)
    weights = counts[corpus.labels] ** -balance
    scaled: NDArray[np.float32] = (weights / weights.mean()).astype(np.float32)
    return scaled


def collate(rows: Sequence[NDArray[np.int32]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Pad rows to the longest: ids int64[B, T] and lens int64[B]."""
    lens = torch.tensor([len(row) for row in rows])  # [B]
    ids = torch.full((len(rows), int(lens.max())), pad_id)  # [B, T]
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.from_numpy(row)
    return ids, lens


def cut(lens: NDArray[np.int64], max_cells: int, max_rows: int) -> list[NDArray[np.int64]]:
    """Return the indices of each batch: rows sorted by length, at most `max_rows` and rows x longest <= `max_cells`.

    A row longer than `max_cells` is a batch of its own.
    """
    order = np.argsort(lens, kind="stable")
    batches, start = [], 0
    for end in range(1, len(order) + 1):
        full = end < len(order) and ((end + 1 - start) * lens[order[end]] > max_cells or end - start == max_rows)
        if full or end == len(order):
            batches.append(order[start:end])
            start = end
    return batches


class DevBatches:
    """One dev corpus in batches, shortest rows first; every batch carries weights of one."""

    def __init__(self, corpus: Corpus, config: LoopConfig, pad_id: int) -> None:
        self.corpus = corpus
        self.order = cut(corpus.lens, config.max_cells, config.max_rows)
        self._pad_id = pad_id

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Batch]:
        corpus = self.corpus
        for index in self.order:
            ids, lens = collate([corpus.row(int(at)) for at in index], self._pad_id)
            classes = torch.from_numpy(corpus.classes).expand(len(index), -1)
            yield Batch(ids, lens, torch.from_numpy(corpus.labels[index]), classes, torch.ones(len(index)))


class TrainBatches(Endless["_Plan", Batch]):
    """Those of a classifier."""

    def __init__(self, sources: Sequence[Source], config: LoopConfig, pad_id: int, seed: int) -> None:
        self._sources = sources
        self._config = config
        self._pad_id = pad_id
        self._seed = seed
        self._rank, self._processes = 0, 1
        super().__init__()

    def share(self, rank: int, processes: int) -> None:
        """Give from now on this process's rows of each batch; how many processes there are changes no batch."""
        self._rank, self._processes = rank, processes

    def _planned(self, number: int) -> "_Plan":
        return _Plan.of(self._sources, self._config, self._seed, number)

    def _batch(self, plan: "_Plan", index: NDArray[np.int64]) -> Batch:
        picked = [(self._sources[plan.source[at]], int(plan.row[at]), int(plan.start[at])) for at in index]
        weights = torch.tensor([float(source.weights[row]) for source, row, _ in picked])  # [B]
        total = None
        if self._processes > 1:
            # Processes average their gradients: so divided, the average is the gradient of the whole batch's mean.
            total = weights.sum() / self._processes  # []
            picked, weights = (
                picked[self._rank :: self._processes] or picked[:1],
                weights[self._rank :: self._processes],
            )
            # Where there are more processes than rows, one without runs a row that counts for nothing.
            weights = weights if len(weights) else torch.zeros(1)  # [B]
        limit = self._config.max_train_tokens
        ids, lens = collate([source.corpus.row(row)[start:][:limit] for source, row, start in picked], self._pad_id)
        return Batch(
            ids,
            lens,
            torch.tensor([int(source.corpus.labels[row]) for source, row, _ in picked]),
            torch.from_numpy(np.stack([source.corpus.classes for source, _, _ in picked])),
            weights,
            self._soft(picked),
            total,
        )

    def _soft(self, picked: Sequence[tuple[Source, int, int]]) -> Tensor | None:
        if all(source.soft is None for source, _, _ in picked):
            return None
        return torch.from_numpy(np.stack([source.taught(row) for source, row, _ in picked]))


@dataclass(frozen=True, slots=True)
class _Plan(Plan):
    """A walk with the start of each row's window."""

    start: NDArray[np.int64]

    @classmethod
    def of(cls, sources: Sequence[Source], config: LoopConfig, seed: int, number: int) -> "_Plan":
        rng = np.random.default_rng([seed, number])
        row = np.concatenate(
            [walk(len(one.corpus), one.rows_per_epoch, [seed, at], number) for at, one in enumerate(sources)]
        )
        source = np.repeat(np.arange(len(sources)), [one.rows_per_epoch for one in sources])
        full = np.concatenate(
            [one.corpus.lens[row[source == at]] for at, one in enumerate(sources)],
        )
        lens = np.minimum(full, config.max_train_tokens)
        # A long review is seen from its start or up to its end, at random: verdicts stand at the ends.
        start = (full - lens) * rng.integers(0, 2, len(full))
        shuffled = rng.permutation(len(full))
        batches = [shuffled[index] for index in cut(lens[shuffled], config.max_cells, config.max_rows)]
        rng.shuffle(batches)
        return cls(source, row, batches, start)


def walk(rows: int, wanted: int, seed: Sequence[int], number: int) -> NDArray[np.int64]:
    """Return the `wanted` of `rows` rows that a plan takes, int64[wanted], the first plan's `number` being 0.

    Plans go on in one endless run of permutations, each where the one before stopped.
    """
    places = np.arange(number * wanted, (number + 1) * wanted)
    cycles = {int(cycle): np.random.default_rng([*seed, int(cycle)]).permutation(rows) for cycle in set(places // rows)}
    return np.array([cycles[int(place // rows)][place % rows] for place in places], dtype=np.int64)
