"""Batches of pairs near in length, in an order that a killed run takes up again."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.batches import collate, walk
from training.endless import Endless, Plan
from training.summarize.config import StageConfig
from training.summarize.corpus import Pairs
from training.summarize.vocabulary import BOS_ID, PAD_ID, UNK_ID

NEAR = 8
"""Source lengths within so many tokens are alike, and rows among them are put in order by the summary's."""


class PairBatch(NamedTuple):
    """ids int64[B, S] of lens int64[B], kinds int64[B]; inputs int64[B, T], what each step reads; targets int64[B, T].

    counted bool[B, T] is true where a target is to be learnt: neither padding nor unknown.
    """

    ids: Tensor
    lens: Tensor
    kinds: Tensor
    inputs: Tensor
    targets: Tensor
    counted: Tensor


def batch_of(picked: Sequence[tuple[Pairs, int]]) -> PairBatch:
    """Return a batch of rows, each of its own pairs."""
    ids, lens = collate([pairs.sources.row(row) for pairs, row in picked], PAD_ID)
    targets, _ = collate([pairs.targets.row(row) for pairs, row in picked], PAD_ID)
    begin = torch.full((len(picked), 1), BOS_ID)  # [B, 1]
    return PairBatch(
        ids,
        lens,
        torch.tensor([int(pairs.kinds[row]) for pairs, row in picked]),
        torch.cat([begin, targets[:, :-1]], dim=1),
        targets,
        (targets != PAD_ID) & (targets != UNK_ID),
    )


def cut(sources: NDArray[np.int64], targets: NDArray[np.int64], config: StageConfig) -> list[NDArray[np.int64]]:
    """Return the indices of each batch: rows near in length, within the stage's `max_rows` and `max_cells`."""
    order = np.lexsort((targets, sources // NEAR))
    batches, start, source, target = [], 0, 0, 0
    for end, at in enumerate(order):
        source, target = max(source, int(sources[at])), max(target, int(targets[at]))
        cells = (end + 1 - start) * (source + config.target_cost * target)
        if end > start and (cells > config.max_cells or end - start == config.max_rows):
            batches.append(order[start:end])
            start, source, target = end, int(sources[at]), int(targets[at])
    return [*batches, order[start:]]


class DevPairs:
    """One set's dev pairs in batches, the shortest first."""

    def __init__(self, pairs: Pairs, config: StageConfig) -> None:
        self.pairs = pairs
        self.order = cut(pairs.sources.lens, pairs.targets.lens, config)

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[PairBatch]:
        for index in self.order:
            yield batch_of([(self.pairs, int(at)) for at in index])


class TrainPairs(Endless[Plan, PairBatch]):
    """Those of a run that writes."""

    def __init__(self, sources: Sequence[tuple[Pairs, int]], config: StageConfig, seed: int) -> None:
        self._sources = sources
        self._config = config
        self._seed = seed
        super().__init__()

    def _batch(self, plan: Plan, index: NDArray[np.int64]) -> PairBatch:
        return batch_of([(self._sources[plan.source[at]][0], int(plan.row[at])) for at in index])

    def _planned(self, number: int) -> Plan:
        rng = np.random.default_rng([self._seed, number])
        drawn = [walk(len(pairs), rows, [self._seed, at], number) for at, (pairs, rows) in enumerate(self._sources)]
        source = np.repeat(np.arange(len(self._sources)), [len(rows) for rows in drawn])
        row = np.concatenate(drawn)
        lens = np.concatenate([pairs.sources.lens[rows] for (pairs, _), rows in zip(self._sources, drawn, strict=True)])
        targets = np.concatenate(
            [pairs.targets.lens[rows] for (pairs, _), rows in zip(self._sources, drawn, strict=True)]
        )
        shuffled = rng.permutation(len(row))
        batches = [shuffled[index] for index in cut(lens[shuffled], targets[shuffled], self._config)]
        rng.shuffle(batches)
        return Plan(source, row, batches)
