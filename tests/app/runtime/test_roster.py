"""Rows that step together: each finds what it finds alone, and its memory is neither copied nor moved without need."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.runtime.roster import NOTHING, Draft, Floats, Ids, Roster
from app.runtime.session import Array
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


class Row(NamedTuple):
    """What a step found for one row, and where its next tokens are said from."""

    ids: Ids
    logps: Floats
    copied: Floats
    coverage: Floats
    places: Ids


def first(roster: Roster) -> Ids:
    return np.full((roster.rows, roster.beams), BOS)


def best_alone(roster: Roster) -> Ids:
    """Return the origins of beams that all go on from the first of their row."""
    return np.repeat(np.arange(roster.rows)[:, None] * roster.beams, roster.beams, axis=1)


def nothing(roster: Roster) -> Ids:
    return np.full((roster.rows, roster.beams, 1), NOTHING)


def stepped(roster: Roster, tokens: Ids) -> tuple[list[Row], Ids]:
    """Step, and go on from the first beam alone with its best tokens, so that beams are reordered; return those."""
    found, beams = roster.step(tokens, nothing(roster)), roster.beams
    assert not found.failed
    following = found.ids[:, 0, :beams]
    places = roster.follow(best_alone(roster), following, found.copied[:, 0, :beams])
    return [Row(*one) for one in zip(*found[:4], places, strict=True)], following


def steps(roster: Roster, at: int, tokens: Ids, count: int) -> list[Row]:
    """Step ``count`` times and return what row ``at`` found."""
    own = []
    for _ in range(count):
        found, tokens = stepped(roster, tokens)
        own.append(found[at])
    return own


def same(one: list[Row], other: list[Row]) -> None:
    for left, right in zip(one, other, strict=True):
        assert (left.ids == right.ids).all()
        assert (left.places == right.places).all()
        for name in ("logps", "copied"):
            np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=1e-6)
        wide, narrow = sorted((left.coverage, right.coverage), key=lambda each: -each.shape[1])
        np.testing.assert_allclose(wide[:, : narrow.shape[1]], narrow, atol=1e-6)
        assert not wide[:, narrow.shape[1] :].any()


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 70), min_size=1, max_size=9), beams=st.integers(1, 3), late=st.integers(0, 3))
def test_a_row_finds_alone_what_it_finds_in_company_and_joined_late(lengths: list[int], beams: int, late: int) -> None:
    scribe = Scribe()
    alone = Roster(scribe, beams, 4)
    alone.join(draft(37, 9))
    wanted = steps(alone, 0, first(alone), 4)
    roster = Roster(scribe, beams, 4)
    for length in lengths:
        roster.join(draft(length))
    tokens = first(roster)
    for _ in range(late):
        tokens = stepped(roster, tokens)[1]
    roster.join(draft(37, 9))
    same(steps(roster, len(lengths), np.concatenate([tokens, first(alone)]), 4), wanted)


def test_the_last_row_takes_the_place_of_one_that_leaves() -> None:
    scribe = Scribe()
    wanted = Roster(scribe, 2, 3)
    wanted.join(draft(9, 7))
    _, own = stepped(wanted, first(wanted))
    roster = Roster(scribe, 2, 3)
    for length, start in ((20, 4), (5, 5), (9, 7)):
        roster.join(draft(length, start))
    _, tokens = stepped(roster, first(roster))
    roster.leave(0)
    same(stepped(roster, tokens[[2, 1]])[0][:1], stepped(wanted, own)[0])
    assert (roster.rows, roster.tokens) == (2, 14)


def test_memory_is_one_copy_a_row_and_stays_where_it_is() -> None:
    scribe = Watched()
    roster = Roster(scribe, 3, 4)
    for length in (20, 5):
        roster.join(draft(length))
    steps(roster, 0, first(roster), 3)
    shapes = [feeds["memory"].shape for feeds in scribe.feeds]
    assert shapes == [(2, 32, scribe.size)] * 3
    assert len({feeds["memory"].__array_interface__["data"][0] for feeds in scribe.feeds}) == 1
    assert roster.cells == 64


def test_rows_are_laid_out_narrower_once_the_longest_is_gone() -> None:
    scribe = Watched()
    roster = Roster(scribe, 1, 1)
    for length in (100, 5, 12):
        roster.join(draft(length))
    _, tokens = stepped(roster, first(roster))
    roster.leave(0)
    stepped(roster, tokens[[2, 1]])
    assert [feeds["memory"].shape[1] for feeds in scribe.feeds] == [112, 16]


def test_beyond_a_source_there_is_padding_whoever_was_there_before() -> None:
    scribe = Watched()
    roster = Roster(scribe, 1, 1)
    for length in (30, 30):
        roster.join(draft(length))
    roster.leave(1)
    roster.join(draft(3))
    stepped(roster, first(roster))
    (feeds,) = scribe.feeds
    assert (feeds["ids"][1, 3:] == PAD).all()
    assert not feeds["memory"][1, 3:].any()
    assert feeds["lens"].tolist() == [30, 3]


def test_bans_and_what_may_be_generated_reach_the_step() -> None:
    scribe = Watched()
    roster = Roster(scribe, 2, 3)
    roster.join(draft(4))
    roster.join(Draft(draft(4).ids, "headline", free=True))
    banned = np.array([[[5, 6], [5, NOTHING]], [[NOTHING, NOTHING]] * 2])
    found = roster.step(first(roster), banned)
    assert not np.isin([5, 6], found.ids[0, 0]).any()
    (feeds,) = scribe.feeds
    assert feeds["banned"].tolist() == banned.tolist()
    assert feeds["free"].tolist() == [0.0, 1.0]
    assert {name: array.dtype.name for name, array in feeds.items()} == {
        **dict.fromkeys(["tokens", "ids", "lens", "banned", "k"], "int64"),
        **dict.fromkeys(["state", "coverage", "memory", "keys", "free"], "float32"),
    }


def test_a_step_is_asked_again_for_some_rows_with_other_bans() -> None:
    scribe = Watched()
    roster, twin = Roster(scribe, 2, 3), Roster(scribe, 2, 3)
    for each in (roster, twin):
        for length in (4, 9, 6):
            each.join(draft(length))
    roster.step(first(roster), nothing(roster))
    bans = np.array([[[5, 6], [7, 8]], [[9, NOTHING], [NOTHING, NOTHING]]])
    again = roster.again(np.array([2, 1]), bans)
    whole = twin.step(first(twin), np.concatenate([np.full((1, 2, 2), NOTHING), bans[::-1]]))
    assert (again.ids == whole.ids[[2, 1]]).all()
    np.testing.assert_allclose(again.logps, whole.logps[[2, 1]], atol=1e-6)
    np.testing.assert_allclose(again.copied, whole.copied[[2, 1]], atol=1e-6)


def test_asking_again_leaves_the_states_alone_and_tells_which_rows_failed() -> None:
    class Late(Scribe):
        def step(self, feeds: Mapping[str, Array]) -> Stepped:
            if len(feeds["tokens"]) < 2 and (feeds["banned"] == 5).any():
                raise RuntimeError("late")
            return super().step(feeds)

    roster, twin = Roster(Late(), 1, 1), Roster(Late(), 1, 1)
    for each in (roster, twin):
        each.join(draft(4))
        each.join(draft(5))
        found = each.step(first(each), nothing(each))
    assert set(roster.again(np.array([1]), np.array([[[5]]])).failed) == {0}
    for each in (roster, twin):
        each.follow(best_alone(each), found.ids[:, :, 0], found.copied[:, :, 0])
    same(stepped(roster, found.ids[:, :, 0])[0], stepped(twin, found.ids[:, :, 0])[0])


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
    for at, place in enumerate([2, 1, 4, 4]):
        found = roster.step(first(roster), nothing(roster))
        assert roster.follow(best_alone(roster), found.ids[:, :, at], found.copied[:, :, at]) == [[place]]
    assert roster.covered(0).tolist() == [pytest.approx([0.4, 0.2, 1.0, 0.0, 2.4])]


@pytest.mark.parametrize("bad", [{0}, {3}, {1, 4}, {0, 1, 2, 3, 4}])
def test_a_row_that_the_step_fails_on_fails_alone(bad: set[int]) -> None:
    scribe = Scribe(poison=POISON)
    roster = Roster(scribe, 2, 3)
    for at in range(5):
        roster.join(Draft(np.array([POISON]), "headline") if at in bad else draft(6 + at))
    found = roster.step(first(roster), nothing(roster))
    assert set(found.failed) == bad
    for at in set(range(5)) - bad:
        alone = Roster(scribe, 2, 3)
        alone.join(draft(6 + at))
        own = alone.step(first(alone), nothing(alone))
        assert (found.ids[at] == own.ids[0]).all()
        np.testing.assert_allclose(found.logps[at], own.logps[0], atol=1e-6)


def test_a_row_that_failed_leaves_the_others_their_states() -> None:
    scribe = Scribe(poison=POISON)
    roster, alone = Roster(scribe, 2, 3), Roster(scribe, 2, 3)
    roster.join(Draft(np.array([POISON]), "headline"))
    for each in (roster, alone):
        each.join(draft(7))
    tokens = {}
    for each in (roster, alone):
        found = each.step(first(each), nothing(each))
        tokens[each] = found.ids[-1:, 0, :2]
        own = found.ids[:, 0, :2]
        each.follow(best_alone(each), own, found.copied[:, 0, :2])
    roster.leave(0)
    same(stepped(roster, tokens[roster])[0], stepped(alone, tokens[alone])[0])


def test_a_text_that_cannot_be_read_does_not_join() -> None:
    roster = Roster(Scribe(unreadable=POISON), 1, 1)
    roster.join(draft(6))
    with pytest.raises(RuntimeError, match="unreadable"):
        roster.join(Draft(np.array([POISON]), "headline"))
    assert roster.rows == len(stepped(roster, first(roster))[0]) == 1


def test_a_step_asked_of_other_rows_is_a_bug() -> None:
    roster = Roster(Scribe(), 1, 1)
    roster.join(draft(6))
    with pytest.raises(ValueError, match="This is a bug: tokens of 2 rows, for 1"):
        roster.step(np.full((2, 1), BOS), nothing(roster))
