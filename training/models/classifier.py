"""The network that is packed: the two branches' logits, blended by shares that depend on a text's length alone."""

import math

import torch
from torch import Tensor, nn

from training.config import RunConfig
from training.models.masking import real
from training.models.ngrams import NgramBranch
from training.models.recurrent import RecurrentBranch

SHORT, LONG = 16, 256
"""Tokens up to which a text is short, and from which it is long; between them the share moves with the logarithm."""


class Classifier(nn.Module):
    """logits = (1 - s) * recurrent + s * n-grams, where s is the n-grams' share of a text of that length.

    The shares of short and of long texts are chosen on dev (`training.blend`): what order and context are worth grows
    with a text. Without an n-gram branch, the recurrent one's alone.
    """

    ngram_shares: Tensor

    def __init__(self, recurrent: RecurrentBranch, ngrams: NgramBranch | None) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.ngrams = ngrams
        self.register_buffer("ngram_shares", torch.tensor([0.5, 0.5] if ngrams is not None else [0.0, 0.0]))

    def forward(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return logits float32[B, C] for ids int64[B, T] and lens int64[B]."""
        return self._blended(self.recurrent(ids, lens), ids, lens)  # [B, C]

    def explained(self, ids: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits, and float32[B, T, C] of which the sum over tokens plus `bias` is the logits.

        Entry t is token t's additive share of each logit. The two share the LSTM, so that a graph of both runs it once.
        """
        states, mask = self.recurrent.encode(ids, lens), real(ids, lens)  # [B, T, S], [B, T]
        logits = self._blended(self.recurrent.logits(states, mask), ids, lens)  # [B, C]
        parts = self.recurrent.attribution(states, mask)  # [B, T, C]
        if self.ngrams is not None:
            share = self.ngram_share(lens).unsqueeze(2)  # [B, 1, 1]
            parts = (1 - share) * parts + share * self.ngrams.attribution(ids, lens)  # [B, T, C]
        return logits, parts

    def ngram_share(self, lens: Tensor) -> Tensor:
        """Return the n-grams' share float32[B, 1] of texts of `lens` int64[B] tokens."""
        length = (torch.log2(lens.to(torch.float32)) - math.log2(SHORT)) / math.log2(LONG / SHORT)  # [B]
        short, long = self.ngram_shares[0], self.ngram_shares[1]
        return (short + (long - short) * length.clamp(0.0, 1.0)).unsqueeze(1)  # [B, 1]

    def bias(self, lens: Tensor) -> Tensor:
        """Return the part of the logits that no token brings about, float32[B, C]."""
        bias = self.recurrent.bias.expand(len(lens), -1)  # [B, C]
        if self.ngrams is None:
            return bias
        share = self.ngram_share(lens)  # [B, 1]
        return (1 - share) * bias + share * self.ngrams.bias  # [B, C]

    def _blended(self, recurrent: Tensor, ids: Tensor, lens: Tensor) -> Tensor:
        if self.ngrams is None:
            return recurrent
        share = self.ngram_share(lens)  # [B, 1]
        ngrams: Tensor = self.ngrams(ids, lens)  # [B, C]
        return (1 - share) * recurrent + share * ngrams  # [B, C]


def build(config: RunConfig, vocab_size: int, pad_id: int) -> Classifier:
    """Make an untrained network of the config's sizes."""
    classes, model = len(config.labels), config.model
    ngrams = NgramBranch(model.ngram_orders, model.ngram_buckets, classes) if model.ngrams else None
    return Classifier(RecurrentBranch(model, vocab_size, classes, pad_id), ngrams)
