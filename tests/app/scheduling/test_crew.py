"""A crew: teams of like rows take turns, and a row leaves when it is over, whatever the reason."""

import numpy as np
import pytest

from app.errors import DeadlineExceeded
from app.modelpack.signs import Signs
from app.runtime.roster import Draft
from app.scheduling.cost import Costs, StepCost
from app.scheduling.crew import Crew, Stepped, Turn
from app.scheduling.slots import Held, Job, Row
from app.tasks.generate import Options, Summary
from app.tasks.numerals import Numerals
from tests.scribe import FIRST, Scribe

TOGETHER = StepCost(fixed_s=1, row_s=0.1, cell_s=0.001)
APART = StepCost(fixed_s=0, row_s=0.1, cell_s=1)


class Clock:
    """Stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def crew(cost: StepCost = TOGETHER, clock: Clock | None = None) -> Crew:
    return Crew(Costs(lambda *_: cost), clock or Clock())


def endless() -> Scribe:
    return Scribe(eos_bias=-1e9)


def row(scribe: Scribe, length: int = 9, beams: int = 1, max_tokens: int = 50, **more: float) -> Row:
    job = Job(scribe, submitted=90.0, deadline=more.get("deadline", 1e9))
    options = Options(max_tokens, beams=beams)
    draft = Draft(np.arange(length) % 15 + FIRST, "headline")
    made = Row(job, 0, draft, options)
    job.rows = [made]
    return made


def admitted(made: Crew, *rows: Row) -> Turn:
    turn = Turn()
    for each in rows:
        made.admit(each, turn)
    return turn


def stepped(made: Crew) -> Stepped:
    turn = Turn()
    made.step(turn)
    assert turn.step is not None
    return turn.step


def test_rows_of_one_lane_step_together() -> None:
    made, scribe = crew(), endless()
    admitted(made, row(scribe, 9), row(scribe, 20))
    step = stepped(made)
    assert (step.rows, step.tokens, step.cells) == (2, 29, 64)
    assert made.held == Held(rows=2, beams=2, cells=64)


def test_other_writers_and_other_beams_step_in_turn() -> None:
    made, one, other = crew(), endless(), endless()
    admitted(made, row(one), row(other), row(one, beams=3), row(one))
    turns = [stepped(made) for _ in range(6)]
    assert [(step.writer, step.beams, step.rows) for step in turns] == [(one, 1, 2), (other, 1, 1), (one, 3, 1)] * 2
    assert made.held.beams == 6


def test_rows_of_unlike_length_step_in_turn_where_padding_costs_more() -> None:
    made, scribe = crew(APART), endless()
    admitted(made, row(scribe, 9), row(scribe, 40), row(scribe, 12))
    assert [stepped(made).cells for _ in range(4)] == [32, 48, 32, 48]


@pytest.mark.parametrize("cost", [TOGETHER, APART])
def test_the_cells_told_beforehand_are_those_held_afterwards(cost: StepCost) -> None:
    made, scribe = crew(cost), endless()
    for length in (9, 40, 12, 100, 3):
        each = row(scribe, length)
        admitted(made, row(scribe, length, beams=2))  # learns the cost, and is a lane of its own
        admitted(made, row(scribe, 1))
        wanted = made.cells_with(each)
        admitted(made, each)
        assert made.held.cells == wanted


def test_a_row_that_is_done_leaves_with_its_summary() -> None:
    made, scribe = crew(), endless()
    short, long = row(scribe, max_tokens=1), row(scribe, max_tokens=2)
    admitted(made, short, long)
    turn = Turn()
    made.step(turn)
    ((ended, summary),) = turn.ends
    assert ended is short
    assert isinstance(summary, Summary)
    assert (len(summary.tokens), summary.reason) == (1, "length")
    assert made.held.rows == 1
    made.step(turn)
    assert made.idle


def test_rows_that_nobody_waits_for_are_swept_out() -> None:
    made, scribe = crew(), endless()
    rows = [row(scribe, length) for length in (5, 6, 7)]
    admitted(made, *rows)
    rows[0].job.gone = "cancelled"
    turn = Turn()
    made.sweep(turn)
    assert turn.drops == [rows[0]]
    assert made.held.rows == 2
    assert stepped(made).tokens == 13


def test_at_its_deadline_a_row_ends_with_what_it_has_or_with_an_error() -> None:
    clock, scribe = Clock(), endless()
    made = crew(clock=clock)
    begun, fresh = row(scribe, deadline=101.0), row(scribe, deadline=101.0)
    admitted(made, begun)
    stepped(made)
    admitted(made, fresh)
    clock.now = 101.0
    turn = Turn()
    made.sweep(turn)
    ends = dict(turn.ends)
    summary = ends[begun]
    assert isinstance(summary, Summary)
    assert (len(summary.tokens), summary.reason) == (1, "deadline")
    assert isinstance(ends[fresh], DeadlineExceeded)
    assert made.idle


def counting() -> Row:
    """Return a row whose text is one numeral of three pieces, which alone can be written, and which is listened to."""
    scribe = Scribe(vocabulary=FIRST + 3, eos_bias=-1e9)
    made = row(scribe, 3, max_tokens=3, deadline=101.0)
    made.numerals = Numerals(made.draft.ids, Signs.of(["</s>"] * FIRST + ["1", "2", "3"]))
    made.listened = True
    return made


def test_a_numeral_is_told_once_it_is_whole() -> None:
    made, one = crew(), counting()
    admitted(made, one)
    turns = [Turn() for _ in range(3)]
    for turn in turns:
        made.step(turn)
    assert [len(turn.tokens) for turn in turns] == [0, 0, 3]
    ((_, summary),) = turns[-1].ends
    assert isinstance(summary, Summary)
    assert [token.id for token in summary.tokens] == [token.id for _, token in turns[-1].tokens] == [4, 5, 6]


def test_at_its_deadline_half_a_numeral_is_nothing() -> None:
    clock = Clock()
    made, one = crew(clock=clock), counting()
    admitted(made, one)
    for _ in range(2):
        made.step(Turn())
    clock.now = 101.0
    turn = Turn()
    made.sweep(turn)
    assert isinstance(dict(turn.ends)[one], DeadlineExceeded)


def test_a_row_that_is_over_before_it_is_read_is_not_read() -> None:
    made, scribe = crew(), Scribe(unreadable=FIRST)
    late, gone = row(scribe, deadline=99.0), row(scribe)
    gone.job.gone = "cancelled"
    turn = admitted(made, late, gone)
    assert [type(end) for _, end in turn.ends] == [DeadlineExceeded]
    assert turn.drops == [gone]
    assert (turn.reads, made.idle) == ([], True)


def test_times_are_told_from_submission_and_from_step_to_step() -> None:
    clock, scribe = Clock(), endless()
    made = crew(clock=clock)
    admitted(made, row(scribe))
    assert stepped(made).first_s == (10.0,)
    clock.now = 103.0
    admitted(made, row(scribe))
    second = stepped(made)
    assert (second.rows, second.first_s, second.gap_s) == (2, (13.0,), 3.0)


def test_a_step_is_urgent_only_where_somebody_waits_for_it_and_a_filled_slot_always() -> None:
    made, scribe = crew(), endless()
    unheard, heard = row(scribe), row(scribe)
    assert admitted(made, unheard).urgent
    turn = Turn()
    made.step(turn)
    assert not turn.urgent
    heard.listened = True
    admitted(made, heard)
    made.step(turn)
    assert turn.urgent
    assert [each for each, _ in turn.tokens] == [heard]
