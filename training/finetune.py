"""Fine-tuning by parts (Howard and Ruder 2018): what is further from the head learns more slowly, and starts later.

A part's depth is 0 for the head and what pools for it, 1 for the recurrent cells, 2 for the embedding.
"""

from collections.abc import Iterable
from typing import Any

from torch import nn

from training.config import LoopConfig

DEPTHS = {"encoder.": 1, "embedding.": 2, "bigrams.": 2, "input_norm.": 2}
Named = Iterable[tuple[str, nn.Parameter]]


def depth_of(name: str) -> int:
    """Return the depth of the part that a parameter of the recurrent branch belongs to, by its name."""
    return next((depth for prefix, depth in DEPTHS.items() if name.startswith(prefix)), 0)


def groups(named: Named, config: LoopConfig) -> list[dict[str, Any]]:
    """Return the optimizer's groups, the head's first: a rate for each part, and no weight decay on vectors."""
    found: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, weight in named:
        found.setdefault((depth_of(name), weight.ndim <= 1), []).append(weight)
    return [
        {
            "params": found[depth, spared],
            "lr": config.learning_rate * config.layer_decay**depth,
            "weight_decay": 0.0 if spared else config.weight_decay,
        }
        for depth, spared in sorted(found)
    ]


def thaw(named: Named, epoch: int, config: LoopConfig) -> None:
    """Let each part learn from its epoch on: its depth times `unfreeze_epochs`, epochs counted from 0."""
    for name, weight in named:
        weight.requires_grad_(depth_of(name) * config.unfreeze_epochs <= epoch)
