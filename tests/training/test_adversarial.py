"""The adversarial step on the embeddings."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from training.adversarial import adversarial_loss, perturbation
from training.models.masking import real

IDS = torch.tensor([[2, 3, 4, 0], [5, 6, 0, 0]])
LENS = torch.tensor([3, 2])
MASK = real(IDS, LENS)


class Mean(nn.Module):
    """A mean of embeddings under a curved layer and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 5, padding_idx=0)
        self.head = nn.Linear(5, 3)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        embedded = self.embedding(ids) * mask.unsqueeze(2)  # [B, T, 5]
        logits: Tensor = self.head(torch.tanh(embedded.sum(dim=1)))  # [B, 3]
        return logits


@pytest.fixture
def network() -> Mean:
    torch.manual_seed(3)
    return Mean()


def loss_of(network: Mean) -> Callable[[], Tensor]:
    return lambda: nn.functional.cross_entropy(network(IDS, MASK), torch.tensor([0, 2]))


def gradients(network: Mean, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters())))


def test_a_perturbation_has_the_asked_norm_for_each_row_and_none_on_padding() -> None:
    found = perturbation(torch.randn(2, 4, 5), MASK, 0.3)
    assert found.flatten(1).norm(dim=1).tolist() == pytest.approx([0.3, 0.3])
    assert not found[~MASK].any()


def test_a_row_without_gradient_is_not_moved() -> None:
    assert not perturbation(torch.zeros(2, 4, 5), MASK, 0.3).any()


def test_the_perturbed_loss_is_higher_and_the_weights_are_untouched(network: Mean) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    losses = []

    def loss() -> Tensor:
        losses.append(loss_of(network)())
        return losses[-1]

    adversarial_loss(loss, network.embedding, list(network.parameters()), MASK, 0.5)
    plain, worse = losses
    assert worse > plain
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(loss_of(network)(), plain)


def test_the_gradient_is_that_of_the_plain_and_the_perturbed_loss(network: Mean) -> None:
    plain_loss = loss_of(network)()
    wanted_plain = gradients(network, plain_loss)
    outputs = network.embedding(IDS).detach().requires_grad_()
    loss = nn.functional.cross_entropy(
        network.head(torch.tanh((outputs * MASK.unsqueeze(2)).sum(dim=1))), torch.tensor([0, 2])
    )
    moved = perturbation(torch.autograd.grad(loss, outputs)[0], MASK, 0.5)
    shifted = (network.embedding(IDS) + moved) * MASK.unsqueeze(2)
    worse = nn.functional.cross_entropy(network.head(torch.tanh(shifted.sum(dim=1))), torch.tensor([0, 2]))
    wanted = [one + other for one, other in zip(wanted_plain, gradients(network, worse), strict=True)]

    plain, both = adversarial_loss(loss_of(network), network.embedding, list(network.parameters()), MASK, 0.5)
    torch.testing.assert_close(plain, plain_loss.detach())
    torch.testing.assert_close(gradients(network, both), wanted)


def test_a_frozen_embedding_is_moved_all_the_same(network: Mean) -> None:
    network.embedding.requires_grad_(requires_grad=False)
    _, both = adversarial_loss(loss_of(network), network.embedding, list(network.parameters()), MASK, 0.5)
    both.backward()  # type: ignore[no-untyped-call]
    assert network.embedding.weight.grad is None
    assert network.head.weight.grad is not None
