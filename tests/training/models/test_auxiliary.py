"""Heads that training alone has."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from training.models.auxiliary import NextTokens
from training.models.language import LanguageModel, SampledSoftmax

VOCABULARY, EMBEDDING, HIDDEN = 11, 4, 5


def readers(directions: int) -> tuple[nn.Embedding, nn.LSTM]:
    torch.manual_seed(4)
    embedding = nn.Embedding(VOCABULARY, EMBEDDING, padding_idx=0)
    return embedding, nn.LSTM(EMBEDDING, HIDDEN, batch_first=True, bidirectional=directions == 2)


def head(embedding: nn.Embedding, directions: int) -> NextTokens:
    torch.manual_seed(5)
    # As many negatives as there are tokens to draw, so that nothing is left to chance.
    return NextTokens(HIDDEN, directions, embedding, SampledSoftmax(torch.ones(VOCABULARY), VOCABULARY))


@pytest.mark.parametrize("directions", [1, 2])
def test_its_loss_is_that_of_the_language_model_of_pre_training(directions: int) -> None:
    embedding, cells = readers(directions)
    words = head(embedding, directions)
    alone = []
    for suffix in ("", "_reverse")[:directions]:
        alone.append(nn.LSTM(EMBEDDING, HIDDEN, batch_first=True))
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        alone[-1].load_state_dict({name: cells.state_dict()[name + suffix] for name in names})
    model = LanguageModel(embedding, alone, words.softmax)
    model.projections, model.bias = words.projections, words.bias

    windows = torch.tensor([[1, 2, 3, 4, 5, 6], [6, 6, 7, 8, 9, 10], [3, 1, 4, 1, 5, 9]])
    found = words(cells(embedding(windows))[0], windows, torch.tensor([6, 6, 6]), embedding.weight)
    torch.testing.assert_close(found.mean(), model(windows, 0.0))


def losses(words: NextTokens, states: Tensor, ids: Tensor, lens: list[int], table: Tensor) -> list[float]:
    found: Tensor = words(states, ids, torch.tensor(lens), table)
    return [float(loss) for loss in found.detach()]


def test_a_rows_loss_is_its_own_whatever_its_padding_and_a_single_token_costs_nothing() -> None:
    embedding, _ = readers(2)
    words = head(embedding, 2)
    states, ids = torch.randn(3, 4, 2 * HIDDEN), torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0], [9, 0, 0, 0]])
    whole = losses(words, states, ids, [4, 2, 1], embedding.weight)
    assert whole[2] == 0
    assert whole[1] == pytest.approx(losses(words, states[1:2, :2], ids[1:2, :2], [2], embedding.weight)[0], abs=1e-5)
    dirty = ids.masked_fill(ids == 0, 10)
    assert losses(words, states, dirty, [4, 2, 1], embedding.weight) == pytest.approx(whole)


def test_rows_of_one_token_alone_cost_nothing_and_still_give_every_weight_a_gradient() -> None:
    embedding, _ = readers(1)
    words = head(embedding, 1)
    loss = words(torch.randn(2, 1, HIDDEN), torch.tensor([[3], [4]]), torch.tensor([1, 1]), embedding.weight).sum()
    loss.backward()
    assert float(loss.detach()) == 0
    for weight in words.parameters():
        assert weight.grad is not None
        assert not weight.grad.any()


def test_forward_states_tell_the_next_token_and_backward_ones_the_one_before() -> None:
    embedding, _ = readers(2)
    words = head(embedding, 2)
    ids, states = torch.tensor([[3, 4, 5, 6]]), torch.randn(1, 4, 2 * HIDDEN)
    places = {
        "ahead": (states[0, :3, :HIDDEN], [b for _, b in pairwise(ids[0].tolist())], words.projections[0]),
        "back": (states[0, 1:, HIDDEN:], [a for a, _ in pairwise(ids[0].tolist())], words.projections[1]),
    }
    wanted = [
        nn.functional.cross_entropy(projection(read) @ embedding.weight.t() + words.bias, torch.tensor(targets))
        for read, targets, projection in places.values()
    ]
    found = words(states, ids, torch.tensor([4]), embedding.weight)
    torch.testing.assert_close(found[0], torch.stack(wanted).mean())
