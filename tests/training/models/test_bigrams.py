"""Embeddings of hashed bigrams."""

import numpy as np
import torch

from training.models.bigrams import BigramEmbedding
from training.models.ngrams import bucket_ids


def test_a_pair_has_the_bucket_that_the_ngram_branch_gives_it() -> None:
    bigrams = BigramEmbedding(64, 3)
    ids = [7, 65_535, 2, 9]
    wanted = bigrams.table(torch.from_numpy(bucket_ids(np.array(ids), 2, 64)))
    torch.testing.assert_close(bigrams(torch.tensor([ids]))[0, 1:], wanted)


def test_the_first_token_is_paired_with_the_padding() -> None:
    bigrams = BigramEmbedding(64, 3)
    torch.testing.assert_close(bigrams(torch.tensor([[7, 2]]))[:, 0], bigrams(torch.tensor([[0, 7]]))[:, 1])
