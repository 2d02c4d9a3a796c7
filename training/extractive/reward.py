"""Reinforcement on ROUGE: documents as bandits whose arms are sets of sentences (BanditSum, Dong et al. 2018)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from training.oracle import SetScorer

EXPLORE = 0.1
"""Share of draws that look at no score."""


def reward_loss(logits: Tensor, counts: Tensor, scorers: Sequence[SetScorer], most: int, samples: int) -> Tensor:
    """Return float32[], whose gradient raises sets of sentences that have more ROUGE than the document's best guess.

    logits float32[B, S] of counts int64[B] sentences. Sets of `most` are drawn without replacement, sentence by
    sentence in proportion to their probabilities; the reward of a set is the mean of its ROUGE-1 and ROUGE-2 F, less
    that of the `most` best sentences, as in self-critical training (Rennie et al. 2017).
    """
    losses, many = [], counts.tolist()
    here = logits.cpu()  # [B, S], since ROUGE is counted here, a document at a time
    for at, scorer in enumerate(scorers):
        count = many[at]
        if count <= most:
            continue
        weights = torch.sigmoid(here[at, :count])  # [S]
        with torch.no_grad():
            uniform = torch.full_like(weights, 1 / count)  # [S]
            policy = (1 - EXPLORE) * weights / weights.sum() + EXPLORE * uniform  # [S]
            drawn = torch.multinomial(policy.expand(samples, -1), most)  # [K, most]
            greedy = weights.topk(most).indices  # [most]
        rewards = scorer.score(drawn.numpy()) - scorer.score(greedy.numpy()[None])  # [K]
        losses.append(-(torch.from_numpy(rewards.astype(np.float32)) * log_probability(weights, drawn)).mean())
    return (torch.stack(losses).mean() if losses else here.sum() * 0.0).to(logits.device)


def log_probability(weights: Tensor, drawn: Tensor) -> Tensor:
    """Return the log-probability float32[K] of drawing int64[K, M] one by one, without replacement, by weights [S]."""
    picked = weights[drawn]  # [K, M]
    left = weights.sum() - picked.cumsum(dim=1) + picked  # [K, M]
    return (picked.clamp(min=1e-6).log() - left.clamp(min=1e-6).log()).sum(dim=1)  # [K]
