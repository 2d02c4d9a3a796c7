"""Beam search equals a slow and obvious one, token for token and tie for tie, whatever the step finds."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tasks.generate import Ask, Options, Search, Summary, Token, generate

BOS, EOS = 0, 1
TOKENS = 5
"""Of the source."""
History = tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """A random step: few distinct log-probabilities, so that ties are common and their sums exact."""

    seed: int
    vocabulary: int

    @cache  # noqa: B019 - lives as long as one example
    def row(self, history: History) -> tuple[list[float], list[float], list[float]]:
        """Return each id's logp and copied share, and the attention over the source, after a history."""
        numbers = random.Random(f"{self.seed} {history}")  # noqa: S311
        logps = numbers.choices([-0.25, -0.5, -0.5, -1.0, -2.0, -inf], k=self.vocabulary)
        logps[BOS] = -inf
        copied = numbers.choices([0.0, 0.25, 0.75, 1.0], k=self.vocabulary)
        return logps, copied, numbers.choices([0.0, 0.25, 0.5, 0.5], k=TOKENS)


@dataclass(frozen=True)
class Row:
    """What the step found for one search."""

    ids: list[list[int]]
    logps: list[list[float]]
    copied: list[list[float]]
    sources: list[list[int]]
    coverage: np.ndarray


@dataclass
class Tables:
    """A ``Step`` of many rows, each by a table of its own."""

    options: Options
    rows: list[tuple[Table, list[History], np.ndarray]] = field(default_factory=list)

    def join(self, source: Table) -> None:
        self.rows.append((source, [()], np.zeros((1, TOKENS), np.float32)))

    def leave(self, at: int) -> None:
        self.rows[at] = self.rows[-1]
        self.rows.pop()

    def step(self, asks: Sequence[Ask]) -> list[Row | Exception]:
        found: list[Row | Exception] = []
        for at, ((table, histories, coverage), ask) in enumerate(zip(list(self.rows), asks, strict=True)):
            own = [histories[parent] for parent in ask.parents]
            if ask.tokens != [BOS]:
                own = [(*history, token) for history, token in zip(own, ask.tokens, strict=True)]
            attention = np.array([table.row(history)[2] for history in own], np.float32)
            covered = coverage[ask.parents] + attention
            self.rows[at] = table, own, covered
            best = [self.best(table, history, bans) for history, bans in zip(own, ask.banned, strict=True)]
            ids = [[one[0] for one in row] for row in best]
            logps, copied = ([[one[at] for one in row] for row in best] for at in (1, 2))
            found.append(Row(ids, logps, copied, [[7 * one for one in row] for row in ids], covered))
        return found

    def best(self, table: Table, history: History, banned: list[int]) -> list[tuple[int, float, float]]:
        logps, copied, _ = table.row(history)
        allowed = [-inf if at in banned else logp for at, logp in enumerate(logps)]
        order = sorted(range(len(logps)), key=lambda at: (-allowed[at], at))[: self.options.candidates]
        return [(at, allowed[at], copied[at]) for at in order]


def written(table: Table, options: Options) -> Summary:
    """Return what the search under test finds."""
    search = Search(options, BOS, EOS)
    return next(generate(Tables(options), [(table, search)], rows=1))[1]


def repeats(history: History, size: int) -> bool:
    grams = [history[at : at + size] for at in range(len(history) - size + 1)] if size else []
    return len(grams) != len(set(grams))


def plain(table: Table, options: Options) -> tuple[History, float, str]:
    """Search with whole histories, whole vocabularies and whole sorts."""
    beams: list[tuple[History, float]] = [((), 0.0)]
    ended: list[tuple[float, History]] = []
    while len(beams[0][0]) < options.max_tokens and len(ended) < options.beams:
        every = []
        for at, (history, logp) in enumerate(beams):
            for token, more in enumerate(table.row(history)[0]):
                too_short = token == EOS and len(history) < options.min_tokens
                again = token != EOS and repeats((*history, token), options.block_ngram)
                if more > -inf and not too_short and not again:
                    every.append((-(logp + more), at, token))
        every.sort()
        for logp, at, token in every[: options.beams]:
            if token == EOS:
                history = beams[at][0]
                ended.append((score(table, history, -logp, len(history) + 1, options), history))
        going_on = [(-logp, at, token) for logp, at, token in every if token != EOS]
        if not going_on:
            break
        beams = [((*beams[at][0], token), logp) for logp, at, token in going_on[: options.beams]]
    if ended:
        best = max(found for found, _ in ended)
        return next((history, found, "eos") for found, history in ended if found == best)
    if beams == [((), 0.0)]:
        return (), 0.0, "length"
    cut = [(score(table, history[:-1], logp, len(history), options), history) for history, logp in beams]
    best = max(found for found, _ in cut)
    return next((history, found, "length") for found, history in cut if found == best)


def score(table: Table, history: History, logp: float, tokens: int, options: Options) -> float:
    """``history`` is all that the last step had read."""
    coverage = np.zeros(TOKENS, np.float32)
    for at in range(len(history) + 1):
        coverage += np.array(table.row(history[:at])[2], np.float32)
    covered = sum(log(min(1.0, max(float(each), 1e-6))) for each in coverage)
    return float(logp / ((5 + tokens) / 6) ** options.length_penalty + options.coverage_penalty * covered)


OPTIONS = st.builds(
    Options,
    max_tokens=st.integers(3, 8),
    min_tokens=st.integers(0, 3),
    beams=st.integers(1, 4),
    length_penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0, -1.0]),
    coverage_penalty=st.sampled_from([0.0, 0.2]),
    block_ngram=st.integers(0, 3),
)


@settings(max_examples=300, deadline=None)
@given(options=OPTIONS, seed=st.integers(0, 10**6), vocabulary=st.integers(3, 7))
def test_the_summary_is_that_of_a_plain_search(options: Options, seed: int, vocabulary: int) -> None:
    table = Table(seed, vocabulary)
    found = written(table, options)
    tokens, best, reason = plain(table, options)
    assert tuple(token.id for token in found.tokens) == tokens
    assert found.reason == reason
    assert found.score == pytest.approx(best)


@settings(max_examples=50, deadline=None)
@given(
    options=OPTIONS, seeds=st.lists(st.integers(0, 10**6), min_size=1, max_size=9, unique=True), rows=st.integers(1, 4)
)
def test_many_searches_in_turns_find_what_each_finds_alone(options: Options, seeds: list[int], rows: int) -> None:
    tables = [Table(seed, 6) for seed in seeds]
    work = [(table, Search(options, BOS, EOS)) for table in tables]
    found = dict(generate(Tables(options), work, rows))
    assert [found[at] for at in range(len(tables))] == [written(table, options) for table in tables]


def found_row(logps: list[list[float]], first: int = 2) -> Row:
    """Return a step's findings where every beam's ids are ``first`` and those after it, and the logps are given."""
    ids = [[first + at for at in range(len(row))] for row in logps]
    return Row(ids, logps, [[0.75] * len(row) for row in logps], ids, np.zeros((len(logps), TOKENS), np.float32))


def test_of_equals_the_lower_beam_goes_first_and_then_the_lower_id() -> None:
    search = Search(Options(max_tokens=5, beams=2), BOS, EOS)
    search.tell(found_row([[-1.0, -1.0, -1.0]]))
    assert search.ask().tokens == [2, 3]
    search.tell(found_row([[-1.0, -1.0, -1.0], [-1.0, -1.0, -1.0]]))
    assert (search.ask().parents, search.ask().tokens) == ([0, 0], [2, 3])


def test_greedy_search_needs_one_candidate_and_a_beam_search_one_more_than_its_beams() -> None:
    assert [Options(max_tokens=1, beams=beams).candidates for beams in (1, 2, 4)] == [1, 3, 5]


def test_the_end_token_is_banned_until_the_summary_is_long_enough() -> None:
    search = Search(Options(max_tokens=5, min_tokens=2), BOS, EOS)
    banned = []
    for _ in range(3):
        banned.append(search.ask().banned)
        search.tell(found_row([[-1.0]]))
    assert banned == [[[EOS]], [[EOS]], [[]]]


def test_what_would_repeat_a_run_of_tokens_is_banned() -> None:
    search = Search(Options(max_tokens=9, block_ngram=2), BOS, EOS)
    banned = []
    for token in (2, 3, 2, 2, 4, 2):
        search.tell(found_row([[-1.0]], token))
        banned.append(search.ask().banned[0])
    assert banned == [[], [], [3], [3, 2], [], [3, 2, 4]]


def test_a_token_is_told_with_its_own_logp_its_copied_share_and_its_place() -> None:
    search = Search(Options(max_tokens=5), BOS, EOS)
    for logp, token in ((-0.5, 8), (-0.25, 9)):
        search.tell(found_row([[logp]], token))
    assert search.latest == Token(9, -0.25, 0.75, 9)
    assert search.best().tokens == [Token(8, -0.5, 0.75, 8), search.latest]


def test_a_search_broken_off_gives_the_best_it_has_and_says_so() -> None:
    search = Search(Options(max_tokens=5, beams=2), BOS, EOS)
    assert search.best("deadline") == Summary([], 0.0, "deadline")
    search.tell(found_row([[-0.5, -1.0, -2.0]]))
    best = search.best("deadline")
    assert ([token.id for token in best.tokens], best.reason) == ([2], "deadline")


def test_where_everything_is_banned_the_summary_ends() -> None:
    search = Search(Options(max_tokens=5, min_tokens=1, beams=2), BOS, EOS)
    search.tell(found_row([[-0.5, -1.0, -2.0]]))
    search.tell(found_row([[-inf] * 3] * 2))
    assert search.done
    assert [token.id for token in search.best().tokens] == [2]


def test_a_search_that_is_done_is_not_stepped_on() -> None:
    search = Search(Options(max_tokens=1), BOS, EOS)
    search.tell(found_row([[-0.5]]))
    for more in (search.ask, lambda: search.tell(found_row([[-0.5]]))):
        with pytest.raises(RuntimeError, match="This is a bug"):
            more()


def test_what_is_not_a_number_is_refused() -> None:
    search = Search(Options(max_tokens=3), BOS, EOS)
    with pytest.raises(ValueError, match="not a number"):
        search.tell(found_row([[float("nan")]]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beams": 0}, "beams is 0; expected at least 1"),
        ({"max_tokens": 0}, "max_tokens is 0; expected at least 1"),
        ({"min_tokens": 6}, "min_tokens is 6; expected at most max_tokens, 5"),
        ({"block_ngram": -1}, "block_ngram is -1; expected at least 0"),
    ],
)
def test_an_option_out_of_bounds_is_named(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options(**{"max_tokens": 5} | wrong)


def test_what_a_step_finds_failed_is_raised() -> None:
    class Broken(Tables):
        def step(self, asks: Sequence[Ask]) -> list[Row | Exception]:
            return [ZeroDivisionError("poisoned") for _ in asks]

    options = Options(max_tokens=3)
    with pytest.raises(ZeroDivisionError, match="poisoned"):
        list(generate(Broken(options), [(Table(1, 4), Search(options, BOS, EOS))], rows=1))
