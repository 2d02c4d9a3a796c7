"""How fast this machine trains, to fit a run into a time that was given."""

import time
from collections.abc import Callable

import torch

from training.config import RunConfig
from training.models.classifier import build
from training.tokenizer import PAD_ID

STEPS = 4
MIN_EPOCHS = 3
"""Fewer passes over all rows would do worse than these over a part of them."""
MIN_BATCHES = 10
"""Of an epoch: a network that has seen less has not been trained."""


def within(run: RunConfig, minutes: float, say: Callable[[str], None]) -> RunConfig:
    """Return the run with fewer epochs, then fewer rows in each, where the recurrent branch would take longer.

    The n-grams, the baseline and packing come on top; they take seconds to a few minutes.
    """
    loop, (one,) = run.loop, run.sets
    rate = rows_per_second(run)
    wanted = int(minutes * 60 * rate)
    rows = sum(part.rows_per_epoch for part in one.train)
    if wanted >= rows * loop.epochs:
        return run
    epochs = max(min(loop.epochs, MIN_EPOCHS), wanted // rows)
    share = min(1.0, max(wanted / epochs, MIN_BATCHES * loop.max_rows) / rows)
    parts = tuple(part.model_copy(update={"rows_per_epoch": int(part.rows_per_epoch * share)}) for part in one.train)
    say(
        f"pace: {rate:.0f} rows/s here; {minutes:g} minutes are enough for {epochs} epochs"
        + (f" of {sum(part.rows_per_epoch for part in parts):,} rows" if share < 1 else "")
    )
    return run.model_copy(
        update={
            "loop": loop.model_copy(update={"epochs": epochs}),
            "sets": (one.model_copy(update={"train": parts}),),
        }
    )


def rows_per_second(run: RunConfig) -> float:
    """Measure forward and backward passes of an untrained network over rows of the longest that training sees."""
    network = build(run, run.tokenizer.vocab_size, PAD_ID).recurrent
    rows = max(1, min(run.loop.max_rows, run.loop.max_cells // run.loop.max_train_tokens))
    ids = torch.randint(1, run.tokenizer.vocab_size, (rows, run.loop.max_train_tokens))
    lens = torch.full((rows,), run.loop.max_train_tokens)
    started = 0.0
    for step in range(STEPS + 1):
        if step == 1:  # the first pass allocates
            started = time.monotonic()
        network.zero_grad()
        network(ids, lens).logsumexp(dim=1).sum().backward()
    return STEPS * rows / (time.monotonic() - started)
