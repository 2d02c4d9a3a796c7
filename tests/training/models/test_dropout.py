"""Dropout with one mask a text."""

import torch

from training.models.dropout import LockedDropout


def test_a_feature_is_dropped_at_every_step_or_at_none() -> None:
    torch.manual_seed(0)
    dropped = LockedDropout(0.5)(torch.ones(3, 5, 16)) == 0
    assert dropped.any()
    assert torch.equal(dropped[:, :1].expand_as(dropped), dropped)
    assert not torch.equal(dropped[0], dropped[1])


def test_what_is_kept_is_scaled_up() -> None:
    torch.manual_seed(0)
    assert set(LockedDropout(0.75)(torch.ones(3, 5, 16)).unique().tolist()) == {0.0, 4.0}


def test_nothing_is_dropped_out_of_training() -> None:
    values = torch.rand(2, 3, 4)
    assert torch.equal(LockedDropout(0.5).eval()(values), values)
