"""A package that quotes: how well each sentence of a text would stand for the whole of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from app.errors import PackageError
from app.modelpack import manifest as schema
from app.modelpack.store import Package
from app.modelpack.summaries import Extraction
from app.runtime.lane import SessionLane
from app.runtime.model import TextModel, open_session
from app.runtime.providers import Provider
from app.runtime.session import Session, padded

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_SCORES, _VECTORS = "scores", "vectors"
_WARM_UP_SENTENCES = (1, 3, 30)


@dataclass(frozen=True, slots=True)
class Document:
    """The sentences of one text as the graph reads them, int64[T] each, none of them empty."""

    sentences: tuple[Ids, ...]

    def __len__(self) -> int:
        """Return the cells that it costs: sentences times the longest."""
        return len(self.sentences) * max(map(len, self.sentences))


class Scored(NamedTuple):
    """What the graph says of a document: ``scores`` float32[S] in 0 to 1, and ``vectors`` float32[S, F] of length 1."""

    scores: Floats
    vectors: Floats


@dataclass(frozen=True, eq=False)
class ScoringLane(SessionLane):
    """Documents of one session; each runs alone, since the graph reads the sentences of one text side by side."""

    pad_id: int

    def run(self, rows: Sequence[Document]) -> list[Scored]:
        """Return each document's scores and vectors, in order."""
        return [self._one(document) for document in rows]

    def _one(self, document: Document) -> Scored:
        scores, vectors = self.session.run((_SCORES, _VECTORS), padded(document.sentences, self.pad_id))
        return Scored(scores, vectors)


@dataclass(frozen=True, eq=False)
class Extractor(TextModel):
    """A package of the task ``extract``."""

    session: Session
    lane: ScoringLane = field(init=False)

    def __post_init__(self) -> None:
        lane = ScoringLane(self.session, self.name, self.version, self.manifest.tokenizer.pad_id)
        object.__setattr__(self, "lane", lane)

    @classmethod
    def open(cls, package: Package, provider: Provider, precision: str = "auto") -> Self:
        """Open a verified package and warm it up; ``PackageError`` where its parts do not fit together."""
        model = cls(package, provider, package.tokenizer(), open_session(package, provider, precision))
        model.warm_up()
        return model

    @property
    def extraction(self) -> Extraction:
        """What the package says of how it quotes."""
        if self.manifest.extraction is None:
            raise TypeError("This is a bug: a package that quotes without its section")
        return self.manifest.extraction

    def document(self, sentences: Sequence[Ids]) -> Document:
        """Return ``sentences``, int64[T] each and none empty, cut to what the graph reads of one."""
        return Document(tuple(ids[: self.extraction.max_sentence_tokens] for ids in sentences))

    def warm_up(self) -> None:
        """Score texts of a few lengths; ``PackageError`` where there is not one score and one vector a sentence."""
        for count in _WARM_UP_SENTENCES:
            tokens = [1 + at % self.extraction.max_sentence_tokens for at in range(count)]
            unknown = [np.full(each, self.manifest.tokenizer.unk_id, np.int64) for each in tokens]
            (found,) = self.lane.run([self.document(unknown[: self.extraction.max_sentences])])
            self._check(found, min(count, self.extraction.max_sentences))

    def _check(self, found: Scored, sentences: int) -> None:
        shapes = f"scores of shape {found.scores.shape} and vectors of shape {found.vectors.shape}"
        if found.scores.shape != (sentences,) or found.vectors.shape[:1] != (sentences,):
            raise PackageError(self._file, shapes, f"one of each for {sentences} sentences")
        if not ((found.scores >= 0.0) & (found.scores <= 1.0)).all():
            raise PackageError(self._file, f"scores {found.scores.tolist()[:3]}", "probabilities")

    @property
    def _file(self) -> str:
        graph = self.manifest.graph(self.session.precision)
        return graph.file if graph is not None else schema.FILE
