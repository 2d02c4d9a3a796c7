"""An encoder and a decoder that attends, copies and remembers what it has covered (See et al. 2017).

The decoder has two layers around the attention, as in Wu et al. 2016: the lower one reads the summary so far and asks,
the upper one reads what the question found. Neither needs what the other will find, so each runs over all steps of a
training batch in one call. What has been attended to lowers a position's score; only that goes step by step, over
[B, S] numbers, because the products of question and keys are there for all steps beforehand.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.config import ModelConfig
from training.models.encoder import FusedEncoder
from training.models.masking import real
from training.summarize.config import PointerConfig

PARTS = 4
"""Of a state: hidden and cell of the lower layer, then of the upper one."""
FAR = -1e9


class Source(NamedTuple):
    """A batch of read sources.

    memory float32[B, S, D], what attention brings back; keys float32[B, S, A], what it looks for; state
    float32[B, 4 D], where the decoder starts; mask bool[B, S], true where there is a token.
    """

    memory: Tensor
    keys: Tensor
    state: Tensor
    mask: Tensor


class Decoded(NamedTuple):
    """What the decoder makes of T steps.

    features float32[B, T, E] for the output layer; gates float32[B, T], the logit of writing against copying; attention
    float32[B, T, S]; coverage float32[B, T, S], the sum of attention before each step.
    """

    features: Tensor
    gates: Tensor
    attention: Tensor
    coverage: Tensor


class PointerGenerator(nn.Module):
    """The network; source, summary and output share one embedding (Press and Wolf 2017)."""

    def __init__(self, config: PointerConfig, vocab_size: int, pad_id: int) -> None:
        super().__init__()
        width = config.decoder
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.embedding, padding_idx=pad_id)
        self.encoder = FusedEncoder(_reader(config))
        self.memory = nn.Linear(2 * config.hidden, width)
        self.keys = nn.Linear(2 * config.hidden, config.attention, bias=False)
        self.bridge = nn.Linear(2 * config.hidden + config.embedding, PARTS * width)
        self.lower = nn.LSTM(config.embedding, width, batch_first=True)
        self.query = nn.Linear(width, config.attention)
        self.wear = nn.Linear(width, 1)
        self.upper = nn.LSTM(2 * width, width, batch_first=True)
        self.output = nn.Linear(2 * width, config.embedding)
        self.gate = nn.Linear(2 * width + config.embedding, 1)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self._initialize()

    def read(self, ids: Tensor, lens: Tensor, kinds: Tensor) -> Source:
        """Read sources int64[B, S] of lens int64[B], each to be summed up as its kind's token id int64[B] says."""
        drop, kind = self.config, self.embedding(kinds)  # [B, E]
        embedded = functional.dropout(self.embedding(ids), drop.embedding_dropout, self.training)  # [B, S, E]
        states = self.encoder(embedded + kind.unsqueeze(1), lens)  # [B, S, 2 H]
        states = functional.dropout(states, drop.encoder_dropout, self.training)  # [B, S, 2 H]
        half = drop.hidden
        last = states.gather(1, (lens - 1).view(-1, 1, 1).expand(-1, 1, 2 * half)).squeeze(1)  # [B, 2 H]
        ends = torch.cat([last[:, :half], states[:, 0, half:], kind], dim=1)  # [B, 2 H + E]
        return Source(self.memory(states), self.keys(states), self.bridge(ends).tanh(), real(ids, lens))

    def forward(self, ids: Tensor, lens: Tensor, kinds: Tensor, inputs: Tensor) -> Decoded:
        """Return what all steps of inputs int64[B, T], the summary moved by one, make of sources int64[B, S]."""
        return self.decode(self.read(ids, lens, kinds), inputs)

    def decode(self, source: Source, inputs: Tensor) -> Decoded:
        """Run all steps of inputs int64[B, T] over read sources."""
        drop = self.config
        hidden, cell, upper_hidden, upper_cell = (
            part.unsqueeze(0).contiguous() for part in source.state.chunk(PARTS, dim=1)
        )
        embedded = functional.dropout(self.embedding(inputs), drop.embedding_dropout, self.training)  # [B, T, E]
        asked, _ = self.lower(embedded, (hidden, cell))  # [B, T, D]
        asked = functional.dropout(asked, drop.output_dropout, self.training)  # [B, T, D]
        attention, coverage = self._attend(source, asked)  # [B, T, S], [B, T, S]
        context = attention @ source.memory.to(attention.dtype)  # [B, T, D]
        found, _ = self.upper(torch.cat([asked, context], dim=2), (upper_hidden, upper_cell))  # [B, T, D]
        found = torch.cat(
            [functional.dropout(found, drop.output_dropout, self.training), context], dim=2
        )  # [B, T, 2 D]
        features = functional.dropout(self.output(found).tanh(), drop.output_dropout, self.training)  # [B, T, E]
        gates = self.gate(torch.cat([found, embedded], dim=2)).squeeze(2)  # [B, T]
        return Decoded(features, gates.float(), attention, coverage)

    def _attend(self, source: Source, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Return attention and the coverage before it, float32[B, T, S] each, for the lower states [B, T, D]."""
        scores = self.scores(asked, source.keys)  # [B, T, S]
        scores = scores.masked_fill(~source.mask.unsqueeze(1), FAR)  # [B, T, S]
        wear = self.worn(asked)  # [B, T, 1]
        covered = torch.zeros_like(scores[:, 0])  # [B, S]
        attention, coverage = [], []
        for step_scores, step_wear in zip(scores.unbind(1), wear.unbind(1), strict=True):
            coverage.append(covered)
            now = torch.softmax(step_scores - step_wear * covered, dim=1)  # [B, S]
            attention.append(now)
            covered = covered + now  # [B, S]
        return torch.stack(attention, dim=1), torch.stack(coverage, dim=1)

    def scores(self, asked: Tensor, keys: Tensor) -> Tensor:
        """Return how well keys [B, S, A] answer the lower states [B, T, D], float32[B, T, S]."""
        asking = self.query(asked) * self.config.attention**-0.5  # [B, T, A]
        found: Tensor = asking @ keys.transpose(1, 2).to(asking.dtype)  # [B, T, S]
        return found.float()  # [B, T, S]

    def worn(self, asked: Tensor) -> Tensor:
        """Return by how much a unit of coverage lowers a score, float32[B, T, 1], never below zero."""
        return functional.softplus(self.wear(asked).float())  # [B, T, 1]

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits [..., V] of writing each token, for features [..., E]."""
        return functional.linear(features, self.embedding.weight, self.bias)  # [..., V]

    def _initialize(self) -> None:
        nn.init.normal_(self.embedding.weight, std=self.config.embedding**-0.5)
        with torch.no_grad():
            if self.embedding.padding_idx is not None:
                self.embedding.weight[self.embedding.padding_idx].zero_()
        self.encoder.initialize()
        for cells in (self.lower, self.upper):
            for name, weight in cells.named_parameters():
                if name.startswith("weight_hh"):
                    for gate in weight.chunk(4):
                        nn.init.orthogonal_(gate)
                elif name.startswith("weight_ih"):
                    nn.init.xavier_uniform_(weight)
                else:
                    nn.init.zeros_(weight)
                    if name.startswith("bias_ih"):
                        # An open forget gate at the start: Jozefowicz et al. 2015.
                        nn.init.ones_(weight.data[cells.hidden_size : 2 * cells.hidden_size])


def _reader(config: PointerConfig) -> ModelConfig:
    return ModelConfig(
        embedding=config.embedding,
        hidden=config.hidden,
        attention=1,
        ngrams=False,
        word_dropout=0.0,
        embedding_dropout=0.0,
        output_dropout=0.0,
    )
