"""Rates and thawing by part."""

from typing import Any

import pytest
import torch

from training.config import LoopConfig, RunConfig
from training.finetune import depth_of, groups, thaw
from training.models.recurrent import RecurrentBranch


@pytest.fixture
def branch(tiny: RunConfig) -> RecurrentBranch:
    return RecurrentBranch(tiny.model, vocab_size=11, classes=3, pad_id=0)


def loop(tiny: RunConfig, **keys: Any) -> LoopConfig:
    return LoopConfig(**(tiny.loop.model_dump() | keys))


def test_every_part_of_a_branch_has_a_depth_and_every_depth_a_part(branch: RecurrentBranch) -> None:
    depths = {name: depth_of(name) for name, _ in branch.named_parameters()}
    assert depths["head.weight"] == depths["pooling.attention.key.weight"] == 0
    assert depths["embedding.weight"] == 2
    assert {depth for name, depth in depths.items() if name.startswith("encoder.")} == {1}
    assert set(depths.values()) == {0, 1, 2}


def test_rates_fall_with_depth_and_biases_do_not_decay(tiny: RunConfig, branch: RecurrentBranch) -> None:
    found = groups(branch.named_parameters(), loop(tiny, learning_rate=0.1, layer_decay=0.5, weight_decay=0.3))
    rate = {id(weight): group["lr"] for group in found for weight in group["params"]}
    decay = {id(weight): group["weight_decay"] for group in found for weight in group["params"]}
    for name, weight in branch.named_parameters():
        assert rate[id(weight)] == pytest.approx(0.1 * 0.5 ** depth_of(name)), name
        assert decay[id(weight)] == (0.0 if weight.ndim == 1 else 0.3), name
    assert found[0]["lr"] == 0.1


@pytest.mark.parametrize(("epoch", "learning"), [(0, {0}), (1, {0}), (2, {0, 1}), (3, {0, 1}), (4, {0, 1, 2})])
def test_parts_thaw_from_the_head_down(
    tiny: RunConfig, branch: RecurrentBranch, epoch: int, learning: set[int]
) -> None:
    thaw(branch.named_parameters(), epoch, loop(tiny, unfreeze_epochs=2))
    assert {depth_of(name) for name, weight in branch.named_parameters() if weight.requires_grad} == learning


def test_a_frozen_part_gets_no_gradient(tiny: RunConfig, branch: RecurrentBranch) -> None:
    thaw(branch.named_parameters(), 0, loop(tiny, unfreeze_epochs=1))
    branch(torch.tensor([[2, 3]]), torch.tensor([2])).sum().backward()
    assert {depth_of(name) for name, weight in branch.named_parameters() if weight.grad is not None} == {0}
