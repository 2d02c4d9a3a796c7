"""The paired comparison, against figures worked out by hand."""

import pytest

from training.study.paired import Paired, paired, spread


def test_spread_is_mean_and_sample_deviation() -> None:
    found = spread([1.0, 2.0, 6.0])
    assert found.mean == 3.0
    # Squares of -2, -1 and 3 are 14 in all; over two degrees of freedom, 7.
    assert found.sd == pytest.approx(7**0.5)


def test_one_figure_has_no_deviation() -> None:
    assert spread([4.0]).sd is None


def test_the_interval_is_that_of_a_t_with_one_degree_less_than_pairs() -> None:
    # Differences 1, 2 and 3: mean 2, deviation 1, standard error 0.57735; t(0.975, 2) = 4.302653.
    found = paired({1: 10.0, 2: 20.0, 3: 30.0}, {1: 11.0, 2: 22.0, 3: 33.0})
    assert found is not None
    assert (found.pairs, found.difference) == (3, 2.0)
    assert found.low == pytest.approx(2 - 4.302653 * 0.577350, abs=1e-5)
    assert found.high == pytest.approx(2 + 4.302653 * 0.577350, abs=1e-5)
    assert not found.clear


def test_what_all_seeds_share_falls_out_of_the_difference() -> None:
    found = paired({1: 10.0, 2: 50.0}, {1: 11.0, 2: 51.0})
    assert found == Paired(2, 1.0, 1.0, 1.0)
    assert found.clear


def test_a_seed_that_one_side_lacks_is_left_out() -> None:
    found = paired({1: 10.0, 2: 20.0, 3: 99.0}, {1: 11.0, 2: 23.0})
    assert found is not None
    assert (found.pairs, found.difference) == (2, 2.0)


def test_one_pair_has_a_difference_and_no_interval() -> None:
    found = paired({1: 10.0}, {1: 12.0})
    assert found == Paired(1, 2.0, None, None)
    assert not found.clear


def test_without_a_common_seed_there_is_nothing_to_compare() -> None:
    assert paired({1: 10.0}, {2: 12.0}) is None
