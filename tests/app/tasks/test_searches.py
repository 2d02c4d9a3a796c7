"""Beam search of many texts equals two slow and obvious ones, tie for tie, whatever the step finds."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import inf, log, nan
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.modelpack.signs import Sign, Signs
from app.tasks.generate import NOTHING, Floats, Ids, Options, Summary, Token
from app.tasks.numerals import Numerals
from app.tasks.searches import Searches, generate
from tests.app.tasks import plain_search
from tests.app.tasks.plain_numerals import Rule

BOS, EOS = 0, 1
TOKENS = 5
"""Of the longest source."""
History = tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """A random step: few distinct log-probabilities, so that ties are common and their sums exact."""

    seed: int
    vocabulary: int

    @property
    def tokens(self) -> int:
        """Of its source: sources differ in length, and the attention beyond is none."""
        return 1 + self.seed % TOKENS

    @cache  # noqa: B019 - lives as long as one example
    def row(self, history: History) -> tuple[list[float], list[float], list[float]]:
        """Return each id's logp and copied share, and the attention over the source, after a history."""
        numbers = random.Random(f"{self.seed} {history}")  # noqa: S311
        logps = numbers.choices([-0.25, -0.5, -0.5, -1.0, -2.0, -inf], k=self.vocabulary)
        logps[BOS] = -inf
        copied = numbers.choices([0.0, 0.25, 0.75, 1.0], k=self.vocabulary)
        return logps, copied, numbers.choices([0.0, 0.25, 0.5, 0.5], k=self.tokens)

    def best(self, history: History, banned: Sequence[int], count: int) -> list[tuple[int, float, float]]:
        """Return the best ids with their logp and copied share; ties by the lower id."""
        logps, copied, _ = self.row(history)
        allowed = [-inf if at in banned else logp for at, logp in enumerate(logps)]
        order = sorted(range(len(logps)), key=lambda at: (-allowed[at], at))[:count]
        none = [(BOS, -inf, 0.0)] * (count - len(order))
        return [*((at, allowed[at], copied[at]) for at in order), *none]

    def attention(self, history: History) -> Floats:
        """Return float32[tokens]."""
        return np.array(self.row(history)[2], np.float32)


@dataclass(frozen=True)
class Counted(Table):
    """A random step of a source with numerals, which it alone has digits of."""

    @property
    def rule(self) -> Rule:
        """Random signs, half of them of numerals, and a random source."""
        numbers = random.Random(self.seed)  # noqa: S311
        signs = numbers.choices([*Sign, Sign.DIGITS, Sign.DIGITS, Sign.SPACED_DIGITS, Sign.JOINER], k=self.vocabulary)
        source = numbers.choices(range(EOS + 1, self.vocabulary), k=numbers.randint(1, 9))
        return Rule(tuple(source), (Sign.OTHER, Sign.OTHER, *signs[2:]))

    @property
    def numerals(self) -> Numerals:
        """The same for the search under test."""
        kinds = np.array(self.rule.signs, np.uint8)
        joiners, units = (frozenset(np.flatnonzero(kinds == sign).tolist()) for sign in (Sign.JOINER, Sign.UNIT))
        return Numerals(np.array(self.rule.source), Signs(kinds, joiners, units))

    @cache  # noqa: B019 - as above
    def row(self, history: History) -> tuple[list[float], list[float], list[float]]:
        """As that of a table, without the digits that the source has not."""
        logps, copied, attention = super().row(history)
        rule = self.rule
        absent = [
            at not in rule.source and sign in {Sign.DIGITS, Sign.SPACED_DIGITS} for at, sign in enumerate(rule.signs)
        ]
        return [-inf if no else logp for no, logp in zip(absent, logps, strict=True)], copied, attention


class Found(NamedTuple):
    """What a step found."""

    ids: Ids
    logps: Floats
    copied: Floats
    coverage: Floats
    failed: dict[int, Exception]


@dataclass
class Tables:
    """A ``Step`` of many rows, each by a table of its own; its rows fail where ``broken`` holds their table."""

    options: Options
    broken: frozenset[Table] = frozenset()
    rows: list[tuple[Table, list[History], Floats]] = field(default_factory=list)
    banned: list[list[list[int]]] = field(default_factory=list)
    """Of the last step."""

    def join(self, source: Table) -> None:
        beams = self.options.beams
        self.rows.append((source, [()] * beams, np.zeros((beams, source.tokens), np.float32)))

    def leave(self, at: int) -> None:
        self.rows[at] = self.rows[-1]
        self.rows.pop()

    def step(self, tokens: Ids, banned: Ids) -> Found:
        shape = len(self.rows), self.options.beams, self.options.candidates
        logps, copied = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        found = Found(np.zeros(shape, np.int64), logps, copied, self.widened(), {})
        self.banned = [[sorted({*one} - {NOTHING}) for one in row] for row in banned.tolist()]
        for at, (table, histories, covered) in enumerate(self.rows):
            own = [(*old, new) if new != BOS else old for old, new in zip(histories, tokens[at].tolist(), strict=True)]
            for beam, history in enumerate(own):
                best = table.best(history, self.banned[at][beam], shape[2])
                found.ids[at, beam], found.logps[at, beam], found.copied[at, beam] = zip(*best, strict=True)
                found.coverage[at, beam, : table.tokens] += table.attention(history)
            self.rows[at] = table, own, covered
            if table in self.broken:
                found.failed[at] = ZeroDivisionError("poisoned")
        self.after = found.coverage
        return found

    def again(self, rows: Ids, banned: Ids) -> Found:
        assert len(rows) == len(banned) == len({*rows.tolist()})
        shape = len(rows), self.options.beams, self.options.candidates
        logps, copied = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        found = Found(np.zeros(shape, np.int64), logps, copied, self.after[rows], {})
        for place, at in enumerate(rows.tolist()):
            table, own, _ = self.rows[at]
            for beam, history in enumerate(own):
                best = table.best(history, banned[place, beam].tolist(), shape[2])
                found.ids[place, beam], found.logps[place, beam], found.copied[place, beam] = zip(*best, strict=True)
                closed = np.isin(found.ids[place, beam], banned[place, beam])  # [k]
                found.logps[place, beam, closed] = np.finfo(np.float32).min  # as a graph says that it is impossible
        return found

    def follow(self, origins: Ids, tokens: Ids, copied: Floats) -> Ids:
        assert tokens.shape == copied.shape == origins.shape
        for at, (table, histories, _) in enumerate(self.rows):
            own = [origin - at * len(histories) for origin in origins[at].tolist()]
            self.rows[at] = table, [histories[beam] for beam in own], self.after[at, own, : table.tokens]
        return 7 * tokens

    def covered(self, at: int) -> Floats:
        return self.rows[at][2]

    def widened(self) -> Floats:
        found = np.zeros((len(self.rows), self.options.beams, TOKENS), np.float32)
        for at, (table, _, covered) in enumerate(self.rows):
            found[at, :, : table.tokens] = covered
        return found


def searches(options: Options, broken: frozenset[Table] = frozenset()) -> tuple[Searches[Table], Tables]:
    tables = Tables(options, broken)
    return Searches(tables, options.beams, BOS, EOS), tables


def written(table: Table, options: Options) -> Summary:
    """Return what the search under test finds."""
    return next(generate(searches(options)[0], [(table, options, numerals_of(table))], rows=1))[1]


def numerals_of(table: Table) -> Numerals | None:
    return table.numerals if isinstance(table, Counted) else None


def rule_of(table: Table) -> Rule | None:
    return table.rule if isinstance(table, Counted) else None


def plainly(table: Table, options: Options) -> Summary:
    """Return what a search finds that does one beam after the other."""
    search = plain_search.Search(options, BOS, EOS, rule_of(table))
    histories: list[History] = [()]
    coverage = np.zeros((1, table.tokens), np.float32)
    while not search.done:
        ask = search.ask()
        histories = [histories[parent] for parent in ask.parents]
        if ask.tokens != [BOS]:
            histories = [(*history, token) for history, token in zip(histories, ask.tokens, strict=True)]
        coverage = coverage[ask.parents] + np.stack([table.attention(history) for history in histories])
        best = [
            table.best(history, banned, options.candidates)
            for history, banned in zip(histories, ask.banned, strict=True)
        ]
        ids = [[one[0] for one in row] for row in best]
        logps, copied = ([[one[at] for one in row] for row in best] for at in (1, 2))
        search.tell(plain_search.Found(ids, logps, copied, [[7 * one for one in row] for row in ids], coverage))
    return search.best()


def repeats(history: History, size: int) -> bool:
    """Whether its last run of so many tokens occurs in it before."""
    grams = [history[at : at + size] for at in range(len(history) - size + 1)] if size else []
    return bool(grams) and grams[-1] in grams[:-1]


def obviously(table: Table, options: Options) -> tuple[History, float, str]:
    """Search with whole histories, whole vocabularies and whole sorts."""
    rule = rule_of(table)
    beams: list[tuple[History, float]] = [((), 0.0)]
    ended: list[tuple[float, History]] = []
    while len(beams[0][0]) < options.max_tokens and len(ended) < options.beams:
        every = []
        for at, (history, logp) in enumerate(beams):
            for token, more in enumerate(table.row(history)[0]):
                too_short = token == EOS and len(history) < options.min_tokens
                again = token != EOS and repeats((*history, token), options.block_ngram)
                within = rule is None or rule.allows(history, token, options.max_tokens - len(history))
                free = rule is not None and rule.unfinished(history)
                if more > -inf and within and (free or not (too_short or again)):
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
    history = next(history for found, history in cut if found == best)
    return history[: len(history) - (rule.unfinished(history) if rule else 0)], best, "length"


def score(table: Table, history: History, logp: float, tokens: int, options: Options) -> float:
    """``history`` is all that the last step had read."""
    coverage = np.zeros(table.tokens, np.float32)
    for at in range(len(history) + 1):
        coverage += table.attention(history[:at])
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
KINDS = st.sampled_from([Table, Counted])


@settings(max_examples=300, deadline=None)
@given(options=OPTIONS, seed=st.integers(0, 10**6), vocabulary=st.integers(3, 9), kind=KINDS)
def test_the_summary_is_that_of_an_obvious_search(
    options: Options, seed: int, vocabulary: int, kind: type[Table]
) -> None:
    table = kind(seed, vocabulary)
    found = written(table, options)
    tokens, best, reason = obviously(table, options)
    assert tuple(token.id for token in found.tokens) == tokens
    assert found.reason == reason
    assert found.score == pytest.approx(best)


@settings(max_examples=300, deadline=None)
@given(options=OPTIONS, seed=st.integers(0, 10**6), vocabulary=st.integers(3, 9), kind=KINDS)
def test_the_summary_is_to_the_last_bit_that_of_one_beam_after_the_other(
    options: Options, seed: int, vocabulary: int, kind: type[Table]
) -> None:
    table = kind(seed, vocabulary)
    assert written(table, options) == plainly(table, options)


@settings(max_examples=80, deadline=None)
@given(
    options=OPTIONS,
    seeds=st.lists(st.integers(0, 10**6), min_size=1, max_size=9, unique=True),
    rows=st.integers(1, 4),
    numbers=st.randoms(use_true_random=False),
)
def test_many_searches_in_turns_find_what_each_finds_alone(
    options: Options, seeds: list[int], rows: int, numbers: random.Random
) -> None:
    work = [
        (
            numbers.choice([Table, Counted])(seed, 6),
            replace(
                options,
                max_tokens=numbers.randint(3, 40),
                min_tokens=numbers.randint(0, 3),
                block_ngram=numbers.choice([options.block_ngram, 2]),
                length_penalty=numbers.choice([options.length_penalty, 1.0]),
            ),
        )
        for seed in seeds
    ]
    found = dict(generate(searches(options)[0], [(*one, numerals_of(one[0])) for one in work], rows))
    assert [found[at] for at in range(len(work))] == [plainly(*one) for one in work]


@settings(max_examples=300, deadline=None)
@given(options=OPTIONS, seed=st.integers(0, 10**6), vocabulary=st.integers(4, 9))
def test_every_numeral_of_a_summary_is_one_of_the_source(options: Options, seed: int, vocabulary: int) -> None:
    table = Counted(seed, vocabulary)
    rule = replace(table.rule, signs=tuple(Sign.OTHER if one == Sign.LETTERS else one for one in table.rule.signs))
    said = [token.id for token in written(table, options).tokens]
    assert {*rule.runs(said)} <= {*rule.runs(rule.source)}


def test_greedy_search_needs_one_candidate_and_a_beam_search_one_more_than_its_beams() -> None:
    assert [Options(max_tokens=1, beams=beams).candidates for beams in (1, 2, 4)] == [1, 3, 5]


@dataclass
class Script(Tables):
    """Says what it is told to: for each step the logps [beams][k] of ids from ``first`` on."""

    steps: list[tuple[list[list[float]], int]] = field(default_factory=list)

    def step(self, tokens: Ids, banned: Ids) -> Found:
        found = super().step(tokens, banned)
        logps, first = self.steps.pop(0)
        ids = np.broadcast_to(np.arange(first, first + len(logps[0])), found.ids.shape)
        return found._replace(ids=ids.copy(), logps=np.array([logps], np.float32), copied=np.full(ids.shape, 0.75))


def scripted(options: Options, *steps: tuple[list[list[float]], int]) -> tuple[Searches[Table], Script]:
    script = Script(options, steps=list(steps))
    made = Searches(script, options.beams, BOS, EOS)
    made.join(Table(4, 30), options)
    return made, script


def test_of_equals_the_lower_beam_goes_first_and_then_the_lower_id() -> None:
    level = [[-1.0] * 3] * 2
    made, script = scripted(Options(max_tokens=5, beams=2), (level, 2), (level, 2), (level, 2))
    histories = []
    for _ in range(3):
        made.advance()
        histories.append(script.rows[0][1])
    assert histories[1:] == [[(2,), (2,)], [(2, 2), (2, 2)]]
    assert [token.id for token in made.best(0).tokens] == [2, 2, 2]


def test_the_end_token_is_banned_until_the_summary_is_long_enough() -> None:
    made, script = scripted(Options(max_tokens=5, min_tokens=2), *[([[-1.0]], 2)] * 3)
    banned = []
    for _ in range(3):
        made.advance()
        banned.append(script.banned[0])
    assert banned == [[[EOS]], [[EOS]], [[]]]


def test_what_would_repeat_a_run_of_tokens_is_banned() -> None:
    said = (2, 3, 2, 2, 4, 2, 5)
    made, script = scripted(Options(max_tokens=9, block_ngram=2), *[([[-1.0]], token) for token in said])
    banned = []
    for _ in said:
        made.advance()
        banned.append(script.banned[0][0])
    assert banned == [[], [], [], [3], [2, 3], [], [2, 3, 4]]


def test_a_token_is_told_with_its_own_logp_its_copied_share_and_its_place() -> None:
    made, _ = scripted(Options(max_tokens=5), ([[-0.5]], 8), ([[-0.25]], 9))
    for _ in range(2):
        made.advance()
    assert made.since(0, 1) == [Token(9, -0.25, 0.75, 63)]
    assert made.best(0).tokens == [Token(8, -0.5, 0.75, 56), *made.since(0, 1)]
    assert made.length(0) == 2


def test_a_search_broken_off_gives_the_best_it_has_and_says_so() -> None:
    made, _ = scripted(Options(max_tokens=5, beams=2), ([[-0.5, -1.0, -2.0]] * 2, 2))
    assert made.best(0, "deadline") == Summary([], 0.0, "deadline")
    made.advance()
    best = made.best(0, "deadline")
    assert ([token.id for token in best.tokens], best.reason) == ([2], "deadline")


def test_where_everything_is_banned_the_summary_ends() -> None:
    options = Options(max_tokens=5, min_tokens=1, beams=2)
    made, _ = scripted(options, ([[-0.5, -1.0, -2.0]] * 2, 2), ([[-inf] * 3] * 2, 2))
    assert made.advance() == {}
    end = made.advance()[0]
    assert isinstance(end, Summary)
    assert [token.id for token in end.tokens] == [2]


def test_what_is_not_a_number_fails_its_row() -> None:
    for beams in (1, 2):
        options = Options(max_tokens=3, beams=beams)
        made, _ = scripted(options, ([[nan] * options.candidates] * beams, 2))
        with pytest.raises(ValueError, match="not a number"):
            raise made.advance()[0]  # type: ignore[misc]


@pytest.mark.parametrize("beams", [1, 3])
def test_a_row_that_fails_takes_no_other_with_it(beams: int) -> None:
    options = Options(max_tokens=6, min_tokens=2, beams=beams)
    good, bad = Table(3, 6), Table(8, 6)
    made, _ = searches(options, frozenset({bad}))
    for table in (bad, good):
        made.join(table, options)
    ends = made.advance()
    assert isinstance(ends.pop(0), ZeroDivisionError)
    assert not ends
    made.leave(0)
    while not (ends := made.advance()):
        pass
    assert ends == {0: plainly(good, options)}


def test_what_a_step_finds_failed_is_raised() -> None:
    options, table = Options(max_tokens=3), Table(1, 4)
    with pytest.raises(ZeroDivisionError, match="poisoned"):
        list(generate(searches(options, frozenset({table}))[0], [(table, options, None)], rows=1))


def test_a_row_has_as_many_beams_as_the_others() -> None:
    made, _ = searches(Options(max_tokens=3, beams=2))
    with pytest.raises(ValueError, match="This is a bug: 3 beams among searches of 2"):
        made.join(Table(1, 4), Options(max_tokens=3, beams=3))


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
