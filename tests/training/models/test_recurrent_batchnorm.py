"""Batch normalization within the recurrence: what enters the statistics, and what they do."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from training.models.recurrent_batchnorm import EPSILON, BatchNormLSTM, BatchNormLSTMCell, StepNorm

INPUT, HIDDEN, MAX_STEPS = 3, 4, 6
LENS = torch.tensor([5, 2, 3, 2])


@pytest.fixture
def inputs() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(4, 5, INPUT)


@pytest.fixture(params=[False, True], ids=["one way", "both ways"])
def layer(request: pytest.FixtureRequest) -> BatchNormLSTM:
    torch.manual_seed(0)
    return BatchNormLSTM(INPUT, HIDDEN, request.param, MAX_STEPS)


def neutral(layer: BatchNormLSTM) -> BatchNormLSTM:
    """Make every normalization the identity, as it stands after `eval()`."""
    for norm in layer.modules():
        if isinstance(norm, StepNorm):
            nn.init.ones_(norm.gain)
            norm.variance.fill_(1 - EPSILON)
    return layer.eval()


def statistics(layer: BatchNormLSTM) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in layer.named_buffers()}


def test_with_neutral_normalizations_it_is_torchs_lstm(inputs: Tensor, layer: BatchNormLSTM) -> None:
    neutral(layer)
    torchs = nn.LSTM(INPUT, HIDDEN, batch_first=True, bidirectional=layer.back is not None)
    for cell, suffix in ((layer.there, "_l0"), (layer.back, "_l0_reverse")):
        if cell is not None:
            weights = {"weight_ih": cell.weight_ih, "weight_hh": cell.weight_hh, "bias_ih": cell.bias}
            for name, weight in weights.items():
                getattr(torchs, name + suffix).data.copy_(weight)
            nn.init.zeros_(getattr(torchs, "bias_hh" + suffix))
    packed = pack_padded_sequence(inputs, LENS, batch_first=True, enforce_sorted=False)
    wanted, _ = pad_packed_sequence(torchs(packed)[0], batch_first=True)
    torch.testing.assert_close(layer(inputs, LENS), wanted)


def test_a_training_step_is_the_papers_equations_on_rows_of_one_length(inputs: Tensor) -> None:
    torch.manual_seed(0)
    cell = BatchNormLSTMCell(INPUT, HIDDEN, MAX_STEPS)
    nn.init.normal_(cell.norm_c.shift)  # type: ignore[arg-type]
    found = cell(inputs, torch.full((4,), 5))

    def normal(values: Tensor, norm: StepNorm) -> Tensor:
        return nn.functional.batch_norm(values, None, None, norm.gain, norm.shift, training=True)

    h = c = torch.zeros(4, HIDDEN)
    for at in range(5):
        read = normal(inputs[:, at] @ cell.weight_ih.T, cell.norm_x)
        i, f, g, o = (normal(h @ cell.weight_hh.T, cell.norm_h) + read + cell.bias).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * normal(c, cell.norm_c).tanh()
        torch.testing.assert_close(found[:, at], h)


@pytest.mark.parametrize("training", [True, False], ids=["training", "judging"])
def test_padding_changes_neither_states_nor_statistics(inputs: Tensor, layer: BatchNormLSTM, training: bool) -> None:  # noqa: FBT001
    mask = torch.arange(5) < LENS.unsqueeze(1)
    scribbled = torch.where(mask.unsqueeze(2), inputs, 100.0)
    longer = torch.cat([scribbled, torch.full((4, 2, INPUT), -50.0)], dim=1)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    wanted = layer.train(training)(inputs, LENS)
    kept = statistics(layer)
    layer.load_state_dict(before)
    found = layer(longer, LENS)
    torch.testing.assert_close(found[:, :5], wanted)
    assert not found[:, 5:].any()
    assert not found[:, :5][~mask].any()
    torch.testing.assert_close(statistics(layer), kept)


def test_padding_gets_no_gradient(inputs: Tensor, layer: BatchNormLSTM) -> None:
    inputs.requires_grad_()
    layer(inputs, LENS).square().sum().backward()
    assert inputs.grad is not None
    mask = torch.arange(5) < LENS.unsqueeze(1)
    assert not inputs.grad[~mask].any()
    assert inputs.grad[mask].abs().sum(dim=1).gt(0).any()


def test_the_order_of_rows_changes_nothing(inputs: Tensor, layer: BatchNormLSTM) -> None:
    order = torch.tensor([2, 0, 3, 1])
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    wanted = layer(inputs, LENS)
    kept = statistics(layer)
    layer.load_state_dict(before)
    torch.testing.assert_close(layer(inputs[order], LENS[order]), wanted[order])
    torch.testing.assert_close(statistics(layer), kept)


@pytest.mark.parametrize("row", range(4))
def test_when_judging_a_row_is_the_same_alone_and_in_a_batch(inputs: Tensor, layer: BatchNormLSTM, row: int) -> None:
    for _ in range(3):
        layer(inputs, LENS)
    layer.eval()
    size = int(LENS[row])
    alone = layer(inputs[row : row + 1, :size], LENS[row : row + 1])
    torch.testing.assert_close(layer(inputs, LENS)[row : row + 1, :size], alone)


def test_judging_leaves_the_statistics_alone_and_training_does_not(inputs: Tensor, layer: BatchNormLSTM) -> None:
    before = statistics(layer)
    judged = layer.eval()(inputs, LENS)
    torch.testing.assert_close(statistics(layer), before)
    trained = layer.train()(inputs, LENS)
    assert not torch.equal(layer.there.norm_x.mean, before["there.norm_x.mean"])
    assert not torch.allclose(trained, judged)


def test_the_first_batchs_statistics_are_those_of_the_rows_that_reach_a_step(inputs: Tensor) -> None:
    norm = StepNorm(INPUT, MAX_STEPS, shift=False)
    norm(inputs, torch.arange(5) < LENS.unsqueeze(1))
    reached = {0: [0, 1, 2, 3], 1: [0, 1, 2, 3], 2: [0, 2]}
    for step, rows in reached.items():
        torch.testing.assert_close(norm.mean[step], inputs[rows, step].mean(dim=0))
        torch.testing.assert_close(norm.variance[step], inputs[rows, step].var(dim=0))
    assert norm.support.tolist() == [3, 3, 1, 0, 0, 0]


def test_a_batch_weighs_as_much_as_the_rows_it_brings() -> None:
    norm = StepNorm(1, 1, shift=False)
    for values in (torch.tensor([1.0, 3.0]), torch.tensor([5.0, 7.0, 9.0])):
        norm(values.view(-1, 1, 1), torch.ones(len(values), 1, dtype=torch.bool))
    # One degree of freedom, decayed to 0.9, beside two new ones.
    torch.testing.assert_close(norm.mean, torch.tensor([[(0.9 * 2 + 2 * 7) / 2.9]]))
    torch.testing.assert_close(norm.variance, torch.tensor([[(0.9 * 2 + 2 * 4) / 2.9]]))


def test_a_step_that_one_row_reaches_takes_the_populations_statistics() -> None:
    norm = StepNorm(2, 3, shift=False)
    values = torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(0))
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    alone = norm(values, torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(dict(norm.named_buffers()), before)
    torch.testing.assert_close(norm.eval()(values, torch.ones(1, 3, dtype=torch.bool)), alone)


def test_steps_beyond_those_seen_are_judged_by_the_last_one_seen() -> None:
    torch.manual_seed(0)
    norm = StepNorm(2, 3, shift=False)
    norm(5 + torch.randn(4, 2, 2), torch.ones(4, 2, dtype=torch.bool))
    values = torch.randn(1, 1, 2).expand(1, 7, 2)
    judged = norm.eval()(values, torch.ones(1, 7, dtype=torch.bool))[0]
    torch.testing.assert_close(judged[2:], judged[1].expand(5, 2))
    assert not torch.allclose(judged[0], judged[1])


def test_steps_beyond_the_last_kept_are_normalized_but_not_remembered() -> None:
    torch.manual_seed(0)
    norm = StepNorm(2, 3, shift=False)
    values, mask = torch.randn(4, 5, 2), torch.ones(4, 5, dtype=torch.bool)
    normal = norm(values, mask)
    assert norm.mean.shape == (3, 2)
    torch.testing.assert_close(normal[:, 4].mean(dim=0), torch.zeros(2))
    torch.testing.assert_close(norm.mean, values[:, :3].mean(dim=0))


def test_gradients_flow_through_the_statistics() -> None:
    torch.manual_seed(0)
    layer = BatchNormLSTM(2, 3, True, 4).double()
    inputs = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    # Two rows at each step: a single one would take the population's statistics, which the calls before have moved.
    lens = torch.tensor([4, 2, 4])
    names = [name for name, _ in layer.named_parameters()]

    def run(values: Tensor, *weights: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (values, lens))
        return out

    assert torch.autograd.gradcheck(run, (inputs, *layer.parameters()))


def test_no_steps_to_keep_is_refused() -> None:
    with pytest.raises(ValueError, match="max_steps = 0: expected at least 1"):
        BatchNormLSTM(INPUT, HIDDEN, False, 0)
