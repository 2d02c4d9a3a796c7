"""Documents as the extractor reads them: sentences of token ids, which to quote, and the words that ROUGE counts."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Starts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Row:
    """One document: token ids int32[T] a sentence, labels bool[S], ROUGE's words int32[W] a sentence and a summary."""

    sentences: list[Ints]
    labels: NDArray[np.bool_]
    words: list[Ints]
    summary: Ints


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents laid end to end: document d has the sentences `documents[d]` up to `documents[d + 1]`.

    Sentence s has the tokens `ids[sentences[s]:sentences[s + 1]]` and the words `words[spoken[s]:spoken[s + 1]]`;
    the summary of document d has the words `summary[summaries[d]:summaries[d + 1]]`.
    """

    ids: Ints
    sentences: Starts
    documents: Starts
    labels: NDArray[np.bool_]
    words: Ints
    spoken: Starts
    summary: Ints
    summaries: Starts

    def __len__(self) -> int:
        return len(self.documents) - 1

    def row(self, at: int) -> Row:
        """Return one document."""
        places = range(self.documents[at], self.documents[at + 1])
        return Row(
            [self.ids[self.sentences[one] : self.sentences[one + 1]] for one in places],
            self.labels[self.documents[at] : self.documents[at + 1]],
            [self.words[self.spoken[one] : self.spoken[one + 1]] for one in places],
            self.summary[self.summaries[at] : self.summaries[at + 1]],
        )

    @property
    def cells(self) -> NDArray[np.int64]:
        """What each document costs, int64[D]: its tokens, and a little for each sentence."""
        tokens = self.sentences[self.documents[1:]] - self.sentences[self.documents[:-1]]
        cells: NDArray[np.int64] = tokens + 4 * np.diff(self.documents)
        return cells

    def save(self, path: Path) -> None:
        """Write as .npz, without pickle."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, allow_pickle=False, **{one.name: getattr(self, one.name) for one in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{one.name: arrays[one.name] for one in fields(cls)})

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Self:
        """Lay rows end to end."""
        sentences = [sentence for row in rows for sentence in row.sentences]
        words = [sentence for row in rows for sentence in row.words]
        return cls(
            ids=_joined(sentences),
            sentences=_starts(sentences),
            documents=_starts([row.sentences for row in rows]),
            labels=np.concatenate([row.labels for row in rows]) if rows else np.zeros(0, bool),
            words=_joined(words),
            spoken=_starts(words),
            summary=_joined([row.summary for row in rows]),
            summaries=_starts([row.summary for row in rows]),
        )


def _joined(parts: Sequence[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, np.int32)


def _starts(parts: Sequence[Sequence[object] | Ints]) -> Starts:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
