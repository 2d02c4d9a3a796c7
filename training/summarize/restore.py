"""Sentences to restore, from documents without summaries: taken out of a passage, or garbled in it.

The gap is PEGASUS's (Zhang et al. 2020): of a passage's sentences, the one that shares most with the others is left
out and written. The garbled sentence is BART's noise (Lewis et al. 2020) kept cheap: spans of it are masked and the
passage's sentences shuffled, but only that sentence is written. The unknown token is the mask.
"""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from training.summarize.config import RestoreConfig
from training.summarize.corpus import Documents, Pairs, Ragged, Row
from training.summarize.vocabulary import EOS_ID, KIND_IDS, LINE_ID, UNK_ID

MIN_SENTENCES = 3
MEAN_SPAN = 3
MASK = np.array([UNK_ID], dtype=np.int32)
END = np.array([EOS_ID], dtype=np.int32)
LINE = np.array([LINE_ID], dtype=np.int32)


CHUNK = 2000
"""Documents whose passages are drawn by one generator of random numbers."""


def drawn(documents: Documents, config: RestoreConfig, seed: int) -> Pairs:
    """Return every document's passages with what is to be restored of each, by processes of their own."""
    parts = [
        (
            [documents.document(at) for at in range(first, min(first + CHUNK, len(documents)))],
            documents.kinds[first : first + CHUNK].tolist(),
            config,
            [seed, first],
        )
        for first in range(0, len(documents), CHUNK)
    ]
    processes = min(len(parts), len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = [row for part in pool.map(_drawn, *zip(*parts, strict=True)) for row in part]
    sources, targets, kinds = zip(*found, strict=True)
    return Pairs(Ragged.of(sources), Ragged.of(targets), np.array(kinds, dtype=np.int64))


def _drawn(
    documents: Sequence[Sequence[Row]], kinds: Sequence[int], config: RestoreConfig, seed: Sequence[int]
) -> list[tuple[Row, Row, int]]:
    rng = np.random.default_rng(list(seed))
    return [
        (source, target, kind)
        for document, kind in zip(documents, kinds, strict=True)
        for source, target in passages(document, config, rng, lines=kind == KIND_IDS["dialogue"])
    ]


def passages(
    document: Sequence[Row], config: RestoreConfig, rng: np.random.Generator, *, lines: bool
) -> Iterator[tuple[Row, Row]]:
    """Give sources and targets of a document's sentences; `lines` puts line breaks between them, as in dialogues."""
    for number in range(config.passages):
        last = max(0, len(document) - MIN_SENTENCES)
        start = 0 if number == 0 else int(rng.integers(0, last + 1))
        kept = _kept(document[start:], config.max_tokens)
        wanted = [at for at, one in enumerate(kept) if config.min_target <= len(one) <= config.max_target]
        if len(kept) < MIN_SENTENCES or not wanted:
            return
        if rng.random() < config.gap_share:
            at = max(wanted, key=lambda one: _shared(kept, one))
            changed = [*kept[:at], MASK, *kept[at + 1 :]]
        else:
            at = int(rng.choice(wanted))
            changed = [*kept[:at], garble(kept[at], config.garbled, rng), *kept[at + 1 :]]
            changed = [changed[one] for one in rng.permutation(len(changed))]
        yield _joined(changed, lines=lines), np.concatenate([kept[at], END])


def garble(sentence: Row, share: float, rng: np.random.Generator) -> Row:
    """Return the sentence with spans of `share` of its tokens masked, one mask a span, of 3 tokens in the mean."""
    masked = np.zeros(len(sentence), dtype=np.bool_)
    goal = max(1, round(share * len(sentence)))
    while masked.sum() < goal:
        length = min(1 + int(rng.poisson(MEAN_SPAN - 1)), goal)
        start = int(rng.integers(0, len(sentence) - length + 1))
        masked[start : start + length] = True
    first = masked & ~np.concatenate([[False], masked[:-1]])
    left: Row = np.where(masked, UNK_ID, sentence)[~masked | first].astype(np.int32)
    return left


def _kept(sentences: Sequence[Row], max_tokens: int) -> list[Row]:
    kept: list[Row] = []
    tokens = 0
    for one in sentences:
        tokens += len(one) + 1
        if tokens > max_tokens:
            break
        kept.append(one)
    return kept


def _shared(sentences: Sequence[Row], at: int) -> float:
    """Return F1 of the ids that a sentence shares with the others."""
    own = set(sentences[at].tolist())
    others = {one for number, row in enumerate(sentences) if number != at for one in row.tolist()}
    return 2 * len(own & others) / (len(own) + len(others))


def _joined(sentences: Sequence[Row], *, lines: bool) -> Row:
    if not lines:
        return np.concatenate(sentences)
    return np.concatenate([part for one in sentences for part in (one, LINE)][:-1])
