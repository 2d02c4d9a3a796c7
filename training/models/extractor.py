"""Which sentences stand for a document: a recurrent network over tokens, one over sentences, and terms for each.

The terms are those of SummaRuNNer (Nallapati et al. 2017): content, salience, position and novelty. Its novelty looks
at the summary as it was decided so far, sentence by sentence; here, at what the other three terms would have quoted
before a sentence, so that all are scored in one pass and the graph has no loop. A fifth term, where the config wants
it, is told what recurrent states hardly see, which words come again elsewhere: how like a sentence's words are to the
document's, to those of the first sentence, and to those of the likest sentence before it.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.extractive.config import NetworkConfig
from training.models.dropout import LockedDropout
from training.models.encoder import FusedEncoder
from training.models.masking import real

CHUNKS = 6
"""In training the rows of a batch are run in so many parts, near in length, for less padding."""
LIKENESSES = 4
RELATIVE = 10
"""Tenths of a document."""
NEVER = -1e4


class Read(NamedTuple):
    """What the token network makes of N sentences: features float32[N, F], and content float32[N, E] of length 1."""

    features: Tensor
    content: Tensor


class Extractor(nn.Module):
    """Logits of sentences; documents of a batch are rows, padding beyond their counts changes nothing."""

    def __init__(self, config: NetworkConfig, vocab_size: int, pad_id: int) -> None:
        super().__init__()
        features, states = 4 * config.hidden + 1, 2 * config.document_hidden
        self.embedding = nn.Embedding(vocab_size, config.embedding, padding_idx=pad_id)
        self.embedding_dropout = LockedDropout(config.embedding_dropout)
        self.tokens = FusedEncoder(config.cells(config.embedding, config.hidden))
        self.output_dropout = nn.Dropout(config.output_dropout)
        self.sentences = FusedEncoder(config.cells(features, config.document_hidden))
        self.importance = nn.Linear(config.embedding, 1) if config.likeness else None
        self.likeness = nn.Linear(LIKENESSES, 1) if config.likeness else None
        self.hidden = nn.Linear(states + features + (LIKENESSES if config.likeness else 0), states)
        self.content = nn.Linear(states, 1)
        self.document = nn.Linear(states, states)
        self.salience = nn.Linear(states, states, bias=False)
        self.novelty = nn.Linear(states, states, bias=False)
        self.positions = nn.Embedding(config.positions, 1)
        self.tenths = nn.Embedding(RELATIVE, 1)
        self._initialize()

    def forward(self, ids: Tensor, lens: Tensor, counts: Tensor) -> Tensor:
        """Return logits float32[B, S] of documents of counts int64[B] sentences each.

        ids int64[N, T] and lens int64[N] are the sentences of all documents, one after the other.
        """
        read = self.read_in_chunks(ids, lens)
        mask = torch.arange(int(counts.max()), device=counts.device) < counts.unsqueeze(1)  # [B, S]
        features = _padded(self.output_dropout(read.features), mask)  # [B, S, F]
        states = self.sentences(features, counts)  # [B, S, 2 H]
        return self.logits(features, states, _padded(read.content, mask), mask)  # [B, S]

    def one(self, ids: Tensor, lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores float32[S] and content float32[S, E] of one document's sentences: what is exported."""
        read = self.read(ids, lens)
        features = read.features.unsqueeze(0)  # [1, S, F]
        states, _ = self.sentences.cells(features)  # [1, S, 2 H]
        mask = torch.ones_like(lens).unsqueeze(0) > 0  # [1, S]
        logits = self.logits(features, states, read.content.unsqueeze(0), mask)  # [1, S]
        return torch.sigmoid(logits).squeeze(0), read.content

    def read(self, ids: Tensor, lens: Tensor) -> Read:
        """Read sentences int64[N, T] of lens int64[N] tokens, each for itself."""
        mask = real(ids, lens).unsqueeze(2)  # [N, T, 1]
        embedded = self.embedding(ids)  # [N, T, E]
        states = self.tokens(self.embedding_dropout(embedded), lens)  # [N, T, 2 H]
        tokens = lens.unsqueeze(1).to(states.dtype)  # [N, 1]
        mean = states.sum(dim=1) / tokens  # [N, 2 H]
        top = states.masked_fill(~mask, NEVER).amax(dim=1)  # [N, 2 H]
        length = torch.log1p(tokens) / 4  # [N, 1]
        weights = mask if self.importance is None else torch.sigmoid(self.importance(embedded)) * mask  # [N, T, 1]
        content = (embedded * weights).sum(dim=1) / tokens  # [N, E]
        return Read(torch.cat([mean, top, length], dim=1), functional.normalize(content, dim=1))

    def read_in_chunks(self, ids: Tensor, lens: Tensor) -> Read:
        """Return what `read` does, of sentences in any order, with less padding."""
        order = lens.argsort()  # [N]
        parts = [self.read(ids[at, : int(lens[at[-1]])], lens[at]) for at in order.chunk(CHUNKS)]
        back = order.argsort()  # [N]
        return Read(*(torch.cat(column)[back] for column in zip(*parts, strict=True)))

    def logits(self, features: Tensor, states: Tensor, content: Tensor, mask: Tensor) -> Tensor:
        """Return logits float32[B, S] of features [B, S, F], states [B, S, 2 H], content [B, S, E], mask bool[B, S]."""
        told = [states, features]
        likeness = likenesses(content, mask).to(features.dtype) if self.likeness is not None else None  # [B, S, L]
        hidden = torch.tanh(
            self.hidden(torch.cat(told if likeness is None else [*told, likeness], dim=2))
        )  # [B, S, 2 H]
        shown = mask.unsqueeze(2).to(hidden.dtype)  # [B, S, 1]
        counts = shown.sum(dim=1)  # [B, 1]
        document = torch.tanh(self.document((hidden * shown).sum(dim=1) / counts))  # [B, 2 H]
        places = torch.ones_like(mask, dtype=torch.int64).cumsum(dim=1) - 1  # [B, S]
        tenths = (places * RELATIVE // counts.to(torch.int64)).clamp(max=RELATIVE - 1)  # [B, S]
        first = self.content(hidden).squeeze(2)  # [B, S]
        first = first + (self.salience(hidden) * document.unsqueeze(1)).sum(dim=2)  # [B, S]
        first = first + self.positions(places.clamp(max=self.positions.num_embeddings - 1)).squeeze(2)  # [B, S]
        first = first + self.tenths(tenths).squeeze(2)  # [B, S]
        if self.likeness is not None:
            first = first + self.likeness(likeness).squeeze(2)  # [B, S]
        quoted = torch.sigmoid(first).unsqueeze(2) * hidden * shown  # [B, S, 2 H]
        before = torch.tanh(quoted.cumsum(dim=1) - quoted)  # [B, S, 2 H]
        logits: Tensor = first - (self.novelty(hidden) * before).sum(dim=2)  # [B, S]
        return logits

    def _initialize(self) -> None:
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[self.embedding.padding_idx].zero_()
        for table in (self.positions, self.tenths):
            nn.init.zeros_(table.weight)
        nn.init.constant_(self.content.bias, -2.0)
        for layer in (self.salience, self.novelty):
            nn.init.normal_(layer.weight, std=0.01)
        self.tokens.initialize()
        self.sentences.initialize()


def likenesses(content: Tensor, mask: Tensor) -> Tensor:
    """Return each sentence's cosines, float32[B, S, L]; mask bool[B, S] says where content float32[B, S, E] is.

    They are those with the whole document, with its other sentences in the mean, with the first one, and with the
    likest before it.
    """
    content = content.float()
    whole = functional.normalize(content.sum(dim=1, keepdim=True), dim=2)  # [B, 1, E]
    among = content @ content.transpose(1, 2)  # [B, S, S]
    counts = mask.sum(dim=1, keepdim=True).to(content.dtype)  # [B, 1]
    mean = (among.sum(dim=2) - 1) / (counts - 1).clamp(min=1)  # [B, S]
    places = torch.ones_like(mask, dtype=torch.int64).cumsum(dim=1)  # [B, S]
    earlier = places.unsqueeze(2) > places.unsqueeze(1)  # [B, S, S]
    before = (among * earlier).amax(dim=2)  # [B, S]
    return torch.stack([(content * whole).sum(dim=2), mean, among[:, :, 0], before], dim=2)  # [B, S, L]


def _padded(rows: Tensor, mask: Tensor) -> Tensor:
    """Lay rows [N, D] into [B, S, D] where mask bool[B, S] is true, zeros elsewhere."""
    room = rows.new_zeros(*mask.shape, rows.shape[1])  # [B, S, D]
    return room.masked_scatter(mask.unsqueeze(2), rows)  # [B, S, D]
