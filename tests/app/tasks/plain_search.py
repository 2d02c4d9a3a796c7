"""One text's beam search in plain Python, a row and a beam at a time: what the one in arrays is held against."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, isnan
from typing import NamedTuple

import numpy as np

from app.tasks.generate import Floats, Options, Reason, Summary, Token
from tests.app.tasks.plain_numerals import Rule

_NOT_A_NUMBER = "a log-probability is not a number; expected 0 or less"
_LEAST_COVERAGE = 1e-6


class Ask(NamedTuple):
    """What a search asks of its next step, a value a live beam: at first one, then up to ``Options.beams``.

    Beam i goes on from the state that beam ``parents[i]`` of the last step led to, reads ``tokens[i]``, and must not
    be followed by any of ``banned[i]``.
    """

    tokens: list[int]
    parents: list[int]
    banned: list[list[int]]


class Found(NamedTuple):
    """What a step found for one search: for each live beam its best next tokens, as lists [live][k].

    ``coverage`` float32[live, T]: with this step's attention.
    """

    ids: Sequence[Sequence[int]]
    logps: Sequence[Sequence[float]]
    copied: Sequence[Sequence[float]]
    sources: Sequence[Sequence[int]]
    coverage: Floats


class _Node(NamedTuple):
    """The last token of a hypothesis, and the rest of it."""

    token: Token
    before: "_Node | None"


@dataclass(slots=True)
class _Beam:
    """A live hypothesis, and what followed each run of ``block_ngram - 1`` tokens in it."""

    logp: float = 0.0
    node: _Node | None = None
    last: tuple[int, ...] = ()
    followers: dict[tuple[int, ...], tuple[int, ...]] = field(default_factory=dict)

    def forked(self) -> "_Beam":
        """Return the same, to go on another way."""
        return _Beam(self.logp, self.node, self.last, self.followers.copy())

    def add(self, token: Token, block_ngram: int) -> None:
        """Go on with a token."""
        self.logp += token.logp
        self.node = _Node(token, self.node)
        if block_ngram:
            last = self.last
            if len(last) == block_ngram - 1:
                self.followers[last] = (*self.followers.get(last, ()), token.id)
                last = last[1:]
            self.last = (*last, token.id) if block_ngram > 1 else ()

    @property
    def repeats(self) -> tuple[int, ...]:
        """The ids that would repeat a run of ``block_ngram`` tokens."""
        return self.followers.get(self.last, ())

    @property
    def tokens(self) -> list[Token]:
        """All of them, first to last."""
        found, node = [], self.node
        while node is not None:
            found.append(node.token)
            node = node.before
        return found[::-1]


class Search:
    """One text's search, a step at a time."""

    def __init__(self, options: Options, bos_id: int, eos_id: int, rule: Rule | None = None) -> None:
        self.options = options
        self._rule = rule
        self._eos_id = eos_id
        self._length = 0
        self._live = [_Beam()]
        self._ask = Ask([bos_id], [0], [self._banned(self._live[0])])
        self._ended = 0
        self._best: Summary | None = None
        self._coverage: Floats | None = None
        self._over = False

    @property
    def done(self) -> bool:
        """Whether there is nothing to ask any more."""
        return self._over

    @property
    def length(self) -> int:
        """Tokens decided for each live beam so far: the steps done."""
        return self._length

    @property
    def latest(self) -> Token | None:
        """The last token of the best live hypothesis; in a beam of one it is final."""
        node = self._live[0].node if self._live else None
        return node.token if node else None

    def ask(self) -> Ask:
        """Return the inputs of the next step."""
        if self._over:
            raise RuntimeError("This is a bug: a search that is done was asked for more")
        return self._ask

    def tell(self, found: Found) -> None:
        """Take what the step found for the last ``ask``; ``ValueError`` where it is not a number."""
        if self._over:
            raise RuntimeError("This is a bug: a search that is done was told more")
        beams, parents = self._one(found) if self.options.beams == 1 else self._several(found)
        if not beams:  # all that could follow has ended or is banned
            self._over = True
            return
        self._live = beams
        self._length += 1
        self._coverage = found.coverage[parents] if self.options.coverage_penalty else None
        self._ask = Ask([beam.node.token.id for beam in beams if beam.node], parents, [*map(self._banned, beams)])
        self._over = self._length == self.options.max_tokens or self._settled()

    def best(self, reason: Reason = "length") -> Summary:
        """Return the best summary: of those that ended by themselves where there are any, or of the live ones.

        ``reason`` is why a live one ends here; a search broken off by its ``deadline`` says so in any case.
        """
        if self._best is not None:
            return Summary(self._best.tokens, self._best.score, "deadline" if reason == "deadline" else "eos")
        coverages = [None] * len(self._live) if self._coverage is None else list(self._coverage)
        scores = [self._score(beam.logp, self._length, coverages[at]) for at, beam in enumerate(self._live)]
        at = max(range(len(scores)), key=scores.__getitem__)  # the first of equals
        tokens = self._live[at].tokens
        return Summary(tokens[: len(tokens) - self._unfinished(self._live[at])], scores[at], reason)

    def _one(self, found: Found) -> tuple[list[_Beam], list[int]]:
        """Let a beam of one go on in place: as ``_several``, without its cost."""
        (beam,), token = self._live, _token(found, 0, 0)
        if isnan(token.logp):
            raise ValueError(_NOT_A_NUMBER)
        if token.logp == -inf:
            return [], []
        if token.id == self._eos_id:
            self._end(beam, beam.logp + token.logp, found.coverage[0])
            return [], []
        beam.add(token, self.options.block_ngram)
        return self._live, [0]

    def _several(self, found: Found) -> tuple[list[_Beam], list[int]]:
        """Return the beams that go on, best first, and their parents; those that end are taken note of."""
        grown: list[_Beam] = []
        parents: list[int] = []
        for rank, (total, parent, next_id, place) in enumerate(self._candidates(found)):
            if next_id != self._eos_id:
                beam = self._live[parent].forked()
                beam.add(_token(found, parent, place), self.options.block_ngram)
                grown.append(beam)
                parents.append(parent)
                if len(grown) == self.options.beams:
                    break
            elif rank < self.options.beams:
                self._end(self._live[parent], -total, found.coverage[parent])
        return grown, parents

    def _candidates(self, found: Found) -> list[tuple[float, int, int, int]]:
        """Return each (- logp of the whole, beam, id, place among the beam's), best first; no two share beam and id."""
        every = []
        for at, beam in enumerate(self._live):
            for place, (next_id, logp) in enumerate(zip(found.ids[at], found.logps[at], strict=True)):
                if isnan(logp):
                    raise ValueError(_NOT_A_NUMBER)
                if logp > -inf:
                    every.append((-(beam.logp + logp), at, next_id, place))
        every.sort()
        return every

    def _banned(self, beam: _Beam) -> list[int]:
        banned = list(beam.repeats) if beam.followers else []
        if self._length < self.options.min_tokens:
            banned.append(self._eos_id)
        if self._rule is None:
            return banned
        said, left = [token.id for token in beam.tokens], self.options.max_tokens - self._length
        others = [at for at in range(len(self._rule.signs)) if not self._rule.allows(said, at, left)]
        return others if self._unfinished(beam) else [*banned, *others]

    def _unfinished(self, beam: _Beam) -> int:
        return self._rule.unfinished([token.id for token in beam.tokens]) if self._rule else 0

    def _end(self, beam: _Beam, logp: float, coverage: Floats) -> None:
        score = self._score(logp, self._length + 1, coverage)
        self._ended += 1
        if self._best is None or score > self._best.score:
            self._best = Summary(beam.tokens, score, "eos")

    def _score(self, logp: float, tokens: int, coverage: Floats | None) -> float:
        """Return a hypothesis's score; ``tokens``: those that its ``logp`` speaks of, the end token among them."""
        score = logp / _length_penalty(tokens, self.options.length_penalty)
        if self.options.coverage_penalty and coverage is not None:
            logs = np.log(np.clip(coverage.astype(np.float64), _LEAST_COVERAGE, 1.0))  # [T]
            score += self.options.coverage_penalty * float(logs.sum())
        return score

    def _settled(self) -> bool:
        """Tell whether no live hypothesis can still win: enough have ended, or the best is out of reach.

        A log-probability only falls, so a live one scores at best what it has over the most favourable length.
        """
        if self._best is None:
            return False
        if self._ended >= self.options.beams:
            return True
        alpha = self.options.length_penalty
        kindest = max(_length_penalty(n, alpha) for n in (self._length + 1, self.options.max_tokens))
        return self._live[0].logp / kindest <= self._best.score


def _token(found: Found, beam: int, place: int) -> Token:
    return Token(
        found.ids[beam][place], found.logps[beam][place], found.copied[beam][place], found.sources[beam][place]
    )


def _length_penalty(tokens: int, alpha: float) -> float:
    return float(((5 + tokens) / 6) ** alpha)
