"""Dropout that keeps one mask over a whole text."""

from torch import Tensor, nn


class LockedDropout(nn.Module):
    """Drops whole features of a text, the same at each step (variational dropout: Gal and Ghahramani 2016)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        """Return float32[B, T, D], in training with features zeroed and the others scaled up."""
        if not self.training or self.rate == 0:
            return values
        keep = 1 - self.rate
        mask = values.new_empty(values.shape[0], 1, values.shape[2]).bernoulli_(keep) / keep  # [B, 1, D]
        return values * mask  # [B, T, D]

    def extra_repr(self) -> str:
        """Return what `print` shows between the brackets."""
        return f"rate={self.rate}"
