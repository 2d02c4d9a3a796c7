"""Embeddings of hashed token bigrams, to be added to those of tokens.

Where a token is a character, as in Chinese, a pair is often the word. The hash is that of `training.models.ngrams`,
inside the graph, so that serving needs no code for it; a table of buckets in place of a vocabulary is fastText's idea
(Joulin et al. 2017).
"""

import torch
from torch import Tensor, nn

from training.models.masking import shift_right
from training.models.ngrams import MULTIPLIERS, to_buckets

INITIAL_STD = 0.1


class BigramEmbedding(nn.Module):
    """Vectors float32[B, T, E], at each token that of the pair of the token before and itself."""

    def __init__(self, buckets: int, size: int) -> None:
        super().__init__()
        self.buckets = buckets
        self.table = nn.Embedding(buckets, size)
        self.widen: nn.Linear | None = None

    def forward(self, ids: Tensor) -> Tensor:
        """Return float32[B, T, E] for ids int64[B, T]; a text's first token is paired with id 0, the padding's."""
        mixed = shift_right(ids, 1) * MULTIPLIERS[0] + ids * MULTIPLIERS[1] + 2  # [B, T]
        vectors: Tensor = self.table(to_buckets(mixed, self.buckets))  # [B, T, E or R]
        return vectors if self.widen is None else self.widen(vectors)  # [B, T, E]

    def narrow(self, rank: int) -> None:
        """Make table and widening those of a rank, with weights yet to be loaded."""
        size = self.table.embedding_dim
        self.table = nn.Embedding(self.buckets, rank)
        self.widen = nn.Linear(rank, size, bias=False)

    def cut_to_rank(self, rank: int) -> None:
        """Replace the table by its nearest of a rank, as a product of two (Eckart and Young 1936).

        A trained table keeps the noise it began with in every direction, and what was learnt in a few.
        """
        with torch.no_grad():
            left, values, right = torch.linalg.svd(self.table.weight, full_matrices=False)  # [V, E], [E], [E, E]
            self.narrow(rank)
            self.table.weight.copy_(left[:, :rank] * values[:rank])
            if self.widen is not None:
                self.widen.weight.copy_(right[:rank].t())

    def initialize(self) -> None:
        """Draw small first vectors, as the tokens' are."""
        nn.init.normal_(self.table.weight, std=INITIAL_STD)
