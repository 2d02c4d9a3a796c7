"""The network that is packed: the two branches' logits, added with fixed weights."""

import torch
from torch import Tensor, nn

from training.config import RunConfig
from training.models.masking import real
from training.models.ngrams import NgramBranch
from training.models.recurrent import RecurrentBranch


class Classifier(nn.Module):
    """logits = recurrent_scale * recurrent + ngram_scale * n-grams, the scales chosen on dev (`training.blend`)."""

    recurrent_scale: Tensor
    ngram_scale: Tensor

    def __init__(self, recurrent: RecurrentBranch, ngrams: NgramBranch) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.ngrams = ngrams
        self.register_buffer("recurrent_scale", torch.tensor(1.0))
        self.register_buffer("ngram_scale", torch.tensor(1.0))

    def forward(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return logits float32[B, C] for ids int64[B, T] and lens int64[B]."""
        return self._add(self.recurrent(ids, lens), self.ngrams(ids, lens))  # [B, C]

    def explained(self, ids: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits, and float32[B, T, C] of which the sum over tokens plus `bias` is the logits.

        Entry t is token t's additive share of each logit. The two share the LSTM, so that a graph of both runs it once.
        """
        states, mask = self.recurrent.encode(ids, lens), real(ids, lens)  # [B, T, S], [B, T]
        logits = self._add(self.recurrent.logits(states, mask), self.ngrams(ids, lens))  # [B, C]
        shares = self._add(self.recurrent.attribution(states, mask), self.ngrams.attribution(ids, lens))  # [B, T, C]
        return logits, shares

    def _add(self, recurrent: Tensor, ngrams: Tensor) -> Tensor:
        return self.recurrent_scale * recurrent + self.ngram_scale * ngrams

    @property
    def bias(self) -> Tensor:
        """The part of the logits that no token brings about, float32[C]."""
        return self._add(self.recurrent.head.bias, self.ngrams.bias)  # [C]


def build(config: RunConfig, vocab_size: int, pad_id: int) -> Classifier:
    """Make an untrained network of the config's sizes."""
    classes = len(config.labels)
    return Classifier(
        RecurrentBranch(config.model, vocab_size, classes, pad_id),
        NgramBranch(config.model.ngram_orders, config.model.ngram_buckets, classes),
    )
