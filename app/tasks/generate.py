"""What generating is, apart from any model: what a search may do, what it finds, and the step that it asks.

The search itself is in app.tasks.searches: many texts at once, each at its own place in its own summary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Reason = Literal["eos", "length", "deadline"]

NOTHING = -1
"""An entry of what is banned that bans nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """What one search may do.

    ``max_tokens`` counts what the summary holds, which the end token does not add to. ``length_penalty`` is alpha
    and ``coverage_penalty`` beta of Wu et al. 2016, equation 14; 0 is none. No run of ``block_ngram`` tokens occurs
    twice in a summary (Paulus et al. 2018); 0 is no such rule.
    """

    max_tokens: int
    min_tokens: int = 0
    beams: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    block_ngram: int = 0

    def __post_init__(self) -> None:
        for name, least in (("beams", 1), ("max_tokens", 1), ("min_tokens", 0), ("block_ngram", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least {least}")
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens is {self.min_tokens}; expected at most max_tokens, {self.max_tokens}")

    @property
    def candidates(self) -> int:
        """How many of a beam's best next tokens the search must see.

        All that it keeps of one beam and the end token; a beam of one takes the best, whatever it is.
        """
        return self.beams + 1 if self.beams > 1 else 1


class Token(NamedTuple):
    """One decided token: its log-probability, the share of it that is copying, and where the source says it.

    ``source`` is the position that the step attended to most, among those that hold the token itself where it was
    copied rather than made up.
    """

    id: int
    logp: float
    copied: float
    source: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a search found: the tokens without the end token, the score that chose them, and why they end.

    ``eos``: the summary ended by itself. ``length``: it was cut at ``max_tokens``, where no other had ended.
    ``deadline``: the search was broken off, and this is the best it had.
    """

    tokens: list[Token]
    score: float
    reason: Reason


class Found(Protocol):
    """What a step found for R rows of K beams: for each beam its k best next tokens, best first, ties by the lower id.

    k is as ``Options.candidates`` asks.
    """

    @property
    def ids(self) -> Ids:
        """The tokens int64[R, K, k]."""

    @property
    def logps(self) -> Floats:
        """float32[R, K, k], natural, not above 0, and -inf where there are fewer tokens than k."""

    @property
    def copied(self) -> Floats:
        """float32[R, K, k]: the share of each probability that came from copying, 0 to 1."""

    @property
    def coverage(self) -> Floats:
        """float32[R, K, W]: the sum of each beam's attention over its source so far, with this step's."""

    @property
    def failed(self) -> Mapping[int, Exception]:
        """The rows that could not be stepped, whose numbers say nothing."""


SourceT_contra = TypeVar("SourceT_contra", contravariant=True)


class Step(Protocol[SourceT_contra]):
    """Runs one step for all its rows at once, and keeps the state of each; a row is one text.

    Between two steps it is told which beam each goes on from.
    """

    def join(self, source: SourceT_contra) -> None:
        """Add a row at the end, at its first step."""

    def leave(self, at: int) -> None:
        """Forget row ``at``; the last row takes its place."""

    def step(self, tokens: Ids, banned: Ids) -> Found:
        """Return what follows tokens int64[R, K], and is none of banned int64[R, K, N] (``NOTHING`` bans nothing)."""

    def again(self, rows: Ids, banned: Ids) -> Found:
        """Return what the last step would have found for rows int64[H] with others banned, int64[H, K, N].

        Row by row as it found it; what ``follow`` goes on from is the same.
        """

    def follow(self, origins: Ids, tokens: Ids, copied: Floats) -> Ids:
        """Let each beam go on from the state that one of its row led to in the last step, origins int64[R, K].

        Beam k of row r is r K + k.

        Return where the source says each of tokens int64[R, K], copied float32[R, K]: positions int64[R, K].
        """

    def covered(self, at: int) -> Floats:
        """Return float32[K, T]: row ``at``'s attention over its source so far, of the beams that go on."""
