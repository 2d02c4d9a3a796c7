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


def turn(values: Tensor, lens: Tensor) -> Tensor:
    """Return values [B, T, D] with each row turned round within its own lens int64[B]; padding stays in its place."""
    rows, steps, _ = values.shape
    places = torch.arange(steps, device=values.device).expand(rows, -1)  # [B, T]
    turned = torch.where(places < lens.unsqueeze(1), lens.unsqueeze(1) - 1 - places, places)  # [B, T]
    # Over flat rows, index_select is several times faster backwards than gather over [B, T, D].
    flat = (turned + steps * torch.arange(rows, device=values.device).unsqueeze(1)).flatten()  # [B * T]
    return values.flatten(0, 1).index_select(0, flat).view_as(values)  # [B, T, D]
