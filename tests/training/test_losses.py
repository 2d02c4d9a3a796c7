"""What a batch costs, with classes that a row's set does not have."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from training.batches import Batch
from training.config import LoopConfig, RunConfig
from training.losses import batch_loss

ALL, BINARY = [True, True, True], [True, False, True]


def batch(labels: list[int], classes: list[list[bool]], soft: list[list[float]] | None = None) -> Batch:
    rows = len(labels)
    ids, lens = torch.ones(rows, 1, dtype=torch.int64), torch.ones(rows, dtype=torch.int64)
    taught = None if soft is None else torch.tensor(soft)
    return Batch(ids, lens, torch.tensor(labels), torch.tensor(classes), torch.ones(rows), taught)


def loop(tiny: RunConfig, **keys: Any) -> LoopConfig:
    return LoopConfig(**(tiny.loop.model_dump() | keys))


KINDS = [
    pytest.param({}, id="cross-entropy"),
    pytest.param({"label_smoothing": 0.1}, id="smoothed"),
    pytest.param({"loss": "focal"}, id="focal"),
    pytest.param({"loss": "focal", "label_smoothing": 0.1}, id="focal smoothed"),
    pytest.param({"distill_weight": 0.7}, id="distilled"),
    pytest.param({"distill_weight": 1.0, "distill_temperature": 2.0, "loss": "focal"}, id="distilled, focal"),
]


@pytest.mark.parametrize("keys", KINDS)
def test_a_binary_row_gives_no_gradient_to_neutral(tiny: RunConfig, keys: dict[str, Any]) -> None:
    logits = torch.tensor([[0.3, 5.0, -0.2], [0.3, 5.0, -0.2]], requires_grad=True)
    rows = batch([0, 1], [BINARY, ALL], [[0.2, 0.5, 0.3]] * 2)
    batch_loss(logits, rows, loop(tiny, **keys)).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 1] == 0
    assert logits.grad[0, 0] != 0
    assert logits.grad[1, 1] != 0


@pytest.mark.parametrize("keys", KINDS)
def test_the_loss_of_a_binary_row_is_that_of_its_two_classes(tiny: RunConfig, keys: dict[str, Any]) -> None:
    config = loop(tiny, **keys)
    masked = batch_loss(torch.tensor([[0.3, 5.0, -0.2]]), batch([2], [BINARY], [[0.3, 0.4, 0.3]]), config)
    two = batch_loss(torch.tensor([[0.3, -0.2]]), batch([1], [[True, True]], [[0.5, 0.5]]), config)
    torch.testing.assert_close(masked, two)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs_where_every_class_is_open(tiny: RunConfig, smoothing: float) -> None:
    logits = torch.tensor([[0.3, 5.0, -0.2], [1.0, 0.0, 2.0]])
    found = batch_loss(logits, batch([2, 0], [ALL] * 2), loop(tiny, label_smoothing=smoothing))
    wanted = functional.cross_entropy(logits, torch.tensor([2, 0]), label_smoothing=smoothing)
    torch.testing.assert_close(found, wanted)


def test_focal_loss_without_gamma_is_cross_entropy(tiny: RunConfig) -> None:
    logits, rows = torch.tensor([[0.3, 5.0, -0.2], [1.0, 0.0, 2.0]]), batch([2, 0], [ALL, BINARY])
    found = batch_loss(logits, rows, loop(tiny, loss="focal", focal_gamma=0.0, label_smoothing=0.1))
    torch.testing.assert_close(found, batch_loss(logits, rows, loop(tiny, label_smoothing=0.1)))


def test_focal_loss_is_the_papers_formula(tiny: RunConfig) -> None:
    right = torch.tensor(0.8)
    logits = torch.stack([right.log(), torch.tensor(0.2).log()]).unsqueeze(0)  # [1, 2]
    found = batch_loss(logits, batch([0], [[True, True]]), loop(tiny, loss="focal", focal_gamma=2.0))
    torch.testing.assert_close(found, -(0.2**2) * right.log())


def test_focal_loss_of_a_certain_row_has_a_finite_gradient(tiny: RunConfig) -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    batch_loss(logits, batch([0], [ALL]), loop(tiny, loss="focal", focal_gamma=0.5)).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_weights_weigh_rows(tiny: RunConfig) -> None:
    logits = torch.tensor([[0.3, 5.0, -0.2], [1.0, 0.0, 2.0]])
    rows = batch([2, 0], [ALL] * 2)
    heavy = batch_loss(logits, rows._replace(weights=torch.tensor([1.0, 0.0])), loop(tiny))
    torch.testing.assert_close(heavy, batch_loss(logits[:1], batch([2], [ALL]), loop(tiny)))


def soft_wanted(logits: Tensor, soft: Tensor, temperature: float) -> Tensor:
    return -(soft * (logits / temperature).log_softmax(dim=1)).sum(dim=1).mean() * temperature**2


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_distilled_batch_weighs_labels_against_the_teacher(tiny: RunConfig, temperature: float) -> None:
    logits, soft = torch.tensor([[0.3, 5.0, -0.2], [1.0, 0.0, 2.0]]), torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    config = loop(tiny, distill_weight=0.75, distill_temperature=temperature)
    found = batch_loss(logits, batch([2, 0], [ALL] * 2, soft.tolist()), config)
    hard = functional.cross_entropy(logits, torch.tensor([2, 0]))
    torch.testing.assert_close(found, 0.25 * hard + 0.75 * soft_wanted(logits, soft, temperature))


def test_a_row_without_teacher_is_taught_by_its_label_alone(tiny: RunConfig) -> None:
    logits, config = torch.tensor([[0.3, 5.0, -0.2]]), loop(tiny, distill_weight=0.75)
    found = batch_loss(logits, batch([2], [ALL], [[0.0, 0.0, 0.0]]), config)
    torch.testing.assert_close(found, batch_loss(logits, batch([2], [ALL]), config))


def test_the_loss_of_half_precision_logits_is_computed_in_full(tiny: RunConfig) -> None:
    logits = torch.tensor([[0.3, 5.0, -0.2]]).bfloat16()
    found = batch_loss(logits, batch([2], [ALL]), loop(tiny))
    assert found.dtype == torch.float32
