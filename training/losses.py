"""What a batch costs: cross-entropy or focal loss, with smoothing, and a teacher's probabilities beside the labels.

A row of a binary set says nothing about neutral: in every loss here that class is left out of the row's softmax, and
its logit gets no gradient.
"""

import math

import torch
from torch import Tensor

from training.batches import Batch
from training.config import LoopConfig


def batch_loss(logits: Tensor, batch: Batch, config: LoopConfig) -> Tensor:
    """Return the weighted mean, float32[], of the rows' losses for logits float32[B, C]."""
    return batch_mean(row_losses(logits, batch, config), batch)  # []


def batch_mean(losses: Tensor, batch: Batch) -> Tensor:
    """Return the weighted mean, float32[], of each row's losses float32[B]."""
    total = batch.weights.sum() if batch.total is None else batch.total  # []
    return (losses * batch.weights).sum() / total  # []


def row_losses(logits: Tensor, batch: Batch, config: LoopConfig) -> Tensor:
    """Return each row's loss float32[B] as the config asks; a row without teacher is taught by its label alone."""
    gamma = config.focal_gamma if config.loss == "focal" else 0.0
    losses = hard_losses(logits, batch.labels, batch.classes, smoothing=config.label_smoothing, gamma=gamma)  # [B]
    if batch.soft is None or config.distill_weight == 0:
        return losses
    taught = soft_losses(logits, batch.soft, batch.classes, config.distill_temperature)  # [B]
    share = config.distill_weight * (batch.soft.sum(dim=1) > 0)  # [B]
    return (1 - share) * losses + share * taught  # [B]


def hard_losses(logits: Tensor, labels: Tensor, classes: Tensor, *, smoothing: float, gamma: float) -> Tensor:
    """Return float32[B]: the loss of labels int64[B] among the classes bool[B, C] that each row's set has.

    Smoothing (Szegedy et al. 2016) spreads over the open classes alone. A gamma above 0 takes weight from what is
    already right: the focal loss (Lin et al. 2017), which is cross-entropy at 0.
    """
    log_odds = _log_odds(logits, classes)  # [B, C]
    costs = -log_odds  # [B, C]
    if gamma > 0:
        # Clamped, because at a probability of one the power's gradient would be infinite for a gamma below one.
        costs = costs * (-torch.expm1(log_odds)).clamp(min=1e-6) ** gamma  # [B, C]
    costs = costs.masked_fill(~classes, 0.0)  # [B, C]
    hit = costs.gather(1, labels.unsqueeze(1)).squeeze(1)  # [B]
    spread = costs.sum(dim=1) / classes.sum(dim=1)  # [B]
    return (1 - smoothing) * hit + smoothing * spread  # [B]


def soft_losses(logits: Tensor, soft: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Return float32[B]: cross-entropy against a teacher's probabilities soft float32[B, C] (Hinton et al. 2015).

    The probabilities are the teacher's at the same temperature; what they give to a closed class is left out and the
    rest scaled to sum to one. The square of the temperature keeps the gradient's size. A row of zeros costs zero.
    """
    opened = soft.masked_fill(~classes, 0.0)  # [B, C]
    opened = opened / opened.sum(dim=1, keepdim=True).clamp(min=1e-12)  # [B, C]
    return -(opened * _log_odds(logits / temperature, classes)).sum(dim=1) * temperature**2  # [B]


def _log_odds(logits: Tensor, classes: Tensor) -> Tensor:
    """Return log-probabilities float32[B, C] over the open classes, 0 where a class is closed."""
    # In full precision whatever the network ran in: bf16 has 8 bits, too few for a difference of log-sums.
    opened = logits.float().masked_fill(~classes, -math.inf).log_softmax(dim=1)  # [B, C]
    return opened.masked_fill(~classes, 0.0)  # [B, C]
