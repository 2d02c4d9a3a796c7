"""Adversarial training on embeddings (Miyato et al. 2017): the step towards a higher loss, taken as a second example.

The perturbation is of what the embedding yields for each row, not of its table, so that the weights stay untouched and
a word may move one way in one row and another way in the next. Hooks on the embedding see and move its output, so that
no network needs to know of this.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def adversarial_loss(
    loss: Callable[[], Tensor], embedding: nn.Embedding, weights: Sequence[nn.Parameter], mask: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """Return the plain loss, float32[] for the log, and a loss whose gradient is that of plain plus adversarial.

    `loss` runs the network on rows whose real tokens are mask bool[B, T], drawing the same dropout at each call.
    The plain gradients come with the perturbation's, in one backward; they re-enter as a term linear in the weights,
    so that the plain graph need not be walked again, and several devices still see one backward.
    """
    learnt = [weight for weight in weights if weight.requires_grad]
    with _watched(embedding) as outputs:
        plain = loss()  # []
    if len(outputs) != 1:
        raise RuntimeError(f"This is a bug: the embedding was called {len(outputs)} times in one forward.")
    slope, *gradients = torch.autograd.grad(plain, [outputs[0], *learnt], allow_unused=True, materialize_grads=True)
    with _moved(embedding, perturbation(slope, mask, epsilon)):
        worse = loss()  # []
    linear = sum((weight * slope).sum() for weight, slope in zip(learnt, gradients, strict=True))
    return plain.detach(), worse + linear


def perturbation(slope: Tensor, mask: Tensor, epsilon: float) -> Tensor:
    """Return float32[B, T, E]: each row's gradient scaled to the norm epsilon over its real tokens mask bool[B, T]."""
    slope = slope.float() * mask.unsqueeze(2)  # [B, T, E]
    norm: Tensor = slope.flatten(1).norm(dim=1).clamp(min=1e-12)  # [B]
    moved: Tensor = slope * (epsilon / norm)[:, None, None]  # [B, T, E]
    return moved


@contextmanager
def _watched(embedding: nn.Embedding) -> Iterator[list[Tensor]]:
    """Give the list of what the embedding yields, with gradients even where it is frozen."""
    outputs: list[Tensor] = []

    def watch(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        if not output.requires_grad:
            output.requires_grad_()
        outputs.append(output)

    handle = embedding.register_forward_hook(watch)
    try:
        yield outputs
    finally:
        handle.remove()


@contextmanager
def _moved(embedding: nn.Embedding, by: Tensor) -> Iterator[None]:
    """Add float32[B, T, E] to what the embedding yields."""
    handle = embedding.register_forward_hook(lambda _module, _inputs, output: output + by.to(output.dtype))
    try:
        yield
    finally:
        handle.remove()
