"""What a caller asks of classifiers and what comes back, as plain values that know nothing of HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.errors import ItemError
from app.keys.allowance import Allowance
from app.runtime.traffic import Version
from app.scheduling.haste import UNHURRIED, Haste
from app.tasks.classify import Classified, Told


@dataclass(slots=True)
class Query:
    """What a caller asks of the texts."""

    texts: Sequence[str]
    model: str | None = None
    version: Version | None = None
    language: str = "auto"
    explain: bool = False
    sentences: bool = False
    allowance: Allowance | None = None
    """What the caller may still ask for, where that is limited."""
    haste: Haste = UNHURRIED
    patient: bool = False
    """Wait for room in the queue and for the answer, however long, where others are refused."""
    key: str = ""
    """Requests with the same key get the same version, where versions share the traffic."""


@dataclass(frozen=True, slots=True)
class TokenWeight:
    """A token's span in the caller's text and how much it speaks for the label, in logits."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class SentenceAnswer:
    """A sentence's span in the caller's text and its own answer."""

    start: int
    end: int
    answer: Classified


@dataclass(slots=True)
class Result:
    """One text's answer."""

    index: int
    text: str
    model: str
    version: int
    language: str
    tokens: int
    truncated: bool
    answer: Classified
    alias: str | None = None
    """By which the version was found, if by one."""
    explanation: list[TokenWeight] | None = None
    sentences: list[SentenceAnswer] | None = None
    sentences_left_out: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """One text's error."""

    index: int
    error: ItemError


@dataclass(slots=True)
class Timings:
    """Where the time of a request went, in seconds."""

    tokenize: float = 0.0
    queue: float = 0.0
    infer: float = 0.0

    def join(self, queue: float, infer: float) -> None:
        """Take in the times of one model's texts; what runs side by side takes as long as the longest."""
        self.queue = max(self.queue, queue)
        self.infer = max(self.infer, infer)


@dataclass(slots=True)
class Reply:
    """Results and failures, each in the order of the texts."""

    results: list[Result] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)


@dataclass(slots=True)
class Labelled:
    """The answers of one model to texts of which no more than the label was asked: a column each, a row a text."""

    model: str
    version: int
    alias: str | None
    languages: Sequence[str]
    tokens: Sequence[int]
    truncated: Sequence[bool]
    answers: Sequence[Told]
    timings: Timings
