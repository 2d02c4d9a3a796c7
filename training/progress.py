"""Progress for people: a bar on a terminal, plain lines in a log file."""

import sys
import time
from typing import Any, TextIO

import lightning as pl
from lightning.pytorch.callbacks import Callback, TQDMProgressBar

from training.loop import DEV_SCORE


class LineProgress(Callback):
    """One line every `every_s` seconds and one for each look at dev."""

    def __init__(self, stream: TextIO, every_s: float = 30.0) -> None:
        self._stream = stream
        self._every_s = every_s
        self._since = time.monotonic()
        self._tokens = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, _module: pl.LightningModule, _outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Say epoch, batch, loss and tokens a second, when it is time."""
        self._tokens += int(batch.lens.sum()) if hasattr(batch, "lens") else batch.numel()
        past = time.monotonic() - self._since
        if past < self._every_s:
            return
        loss = float(trainer.callback_metrics.get("train/loss", float("nan")))
        self._say(
            f"epoch {trainer.current_epoch + 1} batch {batch_idx + 1}/{trainer.num_training_batches} "
            f"loss {loss:.4f} {self._tokens / past:.0f} tokens/s"
        )
        self._since, self._tokens = time.monotonic(), 0

    def on_validation_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Say every dev figure."""
        figures = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("dev/")}
        mean = figures.pop(DEV_SCORE)
        sets = " ".join(f"{key.removeprefix('dev/')} {value:.4f}" for key, value in figures.items())
        self._say(f"epoch {trainer.current_epoch + 1} step {trainer.global_step} dev {mean:.4f} {sets}")
        self._since, self._tokens = time.monotonic(), 0

    def _say(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()


def progress() -> Callback:
    """Return the bar where someone watches, the lines elsewhere."""
    return TQDMProgressBar(refresh_rate=10) if sys.stderr.isatty() else LineProgress(sys.stderr)
