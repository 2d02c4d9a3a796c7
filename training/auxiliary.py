"""Auxiliary tasks (Caruana 1997): second labelled sets, and a language model on the classifier's own states.

The classes of second sets stand beside the network's own, so that a batch mixes rows of all. A row opens the classes
of its set, as it always does, and the loss says nothing of the others.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from training import corpus
from training.batches import Source
from training.config import AuxiliarySet, RunConfig
from training.data import Rows, file_of, read_split
from training.errors import DataError
from training.models.auxiliary import Auxiliary, NextTokens
from training.models.language import SampledSoftmax
from training.models.recurrent import RecurrentBranch
from training.paths import RunPaths

# Tokens that the sampled softmax tells a token from, as in pre-training.
NEGATIVES = 512


def read(data: Path, one: AuxiliarySet) -> Rows:
    """Read a second set; `DataError` where a label is none of the set's in the config, or where no row has one."""
    rows = read_split(data, one.name, one.split, one.labels)
    if missing := [label for label in one.labels if label not in set(rows.labels)]:
        raise DataError(f"{file_of(data, one.name, one.split)}: no row has the label {missing[0]!r} of [[auxiliary]]")
    return rows


def sources(config: RunConfig, paths: RunPaths) -> list[Source]:
    """Open the prepared second sets; a row weighs what its set does."""
    found = []
    for one in config.auxiliary:
        rows = corpus.load(paths.need(paths.auxiliary(one.name, one.split), "prepare"))
        found.append(Source(rows, one.rows_per_epoch, np.full(len(rows), one.weight, dtype=np.float32)))
    return found


def beside(own: Sequence[Source], second: Sequence[Source]) -> list[Source]:
    """Return all sources over one row of classes: the network's own first, then those of each second set."""
    widths = [len(own[0].corpus.classes), *(len(one.corpus.classes) for one in second)]
    starts = [0] * len(own) + [sum(widths[:at]) for at in range(1, len(widths))]
    return [_placed(one, start, sum(widths)) for one, start in zip([*own, *second], starts, strict=True)]


def new_auxiliary(config: RunConfig, branch: RecurrentBranch, read_from: Sequence[Source]) -> Auxiliary | None:
    """Make the heads that the settings ask for, None where they ask for none; first weights are the seed's."""
    classes = sum(len(one.labels) for one in config.auxiliary)
    if not classes and not config.loop.auxiliary_lm:
        return None
    torch.manual_seed(config.seed + 1)
    words = None
    if config.loop.auxiliary_lm:
        size = branch.embedding.num_embeddings
        counts = sum(np.bincount(one.corpus.ids, minlength=size) for one in read_from)  # [V]
        directions = branch.encoder.states // config.model.hidden
        softmax = SampledSoftmax(torch.as_tensor(counts), NEGATIVES)
        words = NextTokens(config.model.hidden, directions, branch.embedding, softmax)
    return Auxiliary(branch.head.in_features, classes, words)


def _placed(one: Source, start: int, width: int) -> Source:
    around = (start, width - start - len(one.corpus.classes))
    rows = replace(one.corpus, labels=one.corpus.labels + start, classes=np.pad(one.corpus.classes, around))
    return replace(one, corpus=rows, soft=None if one.soft is None else np.pad(one.soft, ((0, 0), around)))
