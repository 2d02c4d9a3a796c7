"""Recurrent cells under pooling and one linear head, so that the logits fall apart into tokens exactly.

Every pool is a sum over tokens, and with no hidden layer above it every logit is a sum of token shares. That sum is the
explanation, not an estimate of one.
"""

from typing import Any

import torch
from torch import Tensor, nn

from training.models.bigrams import BigramEmbedding
from training.models.config import ModelConfig
from training.models.dropout import LockedDropout
from training.models.encoder import encoder
from training.models.masking import real
from training.models.norms import input_norm, pooled_norm
from training.models.pooling import Pooling

# Where parameters stood in networks saved before encoder and pooling were modules of their own.
FORMER = {"lstm.": "encoder.cells.", "key.": "pooling.attention.key.", "query.": "pooling.attention.query."}


class RecurrentBranch(nn.Module):
    """Logits float32[B, C] of ids int64[B, T]; padding beyond lens int64[B] changes nothing."""

    def __init__(self, config: ModelConfig, vocab_size: int, classes: int, pad_id: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.embedding, padding_idx=pad_id)
        self.bigrams = BigramEmbedding(config.bigram_buckets, config.embedding) if config.bigram_buckets else None
        self.input_norm = input_norm(config.input_norm, config.embedding)
        self.embedding_dropout = LockedDropout(config.embedding_dropout)
        self.encoder = encoder(config)
        self.pooling = Pooling(config, self.encoder.states)
        self.pooled_norm = pooled_norm(config.pooled_norm, self.pooling.features)
        self.output_dropout = nn.Dropout(config.output_dropout)
        self.head = nn.Linear(self.pooling.features, classes)
        self._initialize()
        self.register_load_state_dict_pre_hook(_rename_former)  # type: ignore[no-untyped-call]

    def forward(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return logits float32[B, C]."""
        return self.logits(self.encode(ids, lens), real(ids, lens))  # [B, C]

    def embed(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return what the cells read, float32[B, T, E]."""
        embedded = self.embedding(ids)  # [B, T, E]
        if self.bigrams is not None:
            embedded = embedded + self.bigrams(ids)  # [B, T, E]
        normal = self.input_norm(embedded, real(ids, lens))  # [B, T, E]
        dropped: Tensor = self.embedding_dropout(normal)  # [B, T, E]
        return dropped

    def encode(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return the cells' outputs float32[B, T, S], zero beyond each row's end."""
        states: Tensor = self.encoder(self.embed(ids, lens), lens)  # [B, T, S]
        return states

    def pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return a text's features float32[B, F] from states float32[B, T, S]; mask bool[B, T] is true on tokens."""
        features: Tensor = self.pooled_norm(self.pooling(states, mask))  # [B, F]
        return features

    def logits(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return logits float32[B, C] of states float32[B, T, S], of which mask bool[B, T] says which are real."""
        logits: Tensor = self.head(self.output_dropout(self.pooled(states, mask)))  # [B, C]
        return logits.float()

    def attribution(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, T, C]: each token's share of `logits` without `bias`; ties for a maximum share it."""
        shares = self.pooled_norm.shares(self.pooling.shares(states, mask), self.pooling(states, mask))  # [B, T, F]
        return nn.functional.linear(shares, self.head.weight)  # [B, T, C]

    @property
    def bias(self) -> Tensor:
        """The part of the logits that no token brings about, float32[C]."""
        offset = self.pooled_norm.offset  # [F]
        return self.head.bias if offset is None else self.head(offset)  # [C]

    def _initialize(self) -> None:
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[self.embedding.padding_idx].zero_()
        self.encoder.initialize()
        if self.bigrams is not None:
            self.bigrams.initialize()


def _rename_former(_branch: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for former, name in FORMER.items():
        for key in [key for key in state if key.startswith(prefix + former)]:
            state[prefix + name + key.removeprefix(prefix + former)] = state.pop(key)
