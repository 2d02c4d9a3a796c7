"""Normalization that padding cannot move and that explanations survive: of embeddings, and of the pooled vector."""

import torch
from torch import Tensor, nn

from training.models.config import Norm


class InputNorm(nn.Module):
    """No normalization of embeddings, and the form of those that do."""

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002 - the others' form
        """Return float32[B, T, E] for float32[B, T, E]; mask bool[B, T] is true on tokens."""
        return values  # [B, T, E]


class InputBatchNorm(InputNorm):
    """Batch normalization (Ioffe and Szegedy 2015) whose statistics are over tokens and never over padding."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(size)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, T, E]; what it holds in the padding means nothing."""
        if not self.training:
            return self.norm(values.flatten(0, 1)).view_as(values)  # type: ignore[no-any-return]  # [B, T, E]
        normal = _batch_norm(self.norm, values[mask])  # [tokens, E]
        return torch.zeros_like(values).masked_scatter(mask.unsqueeze(2), normal)  # [B, T, E]


class InputLayerNorm(InputNorm):
    """Layer normalization (Ba et al. 2016) of each token's vector."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002 - a token knows nothing of the others
        """Return float32[B, T, E]."""
        return self.norm(values)  # type: ignore[no-any-return]  # [B, T, E]


class PooledNorm(nn.Module):
    """No normalization of the pooled vector, and the form of those that do.

    What makes them fit for explanation: `forward(pooled)` is the sum over tokens of `shares` plus `offset`.
    """

    def forward(self, pooled: Tensor) -> Tensor:
        """Return float32[B, F] for float32[B, F]."""
        return pooled  # [B, F]

    def shares(self, shares: Tensor, pooled: Tensor) -> Tensor:  # noqa: ARG002 - the others' form
        """Return tokens' shares float32[B, T, F] of `forward(pooled)`, from those of pooled float32[B, F]."""
        return shares  # [B, T, F]

    @property
    def offset(self) -> Tensor | None:
        """What no token brings about, float32[F]."""
        return None


class PooledBatchNorm(PooledNorm):
    """Batch normalization: out of training an affine map, the same for every text."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(size)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return float32[B, F]."""
        return _batch_norm(self.norm, pooled)  # [B, F]

    def shares(self, shares: Tensor, pooled: Tensor) -> Tensor:  # noqa: ARG002 - its scale is no text's own
        """Return float32[B, T, F]."""
        return shares * self._scale  # [B, T, F]

    @property
    def offset(self) -> Tensor:
        """The shift less what the population's mean comes to, float32[F]."""
        return self.norm.bias - _buffer(self.norm.running_mean) * self._scale  # [F]

    @property
    def _scale(self) -> Tensor:
        return self.norm.weight * torch.rsqrt(_buffer(self.norm.running_var) + self.norm.eps)  # [F]


class PooledLayerNorm(PooledNorm):
    """Layer normalization: a text's mean is the sum of its tokens' means, and its deviation is one number for all."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return float32[B, F]."""
        return self.norm(pooled)  # type: ignore[no-any-return]  # [B, F]

    def shares(self, shares: Tensor, pooled: Tensor) -> Tensor:
        """Return float32[B, T, F]."""
        centred = pooled - pooled.mean(dim=1, keepdim=True)  # [B, F]
        scale = torch.rsqrt(centred.square().mean(dim=1, keepdim=True) + self.norm.eps)  # [B, 1]
        parts = shares - shares.mean(dim=2, keepdim=True)  # [B, T, F]
        return parts * scale.unsqueeze(2) * self.norm.weight  # [B, T, F]

    @property
    def offset(self) -> Tensor:
        """The shift, float32[F]."""
        return self.norm.bias  # [F]


def input_norm(kind: Norm, size: int) -> InputNorm:
    """Make the normalization of embeddings that the setting names."""
    return {"none": lambda _: InputNorm(), "batch": InputBatchNorm, "layer": InputLayerNorm}[kind](size)


def pooled_norm(kind: Norm, size: int) -> PooledNorm:
    """Make the normalization of the pooled vector that the setting names."""
    return {"none": lambda _: PooledNorm(), "batch": PooledBatchNorm, "layer": PooledLayerNorm}[kind](size)


def _batch_norm(norm: nn.BatchNorm1d, rows: Tensor) -> Tensor:
    """Normalize float32[N, F]; a single row has no variance and takes the population's."""
    if norm.training and len(rows) > 1:
        return norm(rows)  # type: ignore[no-any-return]  # [N, F]
    return nn.functional.batch_norm(rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def _buffer(found: Tensor | None) -> Tensor:
    if found is None:
        raise TypeError("This is a bug: a batch normalization keeps no statistics.")
    return found
