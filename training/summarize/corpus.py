"""Encoded pairs as the network reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of ids laid end to end: row i is `ids[starts[i]:starts[i + 1]]`."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Ragged":
        """Lay rows end to end."""
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        return cls(np.concatenate([np.zeros(0, np.int32), *rows]).astype(np.int32), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lens(self) -> NDArray[np.int64]:
        """Counts of ids, int64[rows]."""
        return np.diff(self.starts)

    def row(self, index: int) -> Row:
        """Ids of one row, int32[tokens]."""
        return self.ids[self.starts[index] : self.starts[index + 1]]


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents to pre-train on, cut into sentences: document d has those from `starts[d]` up to `starts[d + 1]`."""

    sentences: Ragged
    starts: NDArray[np.int64]
    kinds: NDArray[np.int64]

    @classmethod
    def of(cls, documents: Sequence[Sequence[Row]], kinds: Sequence[int]) -> "Documents":
        """Lay documents end to end."""
        starts = np.concatenate([[0], np.cumsum([len(one) for one in documents])]).astype(np.int64)
        rows = [sentence for document in documents for sentence in document]
        return cls(Ragged.of(rows), starts, np.array(kinds, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.kinds)

    def document(self, index: int) -> list[Row]:
        """Sentences of one document."""
        return [self.sentences.row(at) for at in range(self.starts[index], self.starts[index + 1])]

    def save(self, path: Path) -> None:
        """Write as .npz, without pickle."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, ids=self.sentences.ids, ends=self.sentences.starts, starts=self.starts, kinds=self.kinds)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Sources, what is to be written for each (with its end, where it was not cut), and each row's kind token's id."""

    sources: Ragged
    targets: Ragged
    kinds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kinds)

    def head(self, rows: int) -> "Pairs":
        """Return the rows spread evenly over these, at most `rows` of them."""
        if len(self) <= rows:
            return self
        kept = np.linspace(0, len(self) - 1, rows).astype(np.int64)
        return Pairs(
            Ragged.of([self.sources.row(int(at)) for at in kept]),
            Ragged.of([self.targets.row(int(at)) for at in kept]),
            self.kinds[kept],
        )

    def save(self, path: Path) -> None:
        """Write as .npz, without pickle."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            sources=self.sources.ids,
            source_starts=self.sources.starts,
            targets=self.targets.ids,
            target_starts=self.targets.starts,
            kinds=self.kinds,
        )


def load_documents(path: Path) -> Documents:
    """Read what `Documents.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Documents(Ragged(arrays["ids"], arrays["ends"]), arrays["starts"], arrays["kinds"])


def load(path: Path) -> Pairs:
    """Read what `Pairs.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Pairs(
            Ragged(arrays["sources"], arrays["source_starts"]),
            Ragged(arrays["targets"], arrays["target_starts"]),
            arrays["kinds"],
        )
