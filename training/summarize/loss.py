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


class Costs(NamedTuple):
    """Of the N tokens that count: nats plain float32[N], of writing each written float32[N], features float32[N, E]."""

    plain: Tensor
    written: Tensor
    features: Tensor


def losses(network: PointerGenerator, decoded: Decoded, batch: PairBatch, smoothing: float) -> Losses:
    """Return the losses of a batch that was decoded by the network."""
    counted = batch.counted  # [B, T]
    plain, written, features = token_costs(network, decoded, batch)
    wanted = batch.targets[counted]  # [N]
    smoothed = (1 - smoothing) * plain + smoothing * _spread(network, features, wanted, written) if smoothing else plain
    twice = torch.minimum(decoded.attention, decoded.coverage).sum(dim=2)[counted]  # [N]
    return Losses(plain.mean(), smoothed.mean(), twice.mean())


def token_costs(network: PointerGenerator, decoded: Decoded, batch: PairBatch) -> Costs:
    """Return what each token that counts costs, by writing or copying it."""
    targets, counted = batch.targets, batch.counted  # [B, T], [B, T]
    wanted, features = targets[counted], decoded.features[counted].float()  # [N], [N, E]
    logits = network.logits(features).float()  # [N, V]
    written = -functional.cross_entropy(logits, wanted, reduction="none")  # [N]
    same = targets.unsqueeze(2) == batch.ids.unsqueeze(1)  # [B, T, S]
    copied = (decoded.attention * same).sum(dim=2)[counted].clamp_min(LEAST).log()  # [N]
    gates = decoded.gates[counted]  # [N]
    plain = -torch.logaddexp(functional.logsigmoid(gates) + written, functional.logsigmoid(-gates) + copied)  # [N]
    return Costs(plain, written, features)


def _spread(network: PointerGenerator, features: Tensor, wanted: Tensor, written: Tensor) -> Tensor:
    """Return the mean of the costs of writing each entry, float32[N], without a look at all their logits.

    The logits being linear, their mean is the logit of the mean embedding.
    """
    table, bias = network.embedding.weight, network.bias
    hit = (features * table[wanted]).sum(dim=1) + bias[wanted]  # [N]
    total = hit - written  # [N], the logarithm of the sum over all entries
    return total - (features @ table.mean(dim=0) + bias.mean())  # [N]
