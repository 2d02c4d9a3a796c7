"""A linear model over hashed token n-grams, hashed inside the graph so that serving needs no code for it.

What a bag of n-grams knows and a recurrent network is slow to learn: Wang and Manning 2012, "Baselines and Bigrams";
the hashing is that of fastText (Joulin et al. 2017). It has one row of class weights a bucket and nothing above it,
so it is exactly logistic regression, and can be fitted as that (see `training.linear`).
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.models.masking import real, shift_left, shift_right

# Odd 31-bit constants: ids below 2^17 times one of them, summed over a few tokens, stay far inside int64.
MULTIPLIERS = (2_038_074_743, 1_640_531_527, 1_540_483_477, 1_099_511_627)
# Products differ in their high bits first; this shift brings them down to where the modulus looks.
SHIFT = 2**15


def bucket_ids(ids: NDArray[np.integer[Any]], order: int, buckets: int) -> NDArray[np.int64]:
    """Return the buckets int64[T - order + 1] of one text's n-grams of `order` tokens, as the graph computes them."""
    windows = np.lib.stride_tricks.sliding_window_view(ids.astype(np.int64), order)  # [T - order + 1, order]
    mixed = windows @ np.array(MULTIPLIERS[:order], dtype=np.int64) + order  # [T - order + 1]
    hashed: NDArray[np.int64] = (mixed // SHIFT + mixed) % buckets  # [T - order + 1]
    return hashed


def to_buckets(mixed: Tensor, buckets: int) -> Tensor:
    """Return the buckets int64[B, T] of sums int64[B, T] of ids times `MULTIPLIERS`, plus the order."""
    # Nothing here is negative, so cutting off is rounding down, which is one node in ONNX.
    return (torch.div(mixed, SHIFT, rounding_mode="trunc") + mixed) % buckets  # [B, T]


class NgramBranch(nn.Module):
    """Logits float32[B, C] = bias + sum of the weights of a text's n-grams / sqrt(its tokens)."""

    def __init__(self, orders: tuple[int, ...], buckets: int, classes: int) -> None:
        super().__init__()
        if max(orders) > len(MULTIPLIERS):
            raise ValueError(f"ngram_orders = {orders}: expected orders up to {len(MULTIPLIERS)}")
        self.orders = orders
        self.buckets = buckets
        self.table = nn.Embedding(buckets, classes)
        nn.init.zeros_(self.table.weight)
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return logits float32[B, C] for ids int64[B, T] and lens int64[B]."""
        total = torch.stack([self._grams(ids, lens, order).sum(dim=1) for order in self.orders])  # [O, B, C]
        return total.sum(dim=0) / _scale(lens) + self.bias  # [B, C]

    def attribution(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return float32[B, T, C]: each token's share of the logits without bias, an n-gram's split evenly."""
        total = torch.zeros_like(self._grams(ids, lens, 1))  # [B, T, C]
        for order in self.orders:
            share = self._grams(ids, lens, order) / order  # [B, T, C]
            for step in range(order):
                total = total + shift_right(share, step)  # [B, T, C]
        return total / _scale(lens).unsqueeze(1)  # [B, T, C]

    def _grams(self, ids: Tensor, lens: Tensor, order: int) -> Tensor:
        """Return the weights float32[B, T, C] of the n-grams that start at each token, zero where none fits."""
        mixed = torch.full_like(ids, order)  # [B, T]
        for step in range(order):
            mixed = mixed + shift_left(ids, step) * MULTIPLIERS[step]  # [B, T]
        hashed = to_buckets(mixed, self.buckets)  # [B, T]
        fits = real(ids, lens - (order - 1)).unsqueeze(2)  # [B, T, 1]
        weights: Tensor = self.table(hashed)  # [B, T, C]
        return weights * fits.to(weights.dtype)  # [B, T, C]


def _scale(lens: Tensor) -> Tensor:
    return lens.to(torch.float32).sqrt().unsqueeze(1)  # [B, 1]
