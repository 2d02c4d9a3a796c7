"""From states to one vector a text, in ways that are all sums over tokens, so that each token's share is known.

A pool's vector is the sum of its shares over tokens, exactly. Padding has no share.
"""

import math

import torch
from torch import Tensor, nn

from training.models.config import ModelConfig, Pool
from training.models.masking import shift_left, shift_right

# Below every state, also when dropout has scaled it up, and finite: minus infinity times a zero mask would be NaN.
NEVER = -1e4


class MeanPool(nn.Module):
    """The mean over tokens; also the form of the other pools."""

    def __init__(self, states: int) -> None:
        super().__init__()
        self.features = states

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, F] for states float32[B, T, S], of which mask bool[B, T] says which are tokens'."""
        return self.shares(states, mask).sum(dim=1)  # [B, F]

    def shares(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, T, F], which sums to `forward` over tokens."""
        counted = mask.to(states.dtype)  # [B, T]
        return states * (counted / counted.sum(dim=1, keepdim=True)).unsqueeze(2)  # [B, T, S]


class MaxPool(MeanPool):
    """Each feature's maximum over tokens; tokens that tie for it share it."""

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, S]."""
        return _covered(states, mask).amax(dim=1)  # [B, S]

    def shares(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, T, S]."""
        covered = _covered(states, mask)  # [B, T, S]
        attains = (covered == covered.amax(dim=1, keepdim=True)).to(states.dtype)  # [B, T, S]
        return states * attains / attains.sum(dim=1, keepdim=True)  # [B, T, S]


class LastPool(MeanPool):
    """Where each direction ends: the state of the last token forwards, and of the first backwards."""

    def __init__(self, states: int, *, bidirectional: bool) -> None:
        super().__init__(states)
        self.bidirectional = bidirectional

    def shares(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, T, S]."""
        real = mask.to(states.dtype).unsqueeze(2)  # [B, T, 1]
        last = real - shift_left(real, 1)  # [B, T, 1]
        if not self.bidirectional:
            return states * last  # [B, T, S]
        first = real * (1 - shift_right(real, 1))  # [B, T, 1]
        there, back = states.chunk(2, dim=2)  # [B, T, H] each
        return torch.cat([there * last, back * first], dim=2)  # [B, T, S]


class AttentionPool(MeanPool):
    """A mean weighted by additive attention (Bahdanau et al. 2015) to one learned query."""

    def __init__(self, states: int, size: int) -> None:
        super().__init__(states)
        self.key = nn.Linear(states, size)
        self.query = nn.Linear(size, 1, bias=False)

    def shares(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, T, S]."""
        return states * self.weights(states, mask)  # [B, T, S]

    def weights(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return attention float32[B, T, 1]; it sums to one over a row's tokens and is zero on padding."""
        return _softmax(self.query(torch.tanh(self.key(states))), mask)  # [B, T, 1]


class MultiheadPool(MeanPool):
    """Several weighted means side by side, each by the scaled dot product with a learned query of its own.

    Self-attentive sentence embedding (Lin et al. 2017) with the scores of Vaswani et al. 2017. Each head reads keys of
    its own and takes whole states for values: a projection of them would be undone by the linear head above.
    """

    def __init__(self, states: int, size: int, heads: int) -> None:
        super().__init__(heads * states)
        self.heads = heads
        self.key = nn.Linear(states, size)
        self.query = nn.Parameter(torch.empty(heads, size // heads).normal_())

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, heads * S]."""
        weights = self.weights(states, mask)  # [B, T, heads]
        return torch.matmul(weights.transpose(1, 2), states).flatten(1)  # [B, heads * S]

    def shares(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, T, heads * S]."""
        weights = self.weights(states, mask)  # [B, T, heads]
        return (weights.unsqueeze(3) * states.unsqueeze(2)).flatten(2)  # [B, T, heads * S]

    def weights(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return attention float32[B, T, heads]; each head's sums to one over a row's tokens and is zero on padding."""
        keys = torch.stack(self.key(states).chunk(self.heads, dim=2), dim=2)  # [B, T, heads, D]
        scores = (keys * self.query).sum(dim=3) / math.sqrt(self.query.shape[1])  # [B, T, heads]
        return _softmax(scores, mask)  # [B, T, heads]


class Pooling(nn.ModuleDict):
    """The pools that the settings name, side by side in their order."""

    def __init__(self, config: ModelConfig, states: int) -> None:
        pools: dict[str, MeanPool] = {kind: _pool(kind, config, states) for kind in config.pooling}
        super().__init__(pools)
        self.features = sum(pool.features for pool in pools.values())

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, F] for states float32[B, T, S], of which mask bool[B, T] says which are tokens'."""
        return torch.cat([pool(states, mask) for pool in self.values()], dim=1)  # [B, F]

    def shares(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return each token's share of `forward`, float32[B, T, F]; their sum over tokens is `forward`."""
        return torch.cat([pool.shares(states, mask) for pool in self.values()], dim=2)  # type: ignore[operator]  # [B, T, F]


def _pool(kind: Pool, config: ModelConfig, states: int) -> MeanPool:
    match kind:
        case "last":
            return LastPool(states, bidirectional=config.bidirectional)
        case "max":
            return MaxPool(states)
        case "mean":
            return MeanPool(states)
        case "attention":
            return AttentionPool(states, config.attention)
        case "multihead":
            return MultiheadPool(states, config.attention, config.heads or 1)


def _covered(states: Tensor, mask: Tensor) -> Tensor:
    return states.masked_fill(~mask.unsqueeze(2), NEVER)  # [B, T, S]


def _softmax(scores: Tensor, mask: Tensor) -> Tensor:
    # In float32 whatever the precision of training: a sum of many small bfloat16 numbers is off by per cents.
    return scores.float().masked_fill(~mask.unsqueeze(2), NEVER).softmax(dim=1)  # [B, T, heads]
