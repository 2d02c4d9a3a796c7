"""Loss and learning rate."""

import math

import pytest
import torch

from training.batches import Batch
from training.loop import learning_rate_at, masked_loss


def batch(labels: list[int], classes: list[list[bool]]) -> Batch:
    rows = len(labels)
    ids, lens = torch.ones(rows, 1, dtype=torch.int64), torch.ones(rows, dtype=torch.int64)
    return Batch(ids, lens, torch.tensor(labels), torch.tensor(classes), torch.ones(rows))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_binary_row_gives_no_gradient_to_neutral(smoothing: float) -> None:
    logits = torch.tensor([[0.3, 5.0, -0.2], [0.3, 5.0, -0.2]], requires_grad=True)
    masked_loss(logits, batch([0, 1], [[True, False, True], [True, True, True]]), smoothing).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert logits.grad[0, 0] != 0
    assert logits.grad[1, 1] != 0


def test_the_loss_of_a_binary_row_is_that_of_its_two_classes() -> None:
    logits = torch.tensor([[0.3, 5.0, -0.2]])
    found = masked_loss(logits, batch([2], [[True, False, True]]), 0.0)
    wanted = torch.nn.functional.cross_entropy(torch.tensor([[0.3, -0.2]]), torch.tensor([1]))
    torch.testing.assert_close(found, wanted)


def test_label_smoothing_is_torchs_where_every_class_is_open() -> None:
    logits = torch.tensor([[0.3, 5.0, -0.2], [1.0, 0.0, 2.0]])
    found = masked_loss(logits, batch([2, 0], [[True] * 3] * 2), 0.1)
    wanted = torch.nn.functional.cross_entropy(logits, torch.tensor([2, 0]), label_smoothing=0.1)
    torch.testing.assert_close(found, wanted)


def test_weights_weigh_rows() -> None:
    logits = torch.tensor([[0.3, 5.0, -0.2], [1.0, 0.0, 2.0]])
    rows = batch([2, 0], [[True] * 3] * 2)
    heavy = masked_loss(logits, rows._replace(weights=torch.tensor([1.0, 0.0])), 0.0)
    first = masked_loss(logits[:1], batch([2], [[True] * 3]), 0.0)
    torch.testing.assert_close(heavy, first)


def test_the_rate_rises_over_the_warm_up_and_falls_to_zero() -> None:
    rates = [learning_rate_at(step, 100, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert math.isclose(rates[100], 0.0, abs_tol=1e-9)
