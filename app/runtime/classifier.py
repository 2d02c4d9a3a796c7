"""A package that classifies: its session, and the lanes on which its rows run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from app.errors import PackageError
from app.modelpack import manifest as schema
from app.modelpack.store import Package
from app.runtime.lane import SessionLane
from app.runtime.model import TextModel, open_session
from app.runtime.providers import Provider
from app.runtime.session import Array, Session, padded

LOGITS, ATTRIBUTION = "logits", "attribution"
_WARM_UP_TOKENS = (1, 16, 128)


@dataclass(frozen=True, eq=False)
class GraphLane(SessionLane):
    """Rows that may run together: those of one session that ask for the same outputs."""

    pad_id: int
    outputs: tuple[str, ...]

    def run(self, rows: Sequence[npt.NDArray[np.int64]]) -> list[tuple[Array, ...]]:
        """Return each row's outputs in the lane's order: logits float32[C], attribution float32[T, C]."""
        found = self.session.run(self.outputs, padded(rows, self.pad_id))
        columns = (
            [array[: len(row)] for array, row in zip(arrays, rows, strict=True)] if name == ATTRIBUTION else arrays
            for name, arrays in zip(self.outputs, found, strict=True)
        )
        return list(zip(*columns, strict=True))


@dataclass(frozen=True, eq=False)
class Classifier(TextModel):
    """A package whose answer is a label."""

    session: Session
    temperature: float = field(init=False)
    plain: GraphLane = field(init=False)
    explained: GraphLane = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "temperature", self.manifest.temperature)
        for name, outputs in (("plain", (LOGITS,)), ("explained", (LOGITS, ATTRIBUTION))):
            pad_id = self.manifest.tokenizer.pad_id
            lane = GraphLane(self.session, self.name, self.version, pad_id, outputs)
            object.__setattr__(self, name, lane)

    @classmethod
    def open(cls, package: Package, provider: Provider, precision: str = "auto") -> Self:
        """Open a verified package and warm it up; ``PackageError`` where its parts do not fit together."""
        model = cls(package, provider, package.tokenizer(), open_session(package, provider, precision))
        model.warm_up()
        return model

    def warm_up(self) -> None:
        """Run both lanes over a few lengths; ``PackageError`` where the answers have not the form of the labels."""
        labels = len(self.manifest.labels)
        for tokens in _WARM_UP_TOKENS:
            row = np.full(min(tokens, self.manifest.limits.max_tokens), self.manifest.tokenizer.unk_id, np.int64)
            for lane in (self.plain, self.explained):
                for logits, *attribution in lane.run([row, row[:1]]):
                    if logits.shape != (labels,) or any(part.shape[1:] != (labels,) for part in attribution):
                        raise PackageError(
                            schema.FILE,
                            f"labels: {labels} of them",
                            f"as many as the graph's {logits.shape[-1]} logits",
                        )
