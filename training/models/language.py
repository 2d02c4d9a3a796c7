"""A language model both ways over the encoder's own embedding and cells, so that a classifier can start from it.

One layer reads on and predicts the next token, the other reads back and predicts the one before (Dai and Le 2015;
Peters et al. 2018). Input and output share one embedding (Press and Wolf 2017), and the softmax is sampled: a full one
over 16,000 entries costs several times what the cells do.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class SampledSoftmax(nn.Module):
    """Cross-entropy of the target against K negatives that a whole batch shares (Jean et al. 2015).

    Negatives are drawn without replacement by the tokens' counts to the power of 0.75 (Mikolov et al. 2013), and each
    logit is lowered by the logarithm of its token's chance to be drawn. What the network then learns is the full
    distribution, though the loss, which tells the token from K others and not from all, is smaller than the full one.
    """

    proposal: Tensor
    log_chance: Tensor

    def __init__(self, counts: Tensor, negatives: int, power: float = 0.75) -> None:
        super().__init__()
        weights = counts.to(torch.float64) ** power * (counts > 0)  # [V]
        weights = weights / weights.sum()  # [V]
        self.negatives = min(negatives, int((weights > 0).sum()))
        chance = -torch.expm1(-weights * self.negatives)  # [V]
        self.register_buffer("proposal", weights.to(torch.float32))
        self.register_buffer("log_chance", chance.clamp_min(1e-9).log().to(torch.float32))

    def forward(self, states: Tensor, targets: Tensor, table: Tensor, bias: Tensor) -> Tensor:
        """Return losses float32[N] of states float32[N, E] for targets int64[N]; output table float32[V, E]."""
        ids = torch.multinomial(self.proposal, self.negatives)  # [K]
        noise = functional.linear(states, table[ids], bias[ids] - self.log_chance[ids])  # [N, K]
        # A negative that is the target itself would be counted against it. Looked up, as comparing costs N times K.
        places = torch.full_like(self.log_chance, -1, dtype=torch.int64)  # [V]
        places[ids] = torch.arange(len(ids), device=ids.device)
        drawn = places[targets]  # [N]
        rows = (drawn >= 0).nonzero().squeeze(1)
        noise = noise.index_put((rows, drawn[rows]), noise.new_tensor(-torch.inf))  # [N, K]
        wanted = functional.embedding(targets, table)  # [N, E]
        hit = (states * wanted).float().sum(dim=1) + bias[targets] - self.log_chance[targets]  # [N]
        return torch.logaddexp(torch.logsumexp(noise, dim=1).float(), hit) - hit  # [N]


class LanguageModel(nn.Module):
    """Predicts each token of a window from those before it and, where it has a second reader, from those after it."""

    def __init__(self, embedding: nn.Embedding, readers: Sequence[nn.RNNBase], softmax: SampledSoftmax) -> None:
        super().__init__()
        self.embedding = embedding
        self.readers = nn.ModuleList(readers)
        self.softmax = softmax
        self.projections = nn.ModuleList(nn.Linear(one.hidden_size, embedding.embedding_dim) for one in readers)
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))

    def forward(self, windows: Tensor, dropout: float) -> Tensor:
        """Return the mean loss in nats a prediction, over all readers, of windows int64[B, T] without padding."""
        losses = []
        for way, ids in enumerate(self._readings(windows)):
            embedded = functional.dropout(self.embedding(ids[:, :-1]), dropout, self.training)  # [B, T - 1, E]
            read = functional.dropout(self.readers[way](embedded)[0], dropout, self.training)  # [B, T - 1, H]
            states = self.projections[way](read).flatten(0, 1)  # [N, E]
            losses.append(self.softmax(states, ids[:, 1:].flatten(), self.embedding.weight, self.bias).mean())
        return torch.stack(losses).mean()

    def losses(self, windows: Tensor) -> list[Tensor]:
        """Return each reader's loss in nats by the full softmax, summed over windows int64[B, T]."""
        found = []
        for way, ids in enumerate(self._readings(windows)):
            states = self.projections[way](self.readers[way](self.embedding(ids[:, :-1]))[0])  # [B, T - 1, E]
            logits = functional.linear(states, self.embedding.weight, self.bias)  # [B, T - 1, V]
            found.append(functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="sum"))
        return found

    def _readings(self, windows: Tensor) -> list[Tensor]:
        return [windows, windows.flip(1)][: len(self.readers)]
