"""What a batch costs: the mixture of writing and copying, smoothed, and attending twice to the same place."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from training.models.pointer import Decoded, PointerGenerator
from training.summarize.batches import PairBatch

LEAST = 1e-9


class Losses(NamedTuple):
    """Means over the tokens that count, float32[] each: nats a token, with smoothing, and attention spent twice."""

    plain: Tensor
    smoothed: Tensor
    coverage: Tensor


def losses(network: PointerGenerator, decoded: Decoded, batch: PairBatch, smoothing: float) -> Losses:
    """Return the losses of a batch that was decoded by the network."""
    targets, counted = batch.targets, batch.counted  # [B, T], [B, T]
    wanted = targets[counted]  # [N]
    logits = network.logits(decoded.features[counted]).float()  # [N, V]
    total = logits.logsumexp(dim=1)  # [N]
    written = logits.gather(1, wanted.unsqueeze(1)).squeeze(1) - total  # [N]
    same = targets.unsqueeze(2) == batch.ids.unsqueeze(1)  # [B, T, S]
    copied = (decoded.attention * same).sum(dim=2)[counted].clamp_min(LEAST).log()  # [N]
    gates = decoded.gates[counted]  # [N]
    plain = -torch.logaddexp(functional.logsigmoid(gates) + written, functional.logsigmoid(-gates) + copied)  # [N]
    smoothed = (1 - smoothing) * plain + smoothing * (total - logits.mean(dim=1)) if smoothing else plain  # [N]
    twice = torch.minimum(decoded.attention, decoded.coverage).sum(dim=2)[counted]  # [N]
    return Losses(plain.mean(), smoothed.mean(), twice.mean())
