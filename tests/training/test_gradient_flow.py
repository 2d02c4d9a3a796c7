"""The norm of dL/dh_t against distance, where it can be worked out."""

import numpy as np
import pytest
import torch
from torch import nn

from training.gradient_flow import CASES, HIDDEN, INPUT, STEPS, measure, reach, table
from training.models.cells import GRUCell, LSTMCell, RNNCell


def test_a_cell_without_recurrence_passes_nothing_back() -> None:
    cell = RNNCell(INPUT, HIDDEN)
    nn.init.zeros_(cell.hidden.U)
    norms = reach(cell)
    assert norms[0] == pytest.approx(1.0)
    assert not norms[1:].any()


def test_an_rnn_at_rest_multiplies_by_its_recurrent_scale_at_each_step() -> None:
    cell = RNNCell(INPUT, HIDDEN)
    nn.init.zeros_(cell.hidden.W)
    with torch.no_grad():
        cell.hidden.U.mul_(1.1)
    # Without input the state stays zero, where tanh has slope one.
    np.testing.assert_allclose(reach(cell), 1.1 ** np.arange(STEPS), rtol=1e-4)


def test_a_gru_that_keeps_everything_passes_everything_back() -> None:
    np.testing.assert_allclose(reach(GRUCell(INPUT, HIDDEN, update_bias=100.0)), np.ones(STEPS), rtol=1e-6)


def test_an_lstms_state_reaches_the_loss_through_its_gates_alone() -> None:
    cell = LSTMCell(INPUT, HIDDEN)
    for name in cell.stacked:
        nn.init.zeros_(getattr(cell, name).U)
    assert not reach(cell)[1:].any()


def test_measuring_twice_finds_the_same_and_leaves_the_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    first, second = measure(CASES[1:3]), measure(CASES[1:3])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert list(first) == [case.name for case in CASES[1:3]]
    for name, norms in first.items():
        np.testing.assert_array_equal(norms, second[name])


def test_the_tables_factor_is_the_mean_one_from_distance_10_on() -> None:
    rows = table({"halving": np.logspace(0, 1 - STEPS, STEPS, base=2.0)}, distances=(0, 2)).splitlines()
    assert rows[2] == "| halving | 1.0e+00 | 2.5e-01 | 0.50 |"
