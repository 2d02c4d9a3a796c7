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
    """logits = (1 - s) * recurrent + s * n-grams + bias, where s is the n-grams' share in a text of that length.

    The shares of short and of long texts are chosen on dev (`training.blend`): what order and context are worth grows
    with a text. The bias, which no token brings about, is the same for all lengths. Without an n-gram branch, the
    recurrent one's alone.
    """

    ngram_shares: Tensor

    def __init__(self, recurrent: RecurrentBranch, ngrams: NgramBranch | None) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.ngrams = ngrams
        self.register_buffer("ngram_shares", torch.tensor([0.5, 0.5] if ngrams is not None else [0.0, 0.0]))

    def forward(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return logits float32[B, C] for ids int64[B, T] and lens int64[B]."""
        recurrent: Tensor = self.recurrent(ids, lens)  # [B, C]
        return recurrent if self.ngrams is None else self.blended(recurrent, self.ngrams(ids, lens), lens)  # [B, C]

    def explained(self, ids: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits, and float32[B, T, C] of which the sum over tokens plus `bias` is the logits.

        Entry t is token t's additive share of each logit. The two share the LSTM, so that a graph of both runs it once.
        """
        states, mask = self.recurrent.encode(ids, lens), real(ids, lens)  # [B, T, S], [B, T]
        logits = self.recurrent.logits(states, mask)  # [B, C]
        parts = self.recurrent.attribution(states, mask)  # [B, T, C]
        if self.ngrams is not None:
            logits = self.blended(logits, self.ngrams(ids, lens), lens)  # [B, C]
            share = self.ngram_share(lens).unsqueeze(2)  # [B, 1, 1]
            parts = (1 - share) * parts + share * self.ngrams.attribution(ids, lens)  # [B, T, C]
        return logits, parts

    def ngram_share(self, lens: Tensor) -> Tensor:
        """Return the n-grams' share float32[B, 1] of texts of `lens` int64[B] tokens."""
        length = (torch.log2(lens.to(torch.float32)) - math.log2(SHORT)) / math.log2(LONG / SHORT)  # [B]
        short, long = self.ngram_shares[0], self.ngram_shares[1]
        return (short + (long - short) * length.clamp(0.0, 1.0)).unsqueeze(1)  # [B, 1]

    def blended(self, recurrent: Tensor, ngrams: Tensor, lens: Tensor) -> Tensor:
        """Return the logits float32[B, C] that both branches' logits float32[B, C] make."""
        share = self.ngram_share(lens)  # [B, 1]
        weighed = (1 - share) * (recurrent - self.recurrent.bias) + share * (ngrams - self._ngram_bias)  # [B, C]
        return weighed + self.bias  # [B, C]

    @property
    def bias(self) -> Tensor:
        """The part of the logits that no token brings about, float32[C]: the branches' biases by their mean share."""
        if self.ngrams is None:
            return self.recurrent.bias
        share = self.ngram_shares.mean()
        return (1 - share) * self.recurrent.bias + share * self._ngram_bias  # [C]

    @property
    def _ngram_bias(self) -> Tensor:
        if self.ngrams is None:
            raise AttributeError("This is a bug: the network has no n-gram branch")
        return self.ngrams.bias


def build(config: RunConfig, vocab_size: int, pad_id: int) -> Classifier:
    """Make an untrained network of the config's sizes."""
    classes, model = len(config.labels), config.model
    ngrams = NgramBranch(model.ngram_orders, model.ngram_buckets, classes) if model.ngrams else None
    return Classifier(RecurrentBranch(model, vocab_size, classes, pad_id), ngrams)
