"""The n-gram branch against plain Python."""

import numpy as np
import pytest
import torch

from training.models.ngrams import MULTIPLIERS, SHIFT, NgramBranch, bucket_ids

ORDERS, BUCKETS, CLASSES = (1, 2, 3), 64, 5


def plain_buckets(ids: list[int], order: int) -> list[int]:
    """Hash in Python's own whole numbers, which cannot overflow."""
    found = []
    for start in range(len(ids) - order + 1):
        mixed = order + sum(one * MULTIPLIERS[at] for at, one in enumerate(ids[start : start + order]))
        found.append((mixed // SHIFT + mixed) % BUCKETS)
    return found


@pytest.fixture
def branch() -> NgramBranch:
    torch.manual_seed(0)
    branch = NgramBranch(ORDERS, BUCKETS, CLASSES)
    torch.nn.init.normal_(branch.table.weight)
    torch.nn.init.normal_(branch.bias)
    return branch


@pytest.mark.parametrize("ids", [[7], [7, 2], [3, 1, 4, 1, 5, 9], [65_535, 65_534, 65_533, 1]], ids=str)
def test_the_branch_is_the_sum_of_hashed_weights_by_plain_python(branch: NgramBranch, ids: list[int]) -> None:
    weights = branch.table.weight.detach().numpy()
    wanted = branch.bias.detach().numpy().copy()
    for order in ORDERS:
        for bucket in plain_buckets(ids, order):
            wanted += weights[bucket] / np.sqrt(len(ids))
    found = branch(torch.tensor([ids]), torch.tensor([len(ids)])).detach().numpy()[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_numpy_hashes_as_plain_python_does(order: int) -> None:
    ids = [3, 1, 65_535, 1, 5]
    assert bucket_ids(np.array(ids), order, BUCKETS).tolist() == plain_buckets(ids, order)


def test_padding_starts_no_ngram(branch: NgramBranch) -> None:
    alone = branch(torch.tensor([[7, 2]]), torch.tensor([2]))
    padded = branch(torch.tensor([[7, 2, 0, 0], [1, 2, 3, 4]]), torch.tensor([2, 4]))
    torch.testing.assert_close(padded[:1], alone)


@pytest.mark.parametrize("ids", [[7], [7, 2], [3, 1, 4, 1]], ids=str)
def test_attribution_adds_up_to_the_logits(branch: NgramBranch, ids: list[int]) -> None:
    batch, lens = torch.tensor([[*ids, 0, 0]]), torch.tensor([len(ids)])
    shares = branch.attribution(batch, lens)
    torch.testing.assert_close(shares.sum(dim=1) + branch.bias, branch(batch, lens))
    assert not shares[:, len(ids) :].any()


def test_an_order_beyond_the_multipliers_is_refused() -> None:
    with pytest.raises(ValueError, match="expected orders up to 4"):
        NgramBranch((5,), BUCKETS, CLASSES)
