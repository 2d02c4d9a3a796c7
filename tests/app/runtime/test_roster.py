"""Rows that step together: each finds what it finds alone, and its memory is neither copied nor moved without need."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.runtime.roster import Draft, Found, Roster
from app.runtime.session import Array
from app.tasks.generate import Ask
from tests.scribe import BOS, FIRST, PAD, Scribe, Stepped

POISON = 22


@dataclass(eq=False)
class Watched(Scribe):
    """Remembers what each step was fed."""

    feeds: list[Mapping[str, Array]] = field(default_factory=list)

    def step(self, feeds: Mapping[str, Array]) -> Stepped:
        self.feeds.append(feeds)
        return super().step(feeds)


def draft(length: int, first: int = FIRST) -> Draft:
    return Draft(np.arange(first, first + length) % 15 + FIRST, "headline")


def first_ask() -> Ask:
    return Ask([BOS], [0], [[]])


def good(found: list[Found | Exception]) -> list[Found]:
    assert not any(isinstance(one, Exception) for one in found), found
    return [one for one in found if isinstance(one, Found)]


def following(found: Found, beams: int) -> Ask:
    """Go on from the first beam alone, with its best tokens, so that beams are reordered."""
    return Ask(found.ids[0][:beams], [0] * beams, [[]] * beams)


def steps(roster: Roster, at: int, asks: list[Ask], count: int, beams: int) -> list[Found]:
    """Step ``count`` times and return what row ``at`` found."""
    own = []
    for _ in range(count):
        found = good(roster.step(asks))
        asks = [following(one, beams) for one in found]
        own.append(found[at])
    return own


def same(one: list[Found], other: list[Found]) -> None:
    for left, right in zip(one, other, strict=True):
        assert (left.ids, left.sources) == (right.ids, right.sources)
        for name in ("logps", "copied", "coverage"):
            np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 70), min_size=1, max_size=9), beams=st.integers(1, 3), late=st.integers(0, 3))
def test_a_row_finds_alone_what_it_finds_in_company_and_joined_late(lengths: list[int], beams: int, late: int) -> None:
    scribe = Scribe()
    alone = Roster(scribe, beams, 4)
    alone.join(draft(37, 9))
    wanted = steps(alone, 0, [first_ask()], 4, beams)
    roster = Roster(scribe, beams, 4)
    for length in lengths:
        roster.join(draft(length))
    asks = [first_ask()] * len(lengths)
    for _ in range(late):
        asks = [following(one, beams) for one in good(roster.step(asks))]
    roster.join(draft(37, 9))
    same(steps(roster, len(lengths), [*asks, first_ask()], 4, beams), wanted)


def test_the_last_row_takes_the_place_of_one_that_leaves() -> None:
    scribe = Scribe()
    wanted = Roster(scribe, 2, 3)
    wanted.join(draft(9, 7))
    first = good(wanted.step([first_ask()]))[0]
    roster = Roster(scribe, 2, 3)
    for length, start in ((20, 4), (5, 5), (9, 7)):
        roster.join(draft(length, start))
    asks = [following(one, 2) for one in good(roster.step([first_ask()] * 3))]
    roster.leave(0)
    same(good(roster.step([asks[2], asks[1]]))[:1], steps(wanted, 0, [following(first, 2)], 1, 2))
    assert (roster.rows, roster.tokens) == (2, 14)


def test_memory_is_one_copy_a_row_and_stays_where_it_is() -> None:
    scribe = Watched()
    roster = Roster(scribe, 3, 4)
    for length in (20, 5):
        roster.join(draft(length))
    steps(roster, 0, [first_ask()] * 2, 3, 3)
    shapes = [feeds["memory"].shape for feeds in scribe.feeds]
    assert shapes == [(2, 32, scribe.size)] * 3
    assert len({feeds["memory"].__array_interface__["data"][0] for feeds in scribe.feeds}) == 1
    assert roster.cells == 64


def test_rows_are_laid_out_narrower_once_the_longest_is_gone() -> None:
    scribe = Watched()
    roster = Roster(scribe, 1, 1)
    for length in (100, 5, 12):
        roster.join(draft(length))
    found = good(roster.step([first_ask()] * 3))
    roster.leave(0)
    roster.step([following(found[at], 1) for at in (2, 1)])
    assert [feeds["memory"].shape[1] for feeds in scribe.feeds] == [112, 16]


def test_beyond_a_source_there_is_padding_whoever_was_there_before() -> None:
    scribe = Watched()
    roster = Roster(scribe, 1, 1)
    for length in (30, 30):
        roster.join(draft(length))
    roster.leave(1)
    roster.join(draft(3))
    roster.step([first_ask()] * 2)
    (feeds,) = scribe.feeds
    assert (feeds["ids"][1, 3:] == PAD).all()
    assert not feeds["memory"][1, 3:].any()
    assert feeds["lens"].tolist() == [30, 3]


def test_bans_and_what_may_be_generated_reach_the_step() -> None:
    scribe = Watched()
    roster = Roster(scribe, 2, 3)
    roster.join(draft(4))
    roster.join(Draft(draft(4).ids, "headline", free=True))
    roster.step([Ask([BOS], [0], [[5, 6]]), first_ask()])  # the second beam is not live yet and repeats the first
    (feeds,) = scribe.feeds
    assert feeds["banned"].tolist() == [[[5, 6], [5, 6]], [[-1, -1], [-1, -1]]]
    assert feeds["free"].tolist() == [0.0, 1.0]
    assert {name: array.dtype.name for name, array in feeds.items()} == {
        **dict.fromkeys(["tokens", "ids", "lens", "banned", "k"], "int64"),
        **dict.fromkeys(["state", "coverage", "memory", "keys", "free"], "float32"),
    }


def test_a_copied_token_is_said_from_the_place_that_holds_it_and_another_from_the_one_attended_to_most() -> None:
    class Fixed(Scribe):
        def step(self, feeds: Mapping[str, Array]) -> Stepped:
            ids, logps, copied, state, coverage = super().step(feeds)
            ids[:], copied[:] = [[[5, 6, 9, 5]]], [[[0.9, 0.9, 0.9, 0.1]]]
            coverage[:] = feeds["coverage"]
            coverage[..., :5] += np.array([0.1, 0.05, 0.25, 0.0, 0.6], np.float32)
            return ids, logps, copied, state, coverage

    roster = Roster(Fixed(), 1, 4)
    roster.join(Draft(np.array([5, 6, 5, 8, 7]), "headline"))
    for _ in range(3):
        (found,) = good(roster.step([first_ask()]))
        assert found.sources == [[2, 1, 4, 4]]
    assert found.coverage.tolist() == [pytest.approx([0.3, 0.15, 0.75, 0.0, 1.8])]


@pytest.mark.parametrize("bad", [{0}, {3}, {1, 4}, {0, 1, 2, 3, 4}])
def test_a_row_that_the_step_fails_on_fails_alone(bad: set[int]) -> None:
    scribe = Scribe(poison=POISON)
    roster = Roster(scribe, 2, 3)
    for at in range(5):
        roster.join(Draft(np.array([POISON]), "headline") if at in bad else draft(6 + at))
    found = roster.step([first_ask()] * 5)
    assert {at for at, one in enumerate(found) if isinstance(one, Exception)} == bad
    for at in set(range(5)) - bad:
        alone = Roster(scribe, 2, 3)
        alone.join(draft(6 + at))
        one = found[at]
        assert isinstance(one, Found)
        same([one], good(alone.step([first_ask()])))


def test_a_text_that_cannot_be_read_does_not_join() -> None:
    roster = Roster(Scribe(unreadable=POISON), 1, 1)
    roster.join(draft(6))
    with pytest.raises(RuntimeError, match="unreadable"):
        roster.join(Draft(np.array([POISON]), "headline"))
    assert roster.rows == len(good(roster.step([first_ask()]))) == 1


def test_a_step_asked_of_other_rows_is_a_bug() -> None:
    roster = Roster(Scribe(), 1, 1)
    roster.join(draft(6))
    with pytest.raises(ValueError, match="This is a bug: 2 asks of 1 rows"):
        roster.step([first_ask()] * 2)
