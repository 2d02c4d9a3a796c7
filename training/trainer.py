"""Lightning's trainer, put together for a run: where it runs, what it keeps, and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

import lightning as pl
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping, ProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from training.checkpoints import Keep, SafetensorsIO
from training.config import LoopConfig
from training.loop import DEV_SCORE
from training.paths import RunPaths
from training.precision import precision_for
from training.progress import LineProgress, progress

Accelerator = Literal["cpu", "cuda", "auto"]


@dataclass(frozen=True, slots=True)
class Machines:
    """Where a run runs: so many devices on each of so many nodes, a process each where they are more than one."""

    accelerator: Accelerator = "cpu"
    devices: int = 1
    nodes: int = 1

    def strategy(self, *, freezes: bool) -> str:
        """Return the name of Lightning's strategy; with weights frozen for a time, DDP has to look for them."""
        if self.devices * self.nodes == 1:
            return "auto"
        return "ddp_find_unused_parameters_true" if freezes else "ddp"


ONE_CPU = Machines()


def first_process() -> bool:
    """Return whether this is the process that keeps the run's files, before Lightning has started any other."""
    # Until then, what Lightning will start on another machine has that machine's rank and none of its own.
    return int(getattr(rank_zero_only, "rank", 0)) == 0 and LightningEnvironment().node_rank() == 0


def open_trainer(
    loop: LoopConfig, paths: RunPaths, log: TextIO, *, machines: Machines, watchers: Sequence[Callback]
) -> pl.Trainer:
    """Return the trainer of a run; `log` gets the lines that a terminal may show as a bar."""
    bar = progress()
    return pl.Trainer(
        accelerator=machines.accelerator,
        devices=machines.devices,
        num_nodes=machines.nodes,
        strategy=machines.strategy(freezes=loop.unfreeze_epochs > 0),
        precision=precision_for(loop.precision, machines.accelerator),
        max_epochs=loop.epochs,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=isinstance(bar, ProgressBar),
        logger=[TensorBoardLogger(paths.logs, "tensorboard"), CSVLogger(paths.logs, "csv")],
        plugins=[SafetensorsIO()],
        callbacks=[
            EarlyStopping(DEV_SCORE, mode="max", patience=loop.patience, check_on_train_epoch_end=False),
            Keep(paths.best, monitor=DEV_SCORE, mode="max", save_weights_only=True),
            Keep(paths.last, every_n_train_steps=loop.checkpoint_every_steps),
            bar,
            LineProgress(log),
            *watchers,
        ],
    )
