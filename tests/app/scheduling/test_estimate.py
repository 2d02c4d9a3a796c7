"""What a batch takes: learnt from the runs of late, whatever disturbs some of them."""

import random
from collections.abc import Iterator

import pytest

from app.scheduling.estimate import RunCost, RunCosts

SHAPES = [(1, 5), (1, 200), (4, 20), (4, 100), (16, 20), (16, 50), (32, 20)]


def real(rows: int, width: int, times: float = 1.0) -> float:
    return times * (117e-6 + 2.9e-6 * width + 8.8e-6 * rows * width)


def runs(count: int, times: float = 1.0, noise: float = 0.2, outliers: float = 0.0) -> Iterator[tuple[int, int, float]]:
    numbers = random.Random(count)  # noqa: S311 - reproducible noise, no secret
    for _ in range(count):
        width = min(1000, max(1, round(numbers.lognormvariate(0, 1.1) * 25)))
        rows = numbers.randint(1, max(1, min(32, 1024 // width)))
        held_up = numbers.choice((5, 50)) if numbers.random() < outliers else 1
        yield rows, width, real(rows, width, times) * numbers.lognormvariate(0, noise) * held_up


def worst_error(cost: RunCost, times: float = 1.0) -> float:
    return max(abs(cost.seconds(*shape) / real(*shape, times) - 1) for shape in SHAPES)


def test_nothing_is_forecast_before_anything_ran() -> None:
    assert RunCost().seconds(8, 64) == 0.0


def test_the_first_run_already_tells_of_its_like() -> None:
    cost = RunCost()
    cost.observe(4, 20, 0.001)
    assert cost.seconds(4, 20) == pytest.approx(0.001, rel=0.1)


def test_noisy_runs_of_all_shapes_tell_what_each_shape_takes() -> None:
    cost = RunCost()
    for run in runs(300):
        cost.observe(*run)
    assert worst_error(cost) < 0.2


def test_runs_that_were_held_up_are_not_taken_for_the_rule() -> None:
    cost = RunCost()
    for run in runs(400, outliers=0.05):
        cost.observe(*run)
    assert worst_error(cost) < 0.25


def test_first_runs_that_were_held_up_are_forgotten_at_the_first_that_was_not() -> None:
    cost = RunCost()
    for _ in range(5):
        cost.observe(4, 20, 100 * real(4, 20))
    for _ in range(3):
        cost.observe(4, 20, real(4, 20))
    assert cost.seconds(4, 20) < 2 * real(4, 20)


def test_a_machine_that_is_slower_from_now_on_is_noticed() -> None:
    cost = RunCost()
    for run in runs(300):
        cost.observe(*run)
    for run in runs(400, times=3.0):
        cost.observe(*run)
    assert worst_error(cost, times=3.0) < 0.25


def test_an_hour_of_one_shape_does_not_unlearn_the_others_altogether() -> None:
    cost = RunCost()
    for run in runs(300):
        cost.observe(*run)
    for _ in range(3_000):
        cost.observe(1, 20, real(1, 20))
    assert cost.seconds(1, 20) == pytest.approx(real(1, 20), rel=0.05)
    assert cost.seconds(32, 20) == pytest.approx(real(32, 20), rel=1.0)


def test_more_work_is_never_forecast_to_take_less() -> None:
    numbers = random.Random(1)  # noqa: S311 - as above
    cost = RunCost()
    for _ in range(200):
        cost.observe(numbers.randint(1, 32), numbers.randint(1, 32), numbers.random())
        assert min(cost.cost) >= 0
    assert cost.seconds(4, 20) <= cost.seconds(5, 20) <= cost.seconds(5, 21)


def test_a_lane_of_its_own_pace_is_told_apart_and_a_new_one_starts_from_the_last() -> None:
    class Lane:
        """Something that runs."""

    quick, slow, new = Lane(), Lane(), Lane()
    costs = RunCosts()
    for rows, width, seconds in runs(300):
        costs.observe(quick, rows, width, seconds)
        costs.observe(slow, rows, width, 4 * seconds)
    assert costs.seconds(slow, 4, 20) == pytest.approx(4 * costs.seconds(quick, 4, 20), rel=0.2)
    assert costs.seconds(new, 4, 20) == costs.seconds(slow, 4, 20)
