"""A bidirectional LSTM under three poolings and one linear head, so that its logits fall apart into tokens exactly.

Pooling is max, mean and additive attention (Bahdanau et al. 2015) side by side; each is a weighted sum over tokens, and
with no hidden layer above it every logit is a sum of token shares. That sum is the explanation, not an estimate of one.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from training.config import ModelConfig
from training.models.masking import real

# Below any LSTM output (they lie in -1..1), and finite: minus infinity times a zero mask would be NaN.
NEVER_MAX = -2.0
NO_ATTENTION = -1e4


class RecurrentBranch(nn.Module):
    """Logits float32[B, C] of ids int64[B, T]; padding beyond lens int64[B] changes nothing."""

    def __init__(self, config: ModelConfig, vocab_size: int, classes: int, pad_id: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.embedding, padding_idx=pad_id)
        self.lstm = nn.LSTM(config.embedding, config.hidden, batch_first=True, bidirectional=True)
        self.states = 2 * config.hidden
        self.key = nn.Linear(self.states, config.attention)
        self.query = nn.Linear(config.attention, 1, bias=False)
        self.head = nn.Linear(3 * self.states, classes)
        self.embedding_dropout = config.embedding_dropout
        self.output_dropout = nn.Dropout(config.output_dropout)
        self._initialize()

    def forward(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return logits float32[B, C]."""
        return self.logits(self.encode(ids, lens), real(ids, lens))  # [B, C]

    def logits(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return logits float32[B, C] of states float32[B, T, S], of which mask bool[B, T] says which are real."""
        peak = _covered(states, mask).amax(dim=1)  # [B, S]
        mean = (states * _even(mask)).sum(dim=1)  # [B, S]
        attended = (states * self._weights(states, mask)).sum(dim=1)  # [B, S]
        pooled = torch.cat([peak, mean, attended], dim=1)  # [B, 3S]
        logits: Tensor = self.head(self.output_dropout(pooled))  # [B, C]
        return logits

    def attribution(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return float32[B, T, C]: each token's share of `logits` without bias; ties for a maximum share it."""
        covered = _covered(states, mask)  # [B, T, S]
        attains = (covered == covered.amax(dim=1, keepdim=True)).to(states.dtype)  # [B, T, S]
        peak = states * attains / attains.sum(dim=1, keepdim=True)  # [B, T, S]
        shares = torch.cat([peak, states * _even(mask), states * self._weights(states, mask)], dim=2)  # [B, T, 3S]
        return nn.functional.linear(shares, self.head.weight)  # [B, T, C]

    def encode(self, ids: Tensor, lens: Tensor) -> Tensor:
        """Return the LSTM's outputs float32[B, T, S], zero beyond each row's end."""
        embedded = self._drop(self.embedding(ids))  # [B, T, E]
        if torch.onnx.is_in_onnx_export():
            return self.encode_packed(embedded, lens)  # [B, T, S]
        return self.encode_turned(embedded, lens)  # [B, T, S]

    def encode_packed(self, embedded: Tensor, lens: Tensor) -> Tensor:
        """Return float32[B, T, S] by way of packed sequences: the form that exports as one LSTM node.

        Torch wants the rows longest first; the exported node takes them in any order.
        """
        packed = pack_padded_sequence(embedded, lens.cpu(), batch_first=True)
        outputs, _ = self.lstm(packed)
        states, _ = pad_packed_sequence(outputs, batch_first=True, total_length=embedded.shape[1])
        return states  # [B, T, S]

    def encode_turned(self, embedded: Tensor, lens: Tensor) -> Tensor:
        """Return the same float32[B, T, S] by turning each row round within its own length.

        Five times faster to train on a CPU: over packed rows of unequal lengths torch steps through time in Python's
        sight, each step's gradient filling a tensor as large as the batch, while a plain one-way LSTM is one kernel.
        A row's padding comes after its last token both ways, so it changes nothing before it.
        """
        places = torch.arange(embedded.shape[1], device=lens.device).expand(len(lens), -1)  # [B, T]
        mask = places < lens.unsqueeze(1)  # [B, T]
        turned = torch.where(mask, lens.unsqueeze(1) - 1 - places, places)  # [B, T]
        there = self._one_way(embedded, "")  # [B, T, H]
        back = _pick(self._one_way(_pick(embedded, turned), "_reverse"), turned)  # [B, T, H]
        return torch.cat([there, back], dim=2) * mask.unsqueeze(2)  # [B, T, S]

    def _one_way(self, embedded: Tensor, suffix: str) -> Tensor:
        weights = [
            getattr(self.lstm, f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        start = embedded.new_zeros(1, embedded.shape[0], self.lstm.hidden_size)  # [1, B, H]
        # In order: biases, layers, dropout, training, both ways, batch first.
        outputs, _, _ = torch.lstm(embedded, (start, start), weights, True, 1, 0.0, self.training, False, True)
        return outputs  # [B, T, H]

    def _drop(self, embedded: Tensor) -> Tensor:
        """Drop whole embedding dimensions of a text, the same at each step (Gal and Ghahramani 2016)."""
        if not self.training or self.embedding_dropout == 0:
            return embedded
        keep = 1 - self.embedding_dropout
        mask = torch.empty(embedded.shape[0], 1, embedded.shape[2]).bernoulli_(keep) / keep  # [B, 1, E]
        return embedded * mask.to(embedded)  # [B, T, E]

    def _weights(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return attention float32[B, T, 1]; it sums to one over a row's tokens and is zero on padding."""
        scores: Tensor = self.query(torch.tanh(self.key(states)))  # [B, T, 1]
        return scores.masked_fill(~mask.unsqueeze(2), NO_ATTENTION).softmax(dim=1)  # [B, T, 1]

    def _initialize(self) -> None:
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[self.embedding.padding_idx].zero_()
        for name, weight in self.lstm.named_parameters():
            if name.startswith("weight_hh"):
                for gate in weight.chunk(4):
                    nn.init.orthogonal_(gate)
            elif name.startswith("weight_ih"):
                nn.init.xavier_uniform_(weight)
            else:
                nn.init.zeros_(weight)
                if name.startswith("bias_ih"):
                    # An open forget gate at the start: Jozefowicz et al. 2015.
                    nn.init.ones_(weight.data[self.lstm.hidden_size : 2 * self.lstm.hidden_size])


def _covered(states: Tensor, mask: Tensor) -> Tensor:
    return states.masked_fill(~mask.unsqueeze(2), NEVER_MAX)  # [B, T, S]


def _even(mask: Tensor) -> Tensor:
    counted = mask.to(torch.float32)  # [B, T]
    return (counted / counted.sum(dim=1, keepdim=True)).unsqueeze(2)  # [B, T, 1]


def _pick(values: Tensor, places: Tensor) -> Tensor:
    """Return values [B, T, D] in the order of places int64[B, T] within each row."""
    rows, steps, _ = values.shape
    flat = (places + steps * torch.arange(rows, device=places.device).unsqueeze(1)).flatten()  # [B * T]
    return values.flatten(0, 1).index_select(0, flat).view_as(values)  # [B, T, D]
