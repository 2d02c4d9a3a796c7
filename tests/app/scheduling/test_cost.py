"""Which rows step together follows from what a step costs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from app.runtime.roster import Draft
from app.runtime.session import Array
from app.scheduling.cost import Costs, StepCost, cheapest, measure
from app.tasks.generate import Options
from tests.scribe import FIRST, Scribe, Stepped

COST = StepCost(fixed_s=100, row_s=10, cell_s=1)
DRAFT = Draft(np.arange(FIRST, FIRST + 5), "headline")


@pytest.mark.parametrize(
    ("teams", "tokens", "joins"),
    [
        ([], 30, None),
        ([(3, 32)], 30, 0),
        ([(3, 32), (3, 48)], 40, 1),
        ([(3, 32), (3, 32)], 20, 0),
        ([(3, 400)], 20, None),
        ([(1, 64)], 16, 0),
        ([(9, 16)], 64, None),
        ([(2, 16)], 64, 0),
    ],
    ids=[
        "the first steps alone",
        "as wide: together",
        "the wider one, rather than widen three rows",
        "the first of equals",
        "much padding for a short row: apart",
        "little padding: together",
        "widening many rows: apart",
        "widening few: together",
    ],
)
def test_a_row_joins_where_the_step_grows_least(teams: list[tuple[int, int]], tokens: int, joins: int | None) -> None:
    assert cheapest(COST, teams, tokens) == joins


def test_a_step_that_costs_nothing_of_its_own_is_never_shared_with_longer_rows() -> None:
    assert cheapest(StepCost(0, 10, 1), [(1, 64)], 16) is None


@dataclass(eq=False)
class Timed(Scribe):
    """A scribe whose steps take as long as the model of their cost says, on a clock of its own."""

    now: float = 0.0

    def step(self, feeds: Mapping[str, Array]) -> Stepped:
        rows, width, _ = feeds["memory"].shape
        self.now += COST.of(rows, width)
        return super().step(feeds)


@pytest.mark.parametrize("beams", [1, 3])
def test_the_cost_is_found_by_timing_steps(beams: int) -> None:
    timed = Timed()
    cost = measure(timed, DRAFT, Options(max_tokens=5, beams=beams), clock=lambda: timed.now)
    assert (cost.fixed_s, cost.row_s, cost.cell_s) == pytest.approx((100, 10, 1))
    assert {shape[2] for shape in timed.steps} == {beams}


def test_no_part_of_a_cost_is_below_nothing() -> None:
    ticks = iter(range(1000, 0, -1))
    cost = measure(Scribe(), DRAFT, Options(max_tokens=5), clock=lambda: next(ticks) ** 0.5)
    assert min(cost.fixed_s, cost.row_s, cost.cell_s) >= 0


def test_a_cost_is_measured_once_a_writer_and_number_of_beams() -> None:
    asked = []

    def measured(writer: object, _draft: Draft, options: Options) -> StepCost:
        asked.append((writer, options.beams))
        return COST

    costs, one, other = Costs(measured), Scribe(), Scribe()
    lanes = [(one, 1), (one, 1), (one, 2), (other, 1), (one, 2)]
    assert costs.of((one, 1)) == StepCost(0, 0, 0)
    for writer, beams in lanes:
        costs.learn((writer, beams), DRAFT, Options(max_tokens=5, beams=beams))
    assert asked == [(one, 1), (one, 2), (other, 1)]
    assert costs.of((one, 1)) == COST
