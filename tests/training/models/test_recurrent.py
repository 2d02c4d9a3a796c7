"""The recurrent branch: padding, packing and explanation."""

import pytest
import torch
from torch import Tensor

from training.config import RunConfig
from training.models.recurrent import RecurrentBranch

VOCABULARY, CLASSES = 11, 4
IDS = torch.tensor([[2, 3, 4, 5, 6], [7, 8, 9, 0, 0], [10, 0, 0, 0, 0]])
LENS = torch.tensor([5, 3, 1])


@pytest.fixture
def branch(tiny: RunConfig) -> RecurrentBranch:
    torch.manual_seed(0)
    return RecurrentBranch(tiny.model, VOCABULARY, CLASSES, pad_id=0)


def test_turning_rows_round_equals_packing_them(branch: RecurrentBranch) -> None:
    embedded = branch.embedding(IDS)
    torch.testing.assert_close(branch.encode_turned(embedded, LENS), branch.encode_packed(embedded, LENS))


def test_turning_rows_round_has_the_gradients_of_packing_them(branch: RecurrentBranch) -> None:
    def gradients(states: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(states.pow(2).sum(), list(branch.lstm.parameters())))

    turned = gradients(branch.encode_turned(branch.embedding(IDS), LENS))
    packed = gradients(branch.encode_packed(branch.embedding(IDS), LENS))
    for one, other in zip(turned, packed, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("row", range(3))
def test_padding_changes_no_answer(branch: RecurrentBranch, row: int) -> None:
    branch.eval()
    size = int(LENS[row])
    alone = branch(IDS[row : row + 1, :size], LENS[row : row + 1])
    torch.testing.assert_close(branch(IDS, LENS)[row : row + 1], alone)


def test_what_stands_in_the_padding_is_never_read(branch: RecurrentBranch) -> None:
    branch.eval()
    scribbled = torch.where(IDS == 0, 3, IDS)
    torch.testing.assert_close(branch(scribbled, LENS), branch(IDS, LENS))


def test_attribution_adds_up_to_the_logits(branch: RecurrentBranch) -> None:
    branch.eval()
    states = branch.encode(IDS, LENS)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] + [False] * 4])
    shares = branch.attribution(states, mask)
    torch.testing.assert_close(shares.sum(dim=1) + branch.head.bias, branch(IDS, LENS), atol=1e-5, rtol=1e-5)
    assert not shares[~mask].any()


def test_tokens_that_tie_for_a_maximum_share_it(branch: RecurrentBranch) -> None:
    state = torch.rand(1, 1, branch.states)
    shares = branch.attribution(state.expand(1, 4, -1), torch.ones(1, 4, dtype=torch.bool))
    torch.testing.assert_close(shares[0, 0], shares[0, 3])


def test_embedding_dropout_hides_the_same_dimensions_at_each_token(branch: RecurrentBranch) -> None:
    branch.embedding_dropout = 0.5
    dropped = branch._drop(torch.ones(3, 5, 16)) == 0
    assert dropped.any()
    assert torch.equal(dropped[:, :1].expand_as(dropped), dropped)
