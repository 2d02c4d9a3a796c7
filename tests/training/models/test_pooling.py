"""Pooling against plain Python."""

import math

import pytest
import torch
from torch import Tensor

from training.models.pooling import AttentionPool, LastPool, MaxPool, MeanPool, MultiheadPool

STATES = 4
LENS = [5, 3, 1]
MASK = torch.arange(5) < torch.tensor(LENS).unsqueeze(1)


@pytest.fixture
def states() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(3, 5, STATES) * MASK.unsqueeze(2)


def test_the_mean_is_over_tokens(states: Tensor) -> None:
    wanted = torch.stack([row[:size].mean(dim=0) for row, size in zip(states, LENS, strict=True)])
    torch.testing.assert_close(MeanPool(STATES)(states, MASK), wanted)


def test_the_maximum_is_over_tokens_also_where_all_are_far_below_zero(states: Tensor) -> None:
    below = states - 10
    wanted = torch.stack([row[:size].amax(dim=0) for row, size in zip(below, LENS, strict=True)])
    torch.testing.assert_close(MaxPool(STATES)(below, MASK), wanted)


def test_the_last_state_is_the_last_forwards_and_the_first_backwards(states: Tensor) -> None:
    wanted = torch.stack([torch.cat([row[size - 1, :2], row[0, 2:]]) for row, size in zip(states, LENS, strict=True)])
    torch.testing.assert_close(LastPool(STATES, bidirectional=True)(states, MASK), wanted)


def test_one_direction_ends_at_the_last_token(states: Tensor) -> None:
    wanted = torch.stack([row[size - 1] for row, size in zip(states, LENS, strict=True)])
    torch.testing.assert_close(LastPool(STATES, bidirectional=False)(states, MASK), wanted)


def test_additive_attention_is_bahdanaus(states: Tensor) -> None:
    pool = AttentionPool(STATES, 3)
    for row, size, found in zip(states, LENS, pool(states, MASK), strict=True):
        scores = [(pool.query.weight[0] @ torch.tanh(pool.key(one))).item() for one in row[:size]]
        total = sum(math.exp(score) for score in scores)
        wanted = sum(math.exp(score) / total * one for score, one in zip(scores, row[:size], strict=True))
        assert isinstance(wanted, Tensor)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_each_head_attends_by_its_own_scaled_dot_product(states: Tensor) -> None:
    torch.manual_seed(0)
    pool = MultiheadPool(STATES, size=6, heads=2)
    found = pool(states, MASK).unflatten(1, (2, STATES))  # [B, heads, S]
    for at, (row, size) in enumerate(zip(states, LENS, strict=True)):
        for head in range(2):
            keys = pool.key(row[:size])[:, 3 * head : 3 * head + 3]
            weights = (keys @ pool.query[head] / math.sqrt(3)).softmax(dim=0)
            torch.testing.assert_close(found[at, head], weights @ row[:size])
    assert not torch.allclose(found[0, 0], found[0, 1])


POOLS = [
    MeanPool(STATES),
    MaxPool(STATES),
    LastPool(STATES, bidirectional=True),
    AttentionPool(STATES, 3),
    MultiheadPool(STATES, size=6, heads=2),
]


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: type(pool).__name__)
def test_shares_add_up_to_the_vector_and_padding_has_none(pool: MeanPool, states: Tensor) -> None:
    shares = pool.shares(states, MASK)
    assert shares.shape == (3, 5, pool.features)
    torch.testing.assert_close(shares.sum(dim=1), pool(states, MASK))
    assert not shares[~MASK].any()
