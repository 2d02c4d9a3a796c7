"""The language model that a classifier starts from."""

import math

import pytest
import torch
from torch import nn

from training.models.language import LanguageModel, SampledSoftmax


def model(vocabulary: int = 11, negatives: int = 7) -> LanguageModel:
    torch.manual_seed(3)
    return LanguageModel(
        nn.Embedding(vocabulary, 4, padding_idx=0),
        [nn.LSTM(4, 5, batch_first=True), nn.LSTM(4, 5, batch_first=True)],
        SampledSoftmax(torch.ones(vocabulary), negatives),
    )


def test_with_every_token_drawn_the_sampled_softmax_is_the_full_one() -> None:
    torch.manual_seed(1)
    states, table, bias = torch.randn(6, 4), torch.randn(9, 4), torch.randn(9)
    targets = torch.tensor([0, 3, 3, 8, 5, 1])
    softmax = SampledSoftmax(torch.ones(9), negatives=9)
    sampled = softmax(states, targets, table, bias)
    full = nn.functional.cross_entropy(states @ table.t() + bias, targets, reduction="none")
    assert torch.allclose(sampled, full, atol=1e-5)


def test_what_it_learns_is_the_distribution_itself_and_not_the_one_it_draws_from() -> None:
    torch.manual_seed(2)
    zipf = 1 / torch.arange(1, 61)
    wanted = zipf / zipf.sum()
    softmax = SampledSoftmax(1 + torch.arange(60) % 7, negatives=12)
    bias = torch.zeros(60, requires_grad=True)
    optimizer = torch.optim.Adam([bias], lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        targets = torch.multinomial(wanted, 512, replacement=True)
        softmax(torch.zeros(512, 2), targets, torch.zeros(60, 2), bias).mean().backward()
        optimizer.step()
    assert torch.allclose(bias.detach().softmax(0), wanted, atol=0.03)


def test_a_token_never_seen_is_never_drawn() -> None:
    softmax = SampledSoftmax(torch.tensor([0, 5, 0, 1]), negatives=9)
    assert softmax.negatives == 2
    assert softmax.proposal[[0, 2]].tolist() == [0, 0]


def test_reading_back_predicts_the_token_before_from_those_after() -> None:
    network = model().eval()
    network.requires_grad_(requires_grad=False)
    ids = torch.tensor([[1, 2, 3, 4]])
    forward, back = network.losses(ids)
    changed_start = network.losses(torch.tensor([[9, 2, 3, 4]]))
    # What reads back has seen 4, 3, 2 when it comes to the first token: only that last prediction moves.
    states = network.readers[1](network.embedding(ids.flip(1)[:, :-1]))[0]
    logits = network.projections[1](states[:, -1]) @ network.embedding.weight.t() + network.bias
    moved = logits.log_softmax(1)[0]
    assert float(changed_start[1] - back) == pytest.approx(float(moved[1] - moved[9]), abs=1e-5)
    assert float(forward) != pytest.approx(float(changed_start[0]))


def test_it_learns_a_sequence_both_ways() -> None:
    network = model()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    windows = torch.arange(1, 11).repeat(4)[:36].reshape(4, 9)
    for _ in range(150):
        optimizer.zero_grad()
        network(windows, 0.0).backward()
        optimizer.step()
    places = 4 * 8
    with torch.no_grad():
        found = network.eval().losses(windows)
    assert all(math.exp(float(loss) / places) < 1.3 for loss in found)
