"""Progress for people: a bar on a terminal, plain lines in a log file."""

import sys
import time
from datetime import timedelta
from typing import Any, TextIO

import lightning as pl
from lightning.pytorch.callbacks import Callback, TQDMProgressBar

from training.loop import DEV_SCORE


class Pace:
    """Tokens and steps since a moment, and what is left of the run at that rate."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._tokens = 0
        self._steps = 0

    def add(self, batch: Any, processes: int) -> None:
        """Count one step's batch; the other processes have as much, or nearly."""
        self._tokens += processes * int(batch.lens.sum() if hasattr(batch, "lens") else batch.numel())
        self._steps += 1

    @property
    def seconds(self) -> float:
        """Seconds since the moment."""
        return time.monotonic() - self._since

    def tokens_per_second(self) -> float:
        """Return tokens trained on a second."""
        return self._tokens / max(self.seconds, 1e-9)

    def left(self, trainer: pl.Trainer) -> str:
        """Return h:mm:ss for the steps up to the run's last epoch; it may end earlier, where dev gets no better."""
        steps = trainer.estimated_stepping_batches - trainer.global_step
        return str(timedelta(seconds=round(steps * self.seconds / max(self._steps, 1))))


class LineProgress(Callback):
    """One line every `every_s` seconds and one for each look at dev."""

    def __init__(self, stream: TextIO, every_s: float = 30.0) -> None:
        self._stream = stream
        self._every_s = every_s
        self._pace = Pace()

    def on_train_epoch_start(self, *_: Any) -> None:
        """Leave the look at dev, and whatever came before training, out of the rate."""
        self._pace = Pace()

    def on_train_batch_end(
        self, trainer: pl.Trainer, _module: pl.LightningModule, _outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Say step, loss, tokens a second and the time left, when it is time."""
        self._pace.add(batch, trainer.world_size)
        if self._pace.seconds < self._every_s:
            return
        loss = float(trainer.callback_metrics.get("train/loss", float("nan")))
        self._say(
            trainer,
            f"epoch {trainer.current_epoch + 1} batch {batch_idx + 1}/{trainer.num_training_batches} "
            f"step {trainer.global_step} loss {loss:.4f} {self._pace.tokens_per_second():.0f} tokens/s "
            f"{self._pace.left(trainer)} left",
        )
        self._pace = Pace()

    def on_validation_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Say every dev figure."""
        figures = {key: float(value) for key, value in trainer.callback_metrics.items() if key.startswith("dev/")}
        mean = figures.pop(DEV_SCORE)
        sets = " ".join(f"{key.removeprefix('dev/')} {value:.4f}" for key, value in figures.items())
        self._say(trainer, f"epoch {trainer.current_epoch + 1} step {trainer.global_step} dev {mean:.4f} {sets}")

    def _say(self, trainer: pl.Trainer, line: str) -> None:
        if trainer.is_global_zero:
            self._stream.write(f"{line}\n")
            self._stream.flush()


class BarProgress(TQDMProgressBar):
    """Lightning's bar, which has the rate in batches and the epoch's time left; with tokens and the run's beside."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=10)
        self._pace = Pace()

    def on_train_epoch_start(self, trainer: pl.Trainer, *args: Any) -> None:
        """Start an epoch's bar and rate."""
        super().on_train_epoch_start(trainer, *args)
        self._pace = Pace()

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a batch, then move the bar."""
        self._pace.add(batch, trainer.world_size)
        super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Any]:
        """Return what stands behind the bar."""
        shown: dict[str, Any] = super().get_metrics(trainer, module)
        shown.pop("v_num", None)
        return shown | {"tokens/s": f"{self._pace.tokens_per_second():.0f}", "left": self._pace.left(trainer)}


def progress() -> Callback:
    """Return the bar where someone watches, the lines elsewhere."""
    return BarProgress() if sys.stderr.isatty() else LineProgress(sys.stderr)
