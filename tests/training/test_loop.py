"""What one run of the loop does to its weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from tests.training.conftest import copied
from training import train
from training.config import LoopConfig, RunConfig
from training.finetune import depth_of
from training.loop import RecurrentTraining
from training.paths import RunPaths


def changed(config: RunConfig, **keys: Any) -> RunConfig:
    """Return the config for a run of one epoch, 12 steps, with other keys in its loop."""
    return config.model_copy(update={"loop": LoopConfig(**(config.loop.model_dump() | {"epochs": 1} | keys))})


def fitted(config: RunConfig, prepared: RunPaths, folder: Path) -> RecurrentTraining:
    paths = copied(prepared, folder)
    return train.fit_recurrent(train.new_network(config, paths), config, paths, resume=False)


def weights(training: RecurrentTraining) -> dict[str, Tensor]:
    return dict(training.branch.named_parameters())


def test_the_average_lags_behind_the_weights(tiny: RunConfig, prepared: RunPaths, tmp_path: Path) -> None:
    training = fitted(changed(tiny, ema_decay=0.9), prepared, tmp_path)
    averaged = dict(training.averaged.module.named_parameters())
    assert not torch.equal(averaged["head.weight"], weights(training)["head.weight"])


def test_without_a_decay_the_average_is_the_weights(tiny: RunConfig, prepared: RunPaths, tmp_path: Path) -> None:
    training = fitted(changed(tiny, ema_decay=0.0), prepared, tmp_path)
    for name, value in training.averaged.module.named_parameters():
        assert torch.equal(value, weights(training)[name]), name


class Gradients(RecurrentTraining):
    """Keeps the largest gradients that any step used."""

    norm, value = 0.0, 0.0

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        grads = [weight.grad for weight in self.branch.parameters() if weight.grad is not None]
        self.norm = max(self.norm, float(torch.cat([grad.flatten() for grad in grads]).norm()))
        self.value = max(self.value, *(float(grad.abs().max()) for grad in grads))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "RecurrentTraining", Gradients)


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize(
    ("keys", "figure", "wanted"),
    [
        pytest.param({"gradient_clip": 0.01}, "norm", 0.01, id="by norm"),
        pytest.param({"gradient_clip": 0.0, "gradient_clip_value": 0.002}, "value", 0.002, id="by value"),
    ],
)
def test_gradients_are_clipped_as_asked(
    tiny: RunConfig, prepared: RunPaths, tmp_path: Path, *, keys: dict[str, float], figure: str, wanted: float
) -> None:
    found = fitted(changed(tiny, **keys), prepared, tmp_path)
    assert getattr(found, figure) == pytest.approx(wanted, rel=1e-3)


@pytest.mark.usefixtures("watched")
def test_gradients_are_left_as_they_are_where_neither_clip_is_set(
    tiny: RunConfig, prepared: RunPaths, tmp_path: Path
) -> None:
    found = fitted(changed(tiny, gradient_clip=0.0), prepared, tmp_path)
    assert isinstance(found, Gradients)
    assert found.norm > 0.05
    assert found.value > 0.005


def moved(one: RecurrentTraining, other: RecurrentTraining) -> bool:
    return any(not torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def test_adversarial_training_changes_the_run_only_from_where_it_begins(
    tiny: RunConfig, prepared: RunPaths, tmp_path: Path
) -> None:
    plain = fitted(changed(tiny), prepared, tmp_path / "plain")
    late = fitted(changed(tiny, fgm_epsilon=0.5, fgm_from=0.999), prepared, tmp_path / "late")
    whole = fitted(changed(tiny, fgm_epsilon=0.5), prepared, tmp_path / "whole")
    assert not moved(plain, late)
    assert moved(plain, whole)


def test_half_precision_trains_weights_kept_in_full(tiny: RunConfig, prepared: RunPaths, tmp_path: Path) -> None:
    training = fitted(changed(tiny, precision="bf16", epochs=6), prepared, tmp_path)
    assert {value.dtype for value in weights(training).values()} == {torch.float32}
    assert training.dev_scores["tiny"].accuracy > 0.8


def test_a_plateau_on_dev_lowers_the_rate(tiny: RunConfig, prepared: RunPaths, tmp_path: Path) -> None:
    # A rate this small moves nothing: the looks after the second and the third epoch are idle ones.
    config = changed(tiny, epochs=4, schedule="plateau", plateau_factor=0.1, learning_rate=1e-9, warmup=0.0)
    training = fitted(config, prepared, tmp_path)
    rates = [group["lr"] for group in training.optimizers().param_groups]  # type: ignore[union-attr]
    assert rates == pytest.approx([1e-11] * len(rates), rel=1e-6, abs=0)


class Moved(Callback):
    """Notes at each epoch's end which parts have moved since the start."""

    def __init__(self) -> None:
        self.depths: list[set[int]] = []

    def on_train_start(self, _trainer: Any, module: Any) -> None:
        self._start = {name: weight.detach().clone() for name, weight in module.branch.named_parameters()}

    def on_train_epoch_end(self, _trainer: Any, module: Any) -> None:
        weights = dict(module.branch.named_parameters())
        self.depths.append({depth_of(name) for name in weights if not torch.equal(weights[name], self._start[name])})


def test_frozen_parts_do_not_move_until_their_epoch(tiny: RunConfig, prepared: RunPaths, tmp_path: Path) -> None:
    config, moved_parts = changed(tiny, epochs=3, unfreeze_epochs=1, weight_decay=0.1), Moved()
    paths = copied(prepared, tmp_path)
    train.fit_recurrent(train.new_network(config, paths), config, paths, resume=False, watchers=[moved_parts])
    assert moved_parts.depths == [{0}, {0, 1}, {0, 1, 2}]
