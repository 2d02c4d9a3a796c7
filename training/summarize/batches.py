"""Batches of pairs near in length, in an order that a killed run takes up again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.batches import collate, walk
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


class TrainPairs:
    """An endless run of training batches, a fixed number an epoch; see `training.batches.TrainBatches`."""

    def __init__(self, sources: Sequence[tuple[Pairs, int]], config: StageConfig, seed: int) -> None:
        self._sources = sources
        self._config = config
        self._seed = seed
        self._number = 0
        self._position = 0
        self._given = 0
        self._plan = _Plan.of(sources, config, seed, 0)
        self._per_epoch = len(self._plan.batches)

    def __len__(self) -> int:
        return self._per_epoch

    def state_dict(self) -> dict[str, Any]:
        """Return where the next batch comes from."""
        return {"plan": self._number, "position": self._position, "given": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up again where `state_dict` was taken."""
        self._number, self._position, self._given = state["plan"], state["position"], state["given"]
        self._plan = _Plan.of(self._sources, self._config, self._seed, self._number)

    def __iter__(self) -> Iterator[PairBatch]:
        """Give what is left of the epoch."""
        while True:
            if self._position == len(self._plan.batches):
                self._number, self._position = self._number + 1, 0
                self._plan = _Plan.of(self._sources, self._config, self._seed, self._number)
            plan = self._plan
            index = plan.batches[self._position]
            self._position += 1
            self._given += 1
            yield batch_of([(self._sources[plan.source[at]][0], int(plan.row[at])) for at in index])
            if self._given % self._per_epoch == 0:
                return


@dataclass(frozen=True, slots=True)
class _Plan:
    """One walk: for each drawn row its source and its index there; and the batches, shuffled."""

    source: NDArray[np.int64]
    row: NDArray[np.int64]
    batches: list[NDArray[np.int64]]

    @classmethod
    def of(cls, sources: Sequence[tuple[Pairs, int]], config: StageConfig, seed: int, number: int) -> "_Plan":
        rng = np.random.default_rng([seed, number])
        drawn = [walk(len(pairs), rows, [seed, at], number) for at, (pairs, rows) in enumerate(sources)]
        source = np.repeat(np.arange(len(sources)), [len(rows) for rows in drawn])
        row = np.concatenate(drawn)
        lens = np.concatenate([pairs.sources.lens[rows] for (pairs, _), rows in zip(sources, drawn, strict=True)])
        targets = np.concatenate([pairs.targets.lens[rows] for (pairs, _), rows in zip(sources, drawn, strict=True)])
        shuffled = rng.permutation(len(row))
        batches = [shuffled[index] for index in cut(lens[shuffled], targets[shuffled], config)]
        rng.shuffle(batches)
        return cls(source, row, batches)
