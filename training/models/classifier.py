"""The network that is packed: the two branches' logits, added with fixed weights."""

import torch
from torch import Tensor, nn

from training.config import RunConfig
from training.models.masking import real
from training.models.ngrams import NgramBranch
from training.models.recurrent import RecurrentBranch


class Classifier(nn.Module):
    """logits = recurrent_scale * recurrent + ngram_scale * n-grams, the scales chosen on dev (`training.blend`).

    Without an n-gram branch, the recurrent one's alone.
    """

    recurrent_scale: Tensor
    ngram_scale: Tensor

    def __init__(self, recurrent: RecurrentBranch, ngrams: NgramBranch | None) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.ngrams = ngrams
        self.register_buffer("recurrent_scale", torch.tensor(1.0))
        self.register_buffer("ngram_scale", torch.tensor(1.0))

    def forward(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return logits float32[B, C] for ids int64[B, T] and lens int64[B]."""
        logits: Tensor = self.recurrent_scale * self.recurrent(ids, lens)  # [B, C]
        return logits if self.ngrams is None else logits + self.ngram_scale * self.ngrams(ids, lens)  # [B, C]

    def explained(self, ids: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits, and float32[B, T, C] of which the sum over tokens plus `bias` is the logits.

        Entry t is token t's additive share of each logit. The two share the LSTM, so that a graph of both runs it once.
        """
        states, mask = self.recurrent.encode(ids, lens), real(ids, lens)  # [B, T, S], [B, T]
        logits = self.recurrent_scale * self.recurrent.logits(states, mask)  # [B, C]
        shares = self.recurrent_scale * self.recurrent.attribution(states, mask)  # [B, T, C]
        if self.ngrams is not None:
            logits = logits + self.ngram_scale * self.ngrams(ids, lens)  # [B, C]
            shares = shares + self.ngram_scale * self.ngrams.attribution(ids, lens)  # [B, T, C]
        return logits, shares

    @property
    def bias(self) -> Tensor:
        """The part of the logits that no token brings about, float32[C]."""
        bias = self.recurrent_scale * self.recurrent.bias  # [C]
        return bias if self.ngrams is None else bias + self.ngram_scale * self.ngrams.bias  # [C]


def build(config: RunConfig, vocab_size: int, pad_id: int) -> Classifier:
    """Make an untrained network of the config's sizes."""
    classes, model = len(config.labels), config.model
    ngrams = NgramBranch(model.ngram_orders, model.ngram_buckets, classes) if model.ngrams else None
    return Classifier(RecurrentBranch(model, vocab_size, classes, pad_id), ngrams)
