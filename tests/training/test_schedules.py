"""The learning rate, at steps worked out by hand."""

from typing import Any

import pytest
import torch

from training.config import LoopConfig, RunConfig
from training.schedules import Schedule, share_at


def loop(tiny: RunConfig, **keys: Any) -> LoopConfig:
    table = tiny.loop.model_dump() | {"epochs": 5, "warmup": 0.1} | keys
    return LoopConfig(**table)


@pytest.mark.parametrize("schedule", ["constant", "step", "exponential", "cosine", "plateau"])
def test_a_rate_rises_evenly_over_the_warm_up_to_its_peak(tiny: RunConfig, schedule: str) -> None:
    config = loop(tiny, schedule=schedule, final_rate=0.1 if schedule == "exponential" else 0.0)
    assert [share_at(step, 100, config) for step in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        pytest.param({"schedule": "constant"}, {50: 1.0, 99: 1.0}, id="constant stays"),
        # Five epochs of 20 steps: the third begins at step 40, the fifth at 80.
        pytest.param(
            {"schedule": "step", "step_epochs": 2, "step_factor": 0.3},
            {39: 1.0, 40: 0.3, 79: 0.3, 80: 0.09},
            id="step falls every second epoch",
        ),
        pytest.param(
            {"schedule": "exponential", "final_rate": 0.01}, {55: 0.1, 100: 0.01}, id="exponential is half way in logs"
        ),
        pytest.param({"schedule": "cosine"}, {40: 0.75, 55: 0.5, 100: 0.0}, id="cosine to nothing"),
        pytest.param({"schedule": "cosine", "final_rate": 0.2}, {55: 0.6, 100: 0.2}, id="cosine to a floor"),
        pytest.param({"schedule": "plateau"}, {50: 1.0, 99: 1.0}, id="plateau stays until dev says otherwise"),
    ],
)
def test_a_schedule_has_its_formulas_values(tiny: RunConfig, keys: dict[str, Any], wanted: dict[int, float]) -> None:
    config = loop(tiny, **keys)
    assert {step: share_at(step, 100, config) for step in wanted} == pytest.approx(wanted, abs=1e-9)


def test_one_cycle_is_torchs(tiny: RunConfig) -> None:
    config = loop(tiny, schedule="one_cycle", warmup=0.3, one_cycle_start=0.1, final_rate=0.01)
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.9)
    # Torch counts its total to the last step, ours to the end of it.
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=101, pct_start=31 / 101, div_factor=10, final_div_factor=10
    )
    for step in range(100):
        assert share_at(step, 100, config) == pytest.approx(torchs.get_last_lr()[0], abs=1e-9), step
        optimizer.step()
        torchs.step()


def test_plateau_shrinks_after_more_idle_looks_than_its_patience(tiny: RunConfig) -> None:
    schedule = Schedule(loop(tiny, schedule="plateau", plateau_patience=1, plateau_factor=0.25), 100)
    rates = []
    for score in (0.5, 0.6, 0.6, 0.55, 0.7, 0.1, 0.1):
        schedule.look(score)
        rates.append(schedule(50))
    assert rates == [1.0, 1.0, 1.0, 0.25, 0.25, 0.25, 0.0625]


def test_plateau_goes_on_from_its_state(tiny: RunConfig) -> None:
    config = loop(tiny, schedule="plateau", plateau_patience=1)
    begun, resumed = Schedule(config, 100), Schedule(config, 100)
    for score in (0.6, 0.5):
        begun.look(score)
    resumed.load_state_dict(begun.state_dict())
    resumed.look(0.5)
    assert resumed(50) == 0.5


def test_no_other_schedule_looks_at_dev(tiny: RunConfig) -> None:
    schedule = Schedule(loop(tiny, schedule="constant"), 100)
    for score in (0.6, 0.5, 0.4):
        schedule.look(score)
    assert schedule(50) == 1.0
