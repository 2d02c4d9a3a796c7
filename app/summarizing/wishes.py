"""What a caller asks of summaries and what comes back, as plain values that know nothing of HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from app.exchange import Failure
from app.keys.allowance import Allowance
from app.runtime.traffic import Version
from app.scheduling.haste import UNHURRIED, Haste
from app.text.form import AskedKind, AskedMethod, Kind, Method

FinishReason = Literal["eos", "length", "deadline"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asks of the texts; an option that is ``None`` is the package's default."""

    texts: Sequence[str]
    method: AskedMethod = "auto"
    kind: AskedKind = "auto"
    sentences: int | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    beams: int | None = None
    length_penalty: float | None = None
    language: str = "auto"
    model: str | None = None
    version: Version | None = None
    explain: bool = False
    haste: Haste = UNHURRIED
    allowance: Allowance | None = None
    """What the caller may still ask for, where that is limited."""
    key: str = ""
    """As in ``app.exchange.Query``."""


@dataclass(frozen=True, slots=True)
class TokenOrigin:
    """A summary's token: its piece, the span of the caller's text it attended to most, and whether it was copied."""

    piece: str
    start: int
    end: int
    copied: bool


@dataclass(frozen=True, slots=True)
class Quoted:
    """A sentence that was chosen: its span in the caller's text, its score, and what it was rewritten to, if it was."""

    start: int
    end: int
    score: float
    rewritten: str | None = None


@dataclass(slots=True)
class Summarized:
    """One text's summary."""

    index: int
    text: str
    model: str
    version: int
    language: str
    summary: str
    method: Method
    kind: Kind | None
    finish_reason: FinishReason | None
    tokens: int
    """Tokens of the text that were read."""
    summary_tokens: int
    """Tokens that were written; a quotation has none."""
    truncated: bool
    alias: str | None = None
    """By which the version was found, if by one."""
    sentences: list[Quoted] | None = None
    explanation: list[TokenOrigin] | None = None


@dataclass(slots=True)
class SummaryTimings:
    """Where the time of a request went, in seconds; ``first_token`` is from its arrival to the first token of any."""

    tokenize: float = 0.0
    queue: float = 0.0
    extract: float = 0.0
    generate: float = 0.0
    first_token: float | None = None


@dataclass(slots=True)
class SummaryReply:
    """Results and failures, each in the order of the texts."""

    results: list[Summarized] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    timings: SummaryTimings = field(default_factory=SummaryTimings)


@dataclass(frozen=True, slots=True)
class Delta:
    """Text that is new in a summary under way, never taken back, and how many tokens are decided with it."""

    text: str
    tokens: int
