"""Embeddings of hashed bigrams."""

import numpy as np
import pytest
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


def test_a_table_of_low_rank_survives_the_cut_to_it() -> None:
    torch.manual_seed(4)
    bigrams = BigramEmbedding(64, 6)
    with torch.no_grad():
        bigrams.table.weight.copy_(torch.randn(64, 2) @ torch.randn(2, 6))
    ids = torch.tensor([[3, 9, 4], [7, 7, 1]])
    before = bigrams(ids)
    bigrams.cut_to_rank(2)
    assert bigrams.table.weight.shape == (64, 2)
    assert torch.allclose(bigrams(ids), before, atol=1e-5)


def test_a_cut_drops_the_least_of_the_table() -> None:
    torch.manual_seed(4)
    bigrams = BigramEmbedding(64, 6)
    full = bigrams.table.weight.detach().clone()
    bigrams.cut_to_rank(4)
    assert bigrams.widen is not None
    left = full - bigrams.table.weight @ bigrams.widen.weight.t()
    kept = torch.linalg.svdvals(full)
    assert float(left.detach().square().sum()) == pytest.approx(float(kept[4:].square().sum()), rel=1e-4)
