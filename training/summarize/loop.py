"""Fits the network with Lightning, in the stage of restored sentences and in that of summaries alike."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

import lightning as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, ProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.checkpoints import Keep, SafetensorsIO
from training.loop import DEV_SCORE
from training.models.pointer import PointerGenerator
from training.paths import RunPaths
from training.precision import precision_for
from training.progress import LineProgress, progress
from training.rouge import Rouge, scorer
from training.summarize.batches import DevPairs, PairBatch
from training.summarize.config import StageConfig
from training.summarize.greedy import greedy, step_of
from training.summarize.loss import losses
from training.summarize.reward import SelfCritic
from training.summarize.vocabulary import UNK_ID, text_of
from training.trainer import Machines

BETAS = (0.9, 0.98)


@dataclass(frozen=True, slots=True)
class DevSet:
    """Dev pairs of one set, in batches, and the text of their summaries in the pairs' order."""

    batches: DevPairs
    summaries: list[str]


@dataclass(frozen=True, slots=True)
class DevFigures:
    """A look at one set: nats a token, and ROUGE of greedy summaries."""

    loss: float
    rouge: Rouge


class PointerTraining(pl.LightningModule):
    """A network, its running average, its optimizer and its dev figures.

    The average is what is scored on dev and kept. `dev/score` is the mean over sets of the mean of ROUGE-1, -2 and -L.
    """

    def __init__(
        self,
        network: PointerGenerator,
        config: StageConfig,
        dev: Mapping[str, DevSet],
        tokenizer: Tokenizer,
        *,
        language: str,
        steps: int,
        seed: int,
        max_summary_tokens: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))  # type: ignore[no-untyped-call]
        self.averaged.requires_grad_(requires_grad=False)
        self.dev_figures: dict[str, DevFigures] = {}
        self.seconds = 0.0
        self._since = 0.0
        self._config = config
        self._dev = dev
        self._tokenizer = tokenizer
        self._language = language
        self._steps = steps
        self._seed = seed
        self._max_summary_tokens = max_summary_tokens
        self._told: dict[str, _Told] = {}
        self._critic: SelfCritic | None = None

    def training_step(self, batch: PairBatch, _index: int) -> Tensor:
        """Return the loss of one batch; what is drawn on the way is a function of seed and step."""
        torch.manual_seed((self._seed << 32) + self.global_step)
        hidden = torch.rand(batch.inputs.shape, device=batch.inputs.device) < self.network.config.word_dropout  # [B, T]
        hidden[:, 0] = False
        decoded = self.network(batch.ids, batch.lens, batch.kinds, batch.inputs.masked_fill(hidden, UNK_ID))
        found = losses(self.network, decoded, batch, self._config.label_smoothing)
        self.log("train/loss", found.plain, prog_bar=True)
        self.log("train/coverage", found.coverage)
        self.log("train/learning_rate", self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        covering = self._config.coverage if self.past() >= self._config.coverage_from else 0.0
        loss = found.smoothed + covering * found.coverage
        if self._config.reward_weight and self.past() >= self._config.reward_from:
            self._critic = self._critic or SelfCritic(self.network, self._tokenizer)
            loss = loss + self._config.reward_weight * self._critic.loss(batch)
        return loss

    def past(self) -> float:
        """Return the share of the stage that is over, by steps or by the clock, whichever is further."""
        by_steps = self.global_step / max(1, self._steps)
        return max(by_steps, self.seconds / (60 * self._config.minutes)) if self._config.minutes else by_steps

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Move the weights, then their average; before Lightning writes a checkpoint, so that both are in it."""
        super().optimizer_step(*args, **kwargs)
        self.averaged.update_parameters(self.network)
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now

    def on_train_start(self) -> None:
        """Start the clock."""
        self._since = time.monotonic()

    def on_train_batch_end(self, *_: Any) -> None:
        """End the stage where its time is over."""
        if self.past() >= 1:
            self.trainer.should_stop = True

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the time spent, so that a resumed run counts it."""
        checkpoint["seconds"] = self.seconds

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting from the time spent."""
        self.seconds = checkpoint["seconds"]

    def on_validation_epoch_start(self) -> None:
        """Forget the last look."""
        self._told = {name: _Told() for name in self._dev}

    def validation_step(self, batch: PairBatch, index: int, dataloader_idx: int = 0) -> None:
        """Keep the loss and the greedy summaries of one dev batch."""
        name = list(self._dev)[dataloader_idx]
        dev, told, network = self._dev[name], self._told[name], averaged_network(self)
        decoded = network(batch.ids, batch.lens, batch.kinds, batch.inputs)
        found = losses(network, decoded, batch, 0.0)
        told.nats += float(found.plain) * int(batch.counted.sum())
        told.tokens += int(batch.counted.sum())
        written = greedy(
            step_of(network, self._tokenizer).to(self.device),
            batch.ids,
            batch.lens,
            batch.kinds,
            max_tokens=self._max_summary_tokens,
        )
        for row, ids in zip(dev.batches.order[index], written, strict=True):
            text = text_of(self._tokenizer, ids)
            told.rouges.append(scorer(self._language).score(text, [dev.summaries[int(row)]]))

    def on_validation_epoch_end(self) -> None:
        """Tell every set's figures."""
        for name, told in self._told.items():
            self.dev_figures[name] = DevFigures(told.nats / max(1, told.tokens), Rouge.average(told.rouges))
            found = self.dev_figures[name].rouge
            self.log(f"dev/{name}", found.mean)
            self.log_dict({f"rouge/{name}/{key}": value for key, value in asdict(found).items()})
            self.log(f"loss/{name}", self.dev_figures[name].loss)
        self.log(DEV_SCORE, sum(one.rouge.mean for one in self.dev_figures.values()) / len(self.dev_figures))
        # The look is not training: the schedule goes by the time spent on that.
        self._since = time.monotonic()

    def configure_optimizers(self) -> Any:
        """AdamW (Loshchilov and Hutter 2019) with a rate that moves at every step; no decay on biases."""
        wide = [weight for weight in self.network.parameters() if weight.ndim > 1]
        flat = [weight for weight in self.network.parameters() if weight.ndim == 1]
        groups = [{"params": wide, "weight_decay": self._config.weight_decay}, {"params": flat, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=self._config.learning_rate, betas=BETAS, fused=True)
        rates = LambdaLR(optimizer, lambda step: self._rate(step))  # noqa: PLW0108 - a plain function is not pickled
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        """Clip by the norm of all gradients (Pascanu et al. 2013)."""
        nn.utils.clip_grad_norm_(self.network.parameters(), self._config.gradient_clip)

    def _rate(self, step: int) -> float:
        """Return the share of the peak rate: a linear rise, then half a cosine (Loshchilov and Hutter 2017)."""
        rise = max(1, round(self._config.warmup * self._steps))
        if step < rise:
            return (step + 1) / rise
        past = min(1.0, max((step - rise) / max(1, self._steps - rise), self.past() if self._config.minutes else 0.0))
        return self._config.final_rate + (1 - self._config.final_rate) * 0.5 * (1 + math.cos(math.pi * past))


@dataclass(slots=True)
class _Told:
    """What a look at dev has gathered of one set."""

    nats: float = 0.0
    tokens: int = 0
    rouges: list[Rouge] = field(default_factory=list)


def averaged_network(training: PointerTraining) -> PointerGenerator:
    """Return the averaged weights as a plain network, for use and not for training."""
    module: nn.Module = training.averaged.module
    if not isinstance(module, PointerGenerator):
        raise TypeError("This is a bug: the average holds another module.")
    return module.eval()


def open_trainer(config: StageConfig, paths: RunPaths, log: TextIO, machines: Machines) -> pl.Trainer:
    """Return the trainer of a stage, whose files are below `paths`; `log` gets the lines of progress."""
    bar = progress()
    return pl.Trainer(
        accelerator=machines.accelerator,
        devices=machines.devices,
        num_nodes=machines.nodes,
        strategy=machines.strategy(freezes=False),
        precision=precision_for(config.precision, machines.accelerator),
        max_epochs=config.epochs,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
        enable_model_summary=False,
        enable_progress_bar=isinstance(bar, ProgressBar),
        logger=[TensorBoardLogger(paths.logs, "tensorboard"), CSVLogger(paths.logs, "csv")],
        plugins=[SafetensorsIO()],
        callbacks=[
            EarlyStopping(DEV_SCORE, mode="max", patience=config.patience, check_on_train_epoch_end=False),
            Keep(paths.best, monitor=DEV_SCORE, mode="max", save_weights_only=True),
            Keep(paths.last, every_n_train_steps=config.checkpoint_every_steps),
            bar,
            LineProgress(log),
        ],
    )
