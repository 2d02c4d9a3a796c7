"""Data to arrays: cuts documents into sentences, labels those that come nearest to the summary, and encodes them."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from app.text.sentences import sentences
from training import tokenizer
from training.errors import DataError
from training.extractive.config import ExtractConfig, ExtractSet
from training.extractive.corpus import Documents, Ints, Row
from training.oracle import SetScorer
from training.pairs import Pairs, read_pairs
from training.paths import RunPaths
from training.rouge import scorer

TRAIN, DEV = "train", "dev"
DEV_DOCUMENTS = 1000
"""Of a dev split, its first: what the fit, the weight of redundancy and 8 bits are judged by."""
_AT_ONCE = 256
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DevRow:
    """A dev document as it is scored: the texts of the sentences that the network reads, and the references."""

    sentences: list[str]
    references: list[str]


class _Numbers:
    """Numbers for ROUGE's words, in the order in which they come."""

    def __init__(self, language: str) -> None:
        self._tokenize = scorer(language).tokenizer.tokenize
        self._numbers: dict[str, int] = {}

    def of(self, text: str) -> Ints:
        words = self._tokenize(text)
        return np.array([self._numbers.setdefault(word, len(self._numbers)) for word in words], dtype=np.int32)


def prepare(config: ExtractConfig, data: Path, paths: RunPaths, say: Say) -> None:
    """Write tokenizer.json, and the training and dev splits encoded; test splits are never read here."""
    read = {one.name: read_pairs(data, one.name, TRAIN).head(one.rows) for one in config.sets}
    say(f"prepare: {sum(map(len, read.values()))} training documents in {len(read)} sets")
    trained = tokenizer.train((text for pairs in read.values() for text in pairs.documents), config.tokenizer)
    paths.root.mkdir(parents=True, exist_ok=True)
    trained.save(str(paths.tokenizer))
    say(f"prepare: tokenizer of {trained.get_vocab_size()} entries")
    for one in config.sets:
        for split, pairs in ((TRAIN, read.pop(one.name)), (DEV, read_pairs(data, one.name, DEV).head(DEV_DOCUMENTS))):
            texts = [first_sentences(text, config) for text in pairs.documents]
            rows = list(_rows(texts, pairs, one, config, trained))
            encoded = Documents.of(rows)
            if not encoded.labels.any():
                raise DataError(
                    f"{one.name}/{split}: no sentence shares a word with its summary, so none is to be learnt"
                )
            encoded.save(file_of(paths, one.name, split))
            say(
                f"prepare: {one.name}/{split}: {len(encoded)} documents, {len(encoded.labels)} sentences, "
                f"{encoded.labels.sum()} to quote, {len(encoded.ids)} tokens"
            )
            if split == DEV:
                _write_texts(paths, one.name, texts, pairs)


def first_sentences(text: str, config: ExtractConfig) -> list[str]:
    """Return the sentences of a text that the network reads."""
    spans = sentences(text, config.language)[: config.document.max_sentences]
    return [text[span.start : span.end] for span in spans]


def training_documents(config: ExtractConfig, paths: RunPaths) -> list[tuple[Documents, int]]:
    """Open the training splits, each with the rows that an epoch takes of it."""
    return [(opened(paths, one.name, TRAIN), one.rows_per_epoch) for one in config.sets]


def opened(paths: RunPaths, name: str, split: str) -> Documents:
    """Open one encoded split."""
    return Documents.load(paths.need(file_of(paths, name, split), "prepare"))


def dev_texts(paths: RunPaths, name: str) -> list[DevRow]:
    """Read the dev documents that `prepare` kept, in the order of their rows."""
    path = paths.need(paths.prepared / f"{name}.{DEV}.jsonl", "prepare")
    return [DevRow(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def file_of(paths: RunPaths, name: str, split: str) -> Path:
    """Where an encoded split is kept."""
    return paths.prepared / f"{name}.{split}.npz"


def _rows(
    texts: Sequence[list[str]], pairs: Pairs, one: ExtractSet, config: ExtractConfig, trained: Tokenizer
) -> Iterator[Row]:
    numbers = _Numbers(config.language)
    limit = config.document.max_sentence_tokens
    for at in range(0, len(texts), _AT_ONCE):
        # Many at once: handing the sentences of one document to a pool of threads costs more than cutting them.
        flat = [sentence for said in texts[at : at + _AT_ONCE] for sentence in said]
        encoded = iter(tokenizer.encode(trained, flat, limit))
        for said, references in zip(texts[at : at + _AT_ONCE], pairs.references[at : at + _AT_ONCE], strict=True):
            words = [numbers.of(sentence) for sentence in said]
            wanted = numbers.of(references[0])
            labels = np.zeros(len(said), dtype=np.bool_)
            labels[SetScorer(words, [wanted]).greedy(one.sentences)] = True
            yield Row([next(encoded) for _ in said], labels, words, wanted)


def _write_texts(paths: RunPaths, name: str, texts: Sequence[list[str]], pairs: Pairs) -> None:
    rows = zip(texts, pairs.references, strict=True)
    lines = [json.dumps({"sentences": said, "references": references}, ensure_ascii=False) for said, references in rows]
    (paths.prepared / f"{name}.{DEV}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
