"""A split as the network reads it: token ids, class indices, and which classes its labels speak of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from training.data import Rows
from training.tokenizer import encode


@dataclass(frozen=True, slots=True)
class Corpus:
    """Rows of token ids laid end to end: row i is `ids[starts[i]:starts[i + 1]]`.

    `classes` bool[C] says which classes the split distinguishes: a binary set is silent on neutral, so neither its loss
    nor its score may look at it.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lens(self) -> NDArray[np.int64]:
        """Token counts, int64[rows]."""
        return np.diff(self.starts)

    def row(self, index: int) -> NDArray[np.int32]:
        """Token ids of one row, int32[tokens]."""
        return self.ids[self.starts[index] : self.starts[index + 1]]

    def head(self, rows: int) -> "Corpus":
        """Return a corpus of the rows spread evenly over this one, at most `rows` of them."""
        if len(self) <= rows:
            return self
        kept = np.linspace(0, len(self) - 1, rows).astype(np.int64)
        return pack([self.row(int(index)) for index in kept], self.labels[kept], self.classes)

    def save(self, path: Path) -> None:
        """Write as .npz, without pickle."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, ids=self.ids, starts=self.starts, labels=self.labels, classes=self.classes)


def pack(rows: Sequence[NDArray[np.int32]], labels: NDArray[np.int64], classes: NDArray[np.bool_]) -> Corpus:
    """Lay rows end to end."""
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Corpus(ids=np.concatenate(rows), starts=starts, labels=labels, classes=classes)


def from_rows(rows: Rows, tokenizer: Tokenizer, labels: Sequence[str], max_tokens: int) -> Corpus:
    """Encode a split; the classes it distinguishes are those that occur among its labels."""
    index = {label: at for at, label in enumerate(labels)}
    classes = np.array([label in set(rows.labels) for label in labels])
    targets = np.array([index[label] for label in rows.labels], dtype=np.int64)
    return pack(encode(tokenizer, rows.texts, max_tokens), targets, classes)


def unlabelled(texts: list[str], tokenizer: Tokenizer, max_tokens: int) -> Corpus:
    """Encode texts without labels: every row is of class 0, and no class is distinguished."""
    rows = encode(tokenizer, texts, max_tokens)
    return pack(rows, np.zeros(len(rows), dtype=np.int64), np.zeros(1, dtype=np.bool_))


def load(path: Path) -> Corpus:
    """Read what `Corpus.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Corpus(**{name: arrays[name] for name in ("ids", "starts", "labels", "classes")})
