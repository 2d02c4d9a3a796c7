"""Padding, kept out of every answer: masks and shifts over int64[B, T] ids and their lens."""

import torch
from torch import Tensor


def real(ids: Tensor, lens: Tensor) -> Tensor:
    """Return bool[B, T], true where ids int64[B, T] holds one of the row's lens int64[B] tokens."""
    positions = torch.ones_like(ids).cumsum(dim=1)  # [B, T], 1-based
    return positions <= lens.unsqueeze(1)  # [B, T]


def shift_left(values: Tensor, steps: int) -> Tensor:
    """Return values [B, T, ...] moved `steps` towards the start, zeros coming in at the end."""
    if steps == 0:
        return values
    return torch.cat([values[:, steps:], torch.zeros_like(values[:, :steps])], dim=1)  # [B, T, ...]


def shift_right(values: Tensor, steps: int) -> Tensor:
    """Return values [B, T, ...] moved `steps` towards the end, zeros coming in at the start."""
    if steps == 0:
        return values
    return torch.cat([torch.zeros_like(values[:, :steps]), values[:, :-steps]], dim=1)  # [B, T, ...]
