"""The written-out cells against torch's fused modules."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from training.models.cells import CELLS, Affine, Cell, GRUCell, LSTMCell, RecurrentLayer, RNNCell, State

INPUT, HIDDEN = 3, 5
LENS = torch.tensor([2, 6, 1, 4])
EXACT: dict[str, Any] = {"atol": 1e-6, "rtol": 0.0}

each_cell = pytest.mark.parametrize("kind", CELLS, ids=lambda kind: kind.__name__)
each_way = pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
each_precision = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def made(kind: type[Cell], dtype: torch.dtype, *, bidirectional: bool) -> tuple[nn.RNNBase, Tensor]:
    torch.manual_seed(0)
    fused: Any = kind.fused
    module: nn.RNNBase = fused(INPUT, HIDDEN, batch_first=True, bidirectional=bidirectional)
    return module.to(dtype), torch.randn(len(LENS), 6, INPUT, dtype=dtype)


def run_fused(fused: nn.RNNBase, inputs: Tensor) -> tuple[Tensor, State]:
    packed = pack_padded_sequence(inputs, LENS, batch_first=True, enforce_sorted=False)
    outputs, state = fused(packed)
    return pad_packed_sequence(outputs, batch_first=True)[0], state if isinstance(state, tuple) else (state,)


def total(outputs: Tensor, state: State) -> Tensor:
    """Return one number that every output and every part of the last state enters, each with a weight of its own."""
    parts = torch.cat([outputs.flatten(), *(part.flatten() for part in state)])
    return (parts * torch.linspace(-1, 1, len(parts), dtype=parts.dtype)).sum()


def stacked_gradients(cell: Cell) -> list[Tensor]:
    """Return the cell's gradients as torch stacks the weights: W, U, the bias beside x and the one beside h."""
    affines: list[Affine] = [getattr(cell, name) for name in cell.stacked]
    w, u, b = (torch.cat([getattr(affine, name).grad for affine in affines]) for name in ("W", "U", "b"))
    if isinstance(cell, GRUCell):
        assert cell.reset_bias.grad is not None
        return [w, u, b, torch.cat([b[: 2 * HIDDEN], cell.reset_bias.grad])]
    return [w, u, b, b]


@each_precision
@each_way
@each_cell
def test_outputs_and_last_states_are_the_fused_modules(
    kind: type[Cell], dtype: torch.dtype, *, bidirectional: bool
) -> None:
    fused, inputs = made(kind, dtype, bidirectional=bidirectional)
    outputs, state = RecurrentLayer.from_fused(fused)(inputs, LENS)
    wanted, wanted_state = run_fused(fused, inputs)
    torch.testing.assert_close(outputs, wanted, **EXACT)
    torch.testing.assert_close(state, wanted_state, **EXACT)


@each_precision
@each_way
@each_cell
def test_gradients_are_the_fused_modules(kind: type[Cell], dtype: torch.dtype, *, bidirectional: bool) -> None:
    fused, inputs = made(kind, dtype, bidirectional=bidirectional)
    layer = RecurrentLayer.from_fused(fused)
    ours, theirs = inputs.clone().requires_grad_(), inputs.clone().requires_grad_()
    torch.autograd.backward(total(*layer(ours, LENS)))
    torch.autograd.backward(total(*run_fused(fused, theirs)))
    torch.testing.assert_close(ours.grad, theirs.grad, **EXACT)
    for cell, weights in zip([layer.there, layer.back], fused.all_weights, strict=False):
        assert cell is not None
        for found, wanted in zip(stacked_gradients(cell), weights, strict=True):
            torch.testing.assert_close(found, wanted.grad, **EXACT)


@each_way
@each_cell
def test_padding_changes_nothing(kind: type[Cell], *, bidirectional: bool) -> None:
    fused, inputs = made(kind, torch.float32, bidirectional=bidirectional)
    layer = RecurrentLayer.from_fused(fused)
    outputs, state = layer(inputs, LENS)
    mask = torch.arange(6) < LENS.unsqueeze(1)
    assert not outputs[~mask].any()
    scribbled = torch.where(mask.unsqueeze(2), inputs, 50.0)
    torch.testing.assert_close(layer(scribbled, LENS), (outputs, state))
    alone, _ = layer(inputs[:1, :2], LENS[:1])
    torch.testing.assert_close(alone, outputs[:1, :2])


@each_cell
def test_gradcheck_holds_for_a_step(kind: type[Cell]) -> None:
    torch.manual_seed(0)
    cell = kind(2, 3).double()
    x = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    state = [torch.randn_like(part).requires_grad_() for part in cell.start(x)]
    names, weights = zip(*cell.named_parameters(), strict=True)

    def run(x: Tensor, *rest: Tensor) -> State:
        parts, values = rest[: len(state)], rest[len(state) :]
        for name, value in zip(names, values, strict=True):
            owner, _, attribute = name.rpartition(".")
            module = cell.get_submodule(owner)
            module._parameters.pop(attribute, None)
            setattr(module, attribute, value)
        return cell.step(x, parts)

    assert torch.autograd.gradcheck(run, (x, *state, *weights))


@each_cell
def test_a_loaded_cell_is_a_copy(kind: type[Cell]) -> None:
    fused, inputs = made(kind, torch.float32, bidirectional=False)
    layer = RecurrentLayer.from_fused(fused)
    before, _ = layer(inputs, LENS)
    for weight in fused.parameters():
        nn.init.zeros_(weight)
    torch.testing.assert_close(layer(inputs, LENS)[0], before)


def test_an_open_forget_gate_and_a_shut_input_gate_keep_the_memory() -> None:
    cell = LSTMCell(INPUT, HIDDEN, forget_bias=100.0)
    nn.init.constant_(cell.input_gate.b, -100.0)
    c = torch.rand(1, HIDDEN)
    _, kept = cell.step(torch.randn(1, INPUT), (torch.zeros(1, HIDDEN), c))
    torch.testing.assert_close(kept, c)


def test_an_update_gate_at_one_keeps_the_state() -> None:
    cell = GRUCell(INPUT, HIDDEN, update_bias=100.0)
    h = torch.rand(1, HIDDEN)
    torch.testing.assert_close(cell.step(torch.randn(1, INPUT), (h,)), (h,))


def test_a_new_cell_has_the_forget_bias_and_orthogonal_recurrent_weights() -> None:
    cell = LSTMCell(INPUT, HIDDEN)
    assert cell.forget_gate.b.tolist() == [1.0] * HIDDEN
    torch.testing.assert_close(cell.candidate.U @ cell.candidate.U.T, torch.eye(HIDDEN))
    assert RNNCell(INPUT, HIDDEN).hidden.b.tolist() == [0.0] * HIDDEN


@pytest.mark.parametrize(
    "fused",
    [
        nn.LSTM(INPUT, HIDDEN, num_layers=2),
        nn.GRU(INPUT, HIDDEN, bias=False),
        nn.LSTM(INPUT, HIDDEN, proj_size=2),
        nn.RNN(INPUT, HIDDEN, nonlinearity="relu"),
    ],
    ids=["two layers", "no biases", "a projection", "relu"],
)
def test_what_the_cells_do_not_cover_is_refused(fused: nn.RNNBase) -> None:
    with pytest.raises(ValueError, match="expected one layer of RNN"):
        RecurrentLayer.from_fused(fused)
