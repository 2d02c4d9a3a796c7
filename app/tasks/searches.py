"""Beam search of many texts at once, over a step that it knows nothing about: arrays in, arrays out, decisions kept.

What is the same for every row of a step is done for all of them at once; Python looks at a row only where a hypothesis
ends. Greedy search is a beam of one. Every tie is decided: by the lower beam, then the lower id.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import inf, isnan
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from app.tasks.generate import NOTHING, Floats, Found, Ids, Options, Reason, Step, Summary, Token
from app.tasks.hypotheses import Doubles, Hypotheses, Picked
from app.tasks.numerals import Numerals
from app.tasks.standings import Standings

SourceT = TypeVar("SourceT")
End = Summary | Exception

_LEAST_COVERAGE = 1e-6
"""What a source position without any attention counts as, since the logarithm of 0 would rule the summary out."""


class _Narrowed(NamedTuple):
    """What a step found, as ``Found``, in arrays of our own."""

    ids: Ids
    logps: Floats
    copied: Floats
    coverage: Floats
    failed: Mapping[int, Exception]


@dataclass(slots=True)
class _Search:
    """One row's options, and what of it has ended."""

    options: Options
    ended: int = 0
    best: Summary | None = None


class Searches(Generic[SourceT]):
    """The searches of rows with equally many beams, and the step that they share. One thread at a time."""

    def __init__(self, step: Step[SourceT], beams: int, bos_id: int, eos_id: int) -> None:
        """``step`` must have no rows yet."""
        self._step = step
        self._beams = beams
        self._eos_id = eos_id
        self._searches: list[_Search] = []
        self._said = Hypotheses(beams, bos_id)
        self._standings = Standings(beams)
        self._sizes: Counter[int] = Counter()  # how many rows may repeat no run of so many tokens

    @property
    def rows(self) -> int:
        """Texts whose search is not over."""
        return len(self._searches)

    def join(self, source: SourceT, options: Options, numerals: Numerals | None = None) -> None:
        """Add a text as the last row; raises what the step raises, and then nothing has joined.

        ``numerals``: those of the text, where they are to be written whole.
        """
        if options.beams != self._beams:
            raise ValueError(f"This is a bug: {options.beams} beams among searches of {self._beams}")
        self._step.join(source)
        self._searches.append(_Search(options))
        self._sizes[options.block_ngram] += 1
        self._said.join()
        self._standings.join(numerals, options.max_tokens)

    def leave(self, at: int) -> None:
        """Forget row ``at``; the last row takes its place."""
        self._step.leave(at)
        self._said.leave(at)
        self._standings.leave(at)
        size = self._searches[at].options.block_ngram
        self._sizes[size] -= 1
        if not self._sizes[size]:
            del self._sizes[size]
        self._searches[at] = self._searches[-1]
        self._searches.pop()

    def length(self, at: int) -> int:
        """Return how many tokens are decided for each live beam of a row: the steps done."""
        return int(self._said.lengths[at])

    def decided(self, at: int) -> int:
        """Return how many tokens of a row's best live hypothesis are sure to stay, in a beam of one.

        A numeral that has to go on is none of them: it is left out of a summary that is broken off there.
        """
        return self.length(at) - self._standings.unfinished(at, 0)

    def since(self, at: int, first: int) -> list[Token]:
        """Return the tokens from place ``first`` on that are decided in a beam of one."""
        tokens = self._said.tokens(at, 0, first)
        return tokens[: len(tokens) - self._standings.unfinished(at, 0)]

    def advance(self) -> dict[int, End]:
        """Step all rows once; return the rows that are over, with their summaries or why they failed.

        They must leave before the next call. Raises what the step raises for all rows.
        """
        found = self._step.step(self._said.last, self._banned())
        ends: dict[int, End] = dict(found.failed)
        found = self._narrowed(found, ends)
        logps = found.logps.ravel()
        if isnan(np.dot(logps, logps)):  # a sum of squares is a number where each of them is, were it infinite
            for at in np.flatnonzero(np.isnan(found.logps).any((1, 2))).tolist():
                ends.setdefault(at, ValueError("a log-probability is not a number; expected 0 or less"))
        picked = self._greedy(found, ends) if self._beams == 1 else self._several(found, ends)
        sources = self._step.follow(picked.origins, picked.tokens, picked.copied)
        self._said.extend(picked, sources)
        self._standings.extend(picked.origins, picked.tokens)
        lengths = self._said.lengths.tolist()
        for at, (search, length) in enumerate(zip(self._searches, lengths, strict=True)):
            over = length == search.options.max_tokens or (search.best is not None and self._settled(at, search.best))
            if over and at not in ends:
                ends[at] = self.best(at)
        return ends

    def best(self, at: int, reason: Reason = "length") -> Summary:
        """Return a row's best summary: of those that ended by themselves where there are any, or of the live ones.

        ``reason`` is why a live one ends here; a search broken off by its ``deadline`` says so in any case.
        """
        search, length = self._searches[at], self.length(at)
        if search.best is not None:
            return Summary(search.best.tokens, search.best.score, "deadline" if reason == "deadline" else "eos")
        logps = self._said.logps[at].tolist()
        covered = self._step.covered(at) if length and search.options.coverage_penalty else None  # [K, T]
        scores = [
            _score(search.options, logp, length, covered[beam] if covered is not None else None)
            for beam, logp in enumerate(logps)
            if logp > -inf
        ]
        beam = max(range(len(scores)), key=scores.__getitem__)  # the first of equals
        tokens = self._said.tokens(at, beam)
        return Summary(tokens[: len(tokens) - self._standings.unfinished(at, beam)], scores[beam], reason)

    def _greedy(self, found: Found, ends: dict[int, End]) -> Picked:
        """Take each row's best token: as ``_several``, without its cost."""
        tokens, logps, copied = found.ids[:, :, 0], found.logps[:, :, 0], found.copied[:, :, 0]  # [R, 1] each
        totals = self._said.logps + logps  # [R, 1]
        for at in np.flatnonzero((tokens == self._eos_id) | (logps == -inf)).tolist():
            if at not in ends:
                if logps[at, 0] > -inf:
                    self._end(at, 0, float(totals[at, 0]), found)
                ends[at] = self.best(at)
        return Picked(_firsts(self.rows, 1), tokens, logps, copied, totals)

    def _several(self, found: Found, ends: dict[int, End]) -> Picked:
        """Take the best of all continuations of each row, best first; take note of those that end."""
        beams, (rows, _, k) = self._beams, found.ids.shape
        totals = found.logps.astype(np.float64)  # [R, K, k]
        totals += self._said.logps[:, :, None]
        totals = totals.reshape(rows, beams * k)  # [R, K k]
        order = (-totals).argsort(axis=1, kind="stable")  # [R, K k], ties by the lower beam, then the lower id
        order += _firsts(rows, beams * k)  # [R, K k], among all numbers of the step
        best = order[:, :beams]  # [R, K]
        whole, ids = totals.take(best), found.ids.take(best)  # [R, K] each
        if self._eos_id in ids.ravel().tolist() or -inf in whole[:, -1].tolist():
            return self._some_ending(found, totals, order, ends)
        return Picked(best // k, ids, found.logps.take(best), found.copied.take(best), whole)

    def _some_ending(self, found: Found, totals: Doubles, order: Ids, ends: dict[int, End]) -> Picked:
        """Do as ``_several`` where some hypotheses end, or cannot go on; totals and order [R, K k]."""
        beams, (rows, _, k) = self._beams, found.ids.shape
        ranked, ids = totals.take(order), found.ids.take(order)  # [R, K k] each
        possible, ending = ranked > -inf, ids == self._eos_id  # [R, K k] each
        last = ending[:, :beams] & possible[:, :beams]  # [R, K], too poor a rank is no end
        if last.any():
            for at, rank in np.argwhere(last).tolist():
                if at not in ends:
                    self._end(at, int(order[at, rank]) // k % beams, float(ranked[at, rank]), found)
        going = possible & ~ending  # [R, K k]
        ranks = (~going).argsort(axis=1, kind="stable")[:, :beams]  # [R, K], those that go on, best first
        own = np.arange(rows)[:, None]  # [R, 1]
        live = going[own, ranks]  # [R, K]
        if not live.all():
            ranks = np.where(live, ranks, ranks[:, :1])  # [R, K]
            for at in np.flatnonzero(~live[:, 0]).tolist():
                if at not in ends:
                    ends[at] = self.best(at)
        places = order[own, ranks]  # [R, K]
        whole = np.where(live, ranked[own, ranks], -inf)  # [R, K]
        return Picked(places // k, ids[own, ranks], found.logps.take(places), found.copied.take(places), whole)

    def _banned(self) -> Ids:
        """Return what may not follow, int64[R, K, N]: the end before its time, repeated runs, and what numerals ban."""
        rows, beams, lengths = self.rows, self._beams, self._said.lengths.tolist()
        repeats, width = [], 1
        for size in sorted(self._sizes.keys() - {0}):
            at, ids = self._repeats(size)  # [H] each
            if len(at):
                place = width + np.arange(len(at)) - np.searchsorted(at, at)  # [H], among those of its beam
                repeats.append((at, place, ids))
                width = int(place.max()) + 1
        numerals = self._standings.banned if self._standings.heeded else None  # [R, K, N']
        whole = width + (0 if numerals is None else numerals.shape[2])
        banned = np.empty((rows, beams, whole), np.int64)  # [R, K, N]
        banned.fill(NOTHING)
        for at, place, ids in repeats:
            banned.reshape(-1, whole)[at, place] = ids
        early = [row for row, search in enumerate(self._searches) if lengths[row] < search.options.min_tokens]
        if early:
            banned[early, :, 0] = self._eos_id
        if numerals is not None:
            banned[:, :, width:] = numerals
            for row, beam, _, _ in self._standings.forced():
                banned[row, beam] = NOTHING  # a numeral goes on, whatever it repeats
        return banned

    def _narrowed(self, found: Found, ends: dict[int, End]) -> Found:
        """Leave of the candidates of each numeral that has to go on those with which it does, best first.

        Those that the step did not find are asked for again, with all else banned: that is rare, and a list of all
        that is banned too long for every such step.
        """
        forced = [one for one in self._standings.forced() if one[0] not in ends]
        if not forced:
            return found
        narrowed = _Narrowed(found.ids.copy(), found.logps.copy(), found.copied.copy(), found.coverage, found.failed)
        lacking = []
        for at, beam, only, vocabulary in forced:
            allowed = np.isin(narrowed.ids[at, beam], only)  # [k]
            if allowed.sum() < min(len(only), len(allowed)):
                lacking.append((at, beam, only, np.delete(np.arange(vocabulary), only)))
                continue
            order = (~allowed).argsort(kind="stable")  # [k]
            for array in (narrowed.ids, narrowed.logps, narrowed.copied):
                array[at, beam] = array[at, beam, order]
            narrowed.logps[at, beam, allowed.sum() :] = -inf
        if lacking:
            self._ask_again(narrowed, lacking, ends)
        return narrowed

    def _ask_again(
        self, found: "_Narrowed", lacking: list[tuple[int, int, list[int], Ids]], ends: dict[int, End]
    ) -> None:
        """Put down what the step finds for beams of rows, each with much banned that was not so at first."""
        rows = sorted({at for at, _, _, _ in lacking})
        banned = np.full((len(rows), self._beams, max(len(ids) for _, _, _, ids in lacking)), NOTHING)  # [H, K, N]
        for at, beam, _, ids in lacking:
            banned[rows.index(at), beam, : len(ids)] = ids
        again = self._step.again(np.array(rows), banned)
        for at, beam, only, _ in lacking:
            place = rows.index(at)
            if (broken := again.failed.get(place)) is not None:
                ends[at] = broken
            found.ids[at, beam], found.logps[at, beam] = again.ids[place, beam], again.logps[place, beam]
            found.copied[at, beam] = again.copied[place, beam]
            # what a graph gives of a chance of nothing is the least finite number, for any id
            found.logps[at, beam, ~np.isin(found.ids[at, beam], only)] = -inf

    def _repeats(self, size: int) -> tuple[Ids, Ids]:
        """Return what would repeat a run of ``size`` in the rows that ask for it, as ``Hypotheses.repeats`` does."""
        at, ids = self._said.repeats(size)  # [H] each
        if len(at) and len(self._sizes) > 1:
            sizes = np.array([search.options.block_ngram for search in self._searches])  # [R]
            asked = (sizes == size)[at // self._beams]  # [H]
            at, ids = at[asked], ids[asked]
        return at, ids

    def _end(self, at: int, beam: int, logp: float, found: Found) -> None:
        """Take note of a hypothesis that ended by itself, with the end token's own log-probability."""
        search, covered = self._searches[at], None
        if search.options.coverage_penalty:
            covered = found.coverage[at, beam, : self._step.covered(at).shape[1]]  # [T]
        score = _score(search.options, logp, self.length(at) + 1, covered)
        search.ended += 1
        if search.best is None or score > search.best.score:
            search.best = Summary(self._said.tokens(at, beam), score, "eos")

    def _settled(self, at: int, best: Summary) -> bool:
        """Tell whether no live hypothesis can still win: enough have ended, or the best is out of reach.

        A log-probability only falls, so a live one scores at best what it has over the most favourable length.
        """
        search = self._searches[at]
        if search.ended >= self._beams:
            return True
        alpha = search.options.length_penalty
        kindest = max(_length_penalty(n, alpha) for n in (self.length(at) + 1, search.options.max_tokens))
        return float(self._said.logps[at, 0]) / kindest <= best.score


def generate(
    searches: Searches[SourceT], work: Iterable[tuple[SourceT, Options, Numerals | None]], rows: int
) -> Iterator[tuple[int, Summary]]:
    """Yield the place in ``work`` and the summary of each text, as they end, ``rows`` of them at a time.

    ``work`` has what ``Searches.join`` takes.

    A search that ends makes room for the next at once. Whatever a step raises or finds failed is raised. ``searches``
    must have no rows yet.
    """
    waiting = enumerate(work)
    running: list[int] = []
    while True:
        while len(running) < rows and (following := next(waiting, None)) is not None:
            place, arguments = following
            searches.join(*arguments)
            running.append(place)
        if not running:
            return
        ends = searches.advance()
        for at in sorted(ends, reverse=True):
            if isinstance(end := ends[at], Exception):
                raise end
            yield running[at], end
            searches.leave(at)
            running[at] = running[-1]
            running.pop()


def _score(options: Options, logp: float, tokens: int, covered: Floats | None) -> float:
    """Return a hypothesis's score; ``tokens``: those that its ``logp`` speaks of, the end token among them."""
    score = logp / _length_penalty(tokens, options.length_penalty)
    if covered is not None:
        logs = np.log(np.clip(covered.astype(np.float64), _LEAST_COVERAGE, 1.0))  # [T]
        score += options.coverage_penalty * float(logs.sum())
    return score


@cache
def _firsts(rows: int, size: int) -> Ids:
    """Return where each row's numbers begin where each has so many, int64[R, 1]; not to be written to."""
    return np.arange(0, rows * size, size)[:, None]


@cache
def _length_penalty(tokens: int, alpha: float) -> float:
    return float(((5 + tokens) / 6) ** alpha)
