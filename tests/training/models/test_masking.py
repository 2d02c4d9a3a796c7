"""Rows turned round within their own lengths."""

import torch

from training.models.masking import turn

LENS = torch.tensor([4, 2, 1])
VALUES = torch.arange(3 * 4 * 2).view(3, 4, 2)


def test_a_row_is_read_from_its_own_end_and_padding_stays() -> None:
    rows = turn(VALUES, LENS)
    assert torch.equal(rows[0], VALUES[0].flip(0))
    assert torch.equal(rows[1], VALUES[1, [1, 0, 2, 3]])
    assert torch.equal(rows[2], VALUES[2])


def test_turning_twice_changes_nothing() -> None:
    assert torch.equal(turn(turn(VALUES, LENS), LENS), VALUES)
