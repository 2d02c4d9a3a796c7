"""The encoder: one function in two forms, and its dropout."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from training.config import RunConfig
from training.models.config import ModelConfig
from training.models.encoder import BatchNormEncoder, FusedEncoder, encoder

LENS = torch.tensor([6, 4, 1])
KINDS = [
    {"cell": cell, "bidirectional": both, "layers": layers}
    for cell, both, layers in itertools.product(("lstm", "gru", "rnn"), (True, False), (1, 3))
]


def fused(tiny: RunConfig, **settings: Any) -> FusedEncoder:
    torch.manual_seed(0)
    made = encoder(ModelConfig.model_validate(tiny.model.model_dump() | settings))
    assert isinstance(made, FusedEncoder)
    made.initialize()
    return made


@pytest.fixture
def embedded() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 6, 16)


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(str(one) for one in kind.values()))
def cells(request: pytest.FixtureRequest, tiny: RunConfig) -> FusedEncoder:
    return fused(tiny, **request.param)


def test_turning_rows_round_equals_packing_them(cells: FusedEncoder, embedded: Tensor) -> None:
    states = cells(embedded, LENS)
    assert states.shape == (3, 6, cells.states)
    torch.testing.assert_close(states, cells.packed(embedded, LENS))


def test_turning_rows_round_has_the_gradients_of_packing_them(cells: FusedEncoder, embedded: Tensor) -> None:
    def gradients(states: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(states.pow(2).sum(), list(cells.parameters())))

    for one, other in zip(gradients(cells(embedded, LENS)), gradients(cells.packed(embedded, LENS)), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_weights_from_state_to_state_start_orthogonal_gate_by_gate(tiny: RunConfig, cell: str) -> None:
    weight = fused(tiny, cell=cell).cells.weight_hh_l0
    assert isinstance(weight, Tensor)
    for gate in torch.split(weight, tiny.model.hidden):
        torch.testing.assert_close(gate @ gate.T, torch.eye(tiny.model.hidden), atol=1e-5, rtol=0)


def test_recurrent_normalization_has_an_encoder_of_its_own(tiny: RunConfig, embedded: Tensor) -> None:
    model = ModelConfig.model_validate(tiny.model.model_dump() | {"recurrent_norm": "batch", "layers": 2})
    made = encoder(model)
    assert isinstance(made, BatchNormEncoder)
    states = made(embedded, LENS)
    assert states.shape == (3, 6, made.states)
    assert not states[1, 4:].any()


def test_weight_dropout_hides_weights_and_no_state(
    tiny: RunConfig, embedded: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fused(tiny, weight_dropout=0.5)
    seen: list[list[Tensor]] = []
    kernel = torch.lstm

    def watched(values: Tensor, start: Any, weights: list[Tensor], *how: Any) -> Any:
        seen.append(weights)
        return kernel(values, start, weights, *how)

    monkeypatch.setattr(torch, "lstm", watched)
    states = made(embedded, LENS)
    assert len(seen) == 2
    for suffix, (weight_ih, weight_hh, *_) in zip(("", "_reverse"), seen, strict=True):
        raw = getattr(made.cells, f"weight_hh_l0{suffix}")
        kept = weight_hh != 0
        assert 0.3 < kept.float().mean() < 0.7
        torch.testing.assert_close(weight_hh[kept], 2 * raw[kept])
        assert weight_ih is getattr(made.cells, f"weight_ih_l0{suffix}")
    assert states[0].all()


def test_weights_dropped_from_one_batch_get_no_gradient_and_stay_as_they_were(
    tiny: RunConfig, embedded: Tensor
) -> None:
    made = fused(tiny, weight_dropout=0.5)
    raw = dict(made.cells.named_parameters())["weight_hh_l0"]
    before = raw.clone()
    (gradient,) = torch.autograd.grad(made(embedded, LENS).square().sum(), raw)
    assert 0.3 < gradient.eq(0).float().mean() < 0.7
    assert torch.equal(raw, before)


def test_every_dropout_is_off_out_of_training(tiny: RunConfig, embedded: Tensor) -> None:
    rates = {"weight_dropout": 0.5, "locked_dropout": 0.5, "layer_dropout": 0.5}
    made, plain = fused(tiny, layers=2, **rates), fused(tiny, layers=2)
    torch.testing.assert_close(made.eval()(embedded, LENS), plain.eval()(embedded, LENS), atol=0, rtol=0)


def test_locked_dropout_hides_a_unit_of_a_text_at_every_step(tiny: RunConfig, embedded: Tensor) -> None:
    states = fused(tiny, locked_dropout=0.5)(embedded, LENS)
    hidden = states[0] == 0  # [T, S]
    assert 0 < hidden[0].sum() < hidden.shape[1]
    assert torch.equal(hidden[:1].expand_as(hidden), hidden)


def test_layer_dropout_moves_only_what_the_next_layer_reads(tiny: RunConfig, embedded: Tensor) -> None:
    made = fused(tiny, layers=2, layer_dropout=0.5)
    assert not torch.equal(made(embedded, LENS), made(embedded, LENS))
    assert made(embedded, LENS)[0].all()
