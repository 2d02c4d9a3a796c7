"""Normalization, of embeddings and of the pooled vector."""

import pytest
import torch

from training.models.config import Norm
from training.models.norms import input_norm, pooled_norm

MASK = torch.tensor([[True] * 4, [True] * 2 + [False] * 2, [True] + [False] * 3])


def test_batch_statistics_of_embeddings_are_over_tokens_alone() -> None:
    torch.manual_seed(0)
    values = torch.randn(3, 4, 5) * 3 + 2
    norm = input_norm("batch", 5)
    found = norm(values, MASK)[MASK]
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.var(dim=0, unbiased=False), torch.ones(5), atol=1e-4, rtol=0)
    # One batch moves torch's running statistics by a tenth.
    running = dict(norm.named_buffers())
    torch.testing.assert_close(running["norm.running_mean"], 0.1 * values[MASK].mean(dim=0))


def test_embeddings_are_normalized_by_the_population_out_of_training() -> None:
    norm = input_norm("batch", 5)
    torch.manual_seed(0)
    for _ in range(200):
        norm(torch.randn(3, 4, 5) * 3 + 2, MASK)
    found = norm.eval()(torch.full((1, 2, 5), 2.0), torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(found, torch.zeros(1, 2, 5), atol=0.5, rtol=0)


def test_a_tokens_layer_norm_knows_nothing_of_the_others() -> None:
    torch.manual_seed(0)
    values = torch.randn(3, 4, 5)
    norm = input_norm("layer", 5)
    torch.testing.assert_close(norm(values, MASK)[1:2, :1], norm(values[1:2, :1], MASK[1:2, :1]))
    torch.testing.assert_close(norm(values, MASK).mean(dim=2), torch.zeros(3, 4), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["none", "batch", "layer"])
def test_shares_and_offset_add_up_to_the_normalized_vector(kind: Norm) -> None:
    torch.manual_seed(0)
    norm = pooled_norm(kind, 6)
    for weight in norm.parameters():
        torch.nn.init.normal_(weight)
    norm(torch.randn(7, 6) * 2 + 1)
    norm.eval()
    shares = torch.randn(3, 4, 6)
    pooled = shares.sum(dim=1)
    offset = torch.zeros(6) if norm.offset is None else norm.offset
    torch.testing.assert_close(norm.shares(shares, pooled).sum(dim=1) + offset, norm(pooled), atol=1e-5, rtol=1e-5)


def test_a_single_row_leaves_the_population_as_it_was() -> None:
    norm = pooled_norm("batch", 6)
    before = {name: one.clone() for name, one in norm.named_buffers()}
    assert norm(torch.randn(1, 6)).isfinite().all()
    for name, one in norm.named_buffers():
        assert torch.equal(one, before[name])
