"""Batches of documents near in length, in an order that a killed run takes up again."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.batches import collate, cut, walk
from training.endless import Endless, Plan
from training.extractive.config import FitConfig
from training.extractive.corpus import Documents, Row
from training.oracle import SetScorer
from training.tokenizer import PAD_ID


class DocumentBatch(NamedTuple):
    """ids int64[N, T] and lens int64[N] of all sentences, counts int64[B] of each document's, labels float32[B, S].

    gains float32[B, S] is the ROUGE that each sentence has alone; `scorers` tell it of sets of a document's sentences.
    """

    ids: Tensor
    lens: Tensor
    counts: Tensor
    labels: Tensor
    gains: Tensor
    scorers: tuple[SetScorer, ...]


def batch_of(rows: Sequence[Row]) -> DocumentBatch:
    """Return a batch of documents."""
    ids, lens = collate([sentence for row in rows for sentence in row.sentences], PAD_ID)
    counts = torch.tensor([len(row.sentences) for row in rows])  # [B]
    labels = torch.zeros(len(rows), int(counts.max()))  # [B, S]
    gains = torch.zeros_like(labels)  # [B, S]
    for at, row in enumerate(rows):
        labels[at, : len(row.labels)] = torch.from_numpy(row.labels.astype(np.float32))
    scorers = tuple(SetScorer(row.words, [row.summary]) for row in rows)
    for at, scorer in enumerate(scorers):
        gains[at, : scorer.size] = torch.from_numpy(scorer.alone().astype(np.float32))
    return DocumentBatch(ids, lens, counts, labels, gains, scorers)


class DevDocuments:
    """The first documents of a dev split in batches, the shortest first; `order` says which stand in each."""

    def __init__(self, documents: Documents, config: FitConfig, rows: int | None = None) -> None:
        self.documents = documents
        self.order = cut(documents.cells[:rows], config.max_cells, config.max_rows)

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[DocumentBatch]:
        for index in self.order:
            yield batch_of([self.documents.row(int(at)) for at in index])


class TrainDocuments(Endless[Plan, DocumentBatch]):
    """Those of a run that quotes."""

    def __init__(self, sources: Sequence[tuple[Documents, int]], config: FitConfig, seed: int) -> None:
        self._sources = sources
        self._config = config
        self._seed = seed
        super().__init__()

    def _batch(self, plan: Plan, index: NDArray[np.int64]) -> DocumentBatch:
        return batch_of([self._sources[plan.source[at]][0].row(int(plan.row[at])) for at in index])

    def _planned(self, number: int) -> Plan:
        rng = np.random.default_rng([self._seed, number])
        drawn = [
            walk(len(documents), rows, [self._seed, at], number) for at, (documents, rows) in enumerate(self._sources)
        ]
        source = np.repeat(np.arange(len(drawn)), [len(rows) for rows in drawn])
        cells = [documents.cells[rows] for (documents, _), rows in zip(self._sources, drawn, strict=True)]
        shuffled = rng.permutation(len(source))
        parts = cut(np.concatenate(cells)[shuffled], self._config.max_cells, self._config.max_rows)
        batches = [shuffled[index] for index in parts]
        rng.shuffle(batches)
        return Plan(source, np.concatenate(drawn), batches)
