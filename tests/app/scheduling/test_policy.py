"""The batch policy: a run of neighbours in length around the oldest row, within its budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scheduling.policy import Budget, neighbours

ROOMY = Budget(max_cells=10_000, max_rows=100, max_padding_share=0.99)


def test_a_row_with_no_neighbours_runs_alone() -> None:
    assert neighbours([7], 0, ROOMY) == (0, 1)


def test_everything_runs_together_where_the_budget_allows() -> None:
    assert neighbours([2, 3, 5], 1, ROOMY) == (0, 3)


def test_the_nearer_neighbour_in_length_comes_first() -> None:
    two_rows = Budget(max_cells=10_000, max_rows=2, max_padding_share=0.99)
    assert neighbours([10, 18, 20, 29], 2, two_rows) == (1, 3)


def test_a_row_above_the_cell_budget_still_runs_and_runs_alone() -> None:
    assert neighbours([3, 500, 600], 1, Budget(max_cells=100, max_rows=9, max_padding_share=0.5)) == (1, 2)


def test_a_long_row_does_not_make_short_ones_pay_for_padding() -> None:
    assert neighbours([5, 5, 5, 200], 0, Budget(max_cells=4_000, max_rows=9, max_padding_share=0.2)) == (0, 3)


def test_equal_lengths_waste_nothing_and_fill_the_cells() -> None:
    assert neighbours([4] * 10, 0, Budget(max_cells=24, max_rows=9, max_padding_share=0.0)) == (0, 6)


@pytest.mark.parametrize("oldest", [0, 2, 4])
def test_the_oldest_is_always_in_its_batch(oldest: int) -> None:
    low, high = neighbours([1, 9, 90, 400, 900], oldest, Budget(64, 3, 0.1))
    assert low <= oldest < high


@given(
    lengths=st.lists(st.integers(1, 600), min_size=1, max_size=60).map(sorted),
    place=st.floats(0, 1, exclude_max=True),
    max_cells=st.integers(1, 4_000),
    max_rows=st.integers(1, 40),
    max_padding_share=st.floats(0, 0.9),
)
def test_no_batch_exceeds_its_budget(
    lengths: list[int], place: float, max_cells: int, max_rows: int, max_padding_share: float
) -> None:
    oldest = int(place * len(lengths))
    budget = Budget(max_cells, max_rows, max_padding_share)
    low, high = neighbours(lengths, oldest, budget)
    assert 0 <= low <= oldest < high <= len(lengths)
    batch = lengths[low:high]
    cells = len(batch) * max(batch)
    if len(batch) > 1:
        assert len(batch) <= max_rows
        assert cells <= max_cells
        assert cells - sum(batch) <= max_padding_share * cells
    for low_more, high_more in ((low - 1, high), (low, high + 1)):
        if low_more >= 0 and high_more <= len(lengths):
            more = lengths[low_more:high_more]
            width = budget.width(len(more), max(more), sum(more))
            assert not budget.allows(len(more), width, sum(more)), "a neighbour that the budget allows was left out"
