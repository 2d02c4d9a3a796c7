"""Fits the recurrent branch with Lightning: EMA of the weights, cosine decay, early stopping, resume after a kill."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.batches import Batch, DevBatches
from training.config import DataSet, LoopConfig
from training.models.recurrent import RecurrentBranch
from training.scores import Scores, decide, score

DEV_SCORE = "dev/score"


def masked_loss(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    """Return the weighted mean cross-entropy of logits float32[B, C] over the classes that each row's set has.

    A row of a binary set says nothing about neutral: that logit is left out of its softmax and gets no gradient.
    Label smoothing (Szegedy et al. 2016) spreads over the open classes alone.
    """
    log_odds = logits.masked_fill(~batch.classes, -math.inf).log_softmax(dim=1)  # [B, C]
    log_odds = log_odds.masked_fill(~batch.classes, 0.0)  # [B, C]
    hit = log_odds.gather(1, batch.labels.unsqueeze(1)).squeeze(1)  # [B]
    spread = log_odds.sum(dim=1) / batch.classes.sum(dim=1)  # [B]
    losses = -(1 - smoothing) * hit - smoothing * spread  # [B]
    return (losses * batch.weights).sum() / batch.weights.sum()


def learning_rate_at(step: int, steps: int, warmup: float) -> float:
    """Return the share of the peak rate at a step: a linear rise over `warmup` of all steps, then a cosine to zero."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))


class RecurrentTraining(pl.LightningModule):
    """One branch, its running average, its optimizer and its dev figures.

    The average (Polyak and Juditsky 1992, with exponential weights) is what is scored on dev, kept and packed.
    """

    def __init__(
        self,
        branch: RecurrentBranch,
        config: LoopConfig,
        sets: Sequence[DataSet],
        dev: Mapping[str, DevBatches],
        *,
        steps: int,
        unk_id: int,
        word_dropout: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.branch = branch
        self.averaged = AveragedModel(branch, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))  # type: ignore[no-untyped-call]
        self.averaged.requires_grad_(requires_grad=False)
        self.dev_scores: dict[str, Scores] = {}
        self.seconds = 0.0
        self._since = 0.0
        self._config = config
        self._sets = {one.name: one for one in sets}
        self._dev = dev
        self._steps = steps
        self._unk_id = unk_id
        self._word_dropout = word_dropout
        self._seed = seed
        self._outputs: dict[str, list[Tensor]] = {}

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """Return the loss of one batch."""
        ids = batch.ids.masked_fill(torch.rand(batch.ids.shape) < self._word_dropout, self._unk_id)  # [B, T]
        loss = masked_loss(self.branch(ids, batch.lens), batch, self._config.label_smoothing)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.lens))
        self.log("train/learning_rate", self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        return loss

    def on_train_batch_start(self, _batch: Batch, _index: int) -> None:
        """Make a step's dropout a function of seed and step, so that a resumed run draws what the unbroken one drew."""
        torch.manual_seed((self._seed << 32) + self.global_step)

    def on_train_start(self) -> None:
        """Start the clock."""
        self._since = time.monotonic()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the time spent, so that a resumed run counts it."""
        checkpoint["seconds"] = self.seconds

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting from the time spent."""
        self.seconds = checkpoint["seconds"]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Move the weights, then their average.

        Here and not at the end of the batch, because Lightning writes its checkpoints before it calls that hook.
        """
        super().optimizer_step(*args, **kwargs)
        self.averaged.update_parameters(self.branch)
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's dev logits."""
        self._outputs = {name: [] for name in self._dev}

    def validation_step(self, batch: Batch, _index: int, dataloader_idx: int = 0) -> None:
        """Keep the logits of one dev batch."""
        name = list(self._dev)[dataloader_idx]
        self._outputs[name].append(self.averaged(batch.ids, batch.lens))

    def on_validation_epoch_end(self) -> None:
        """Score every dev set; `dev/score` is the mean of the sets' own figures."""
        for name, logits in self._outputs.items():
            loader = self._dev[name]
            labels = torch.cat([torch.from_numpy(loader.corpus.labels[index]) for index in loader.order]).numpy()
            classes = loader.corpus.classes
            self.dev_scores[name] = score(labels, decide(torch.cat(logits).numpy(), classes), classes)
        figures = {name: self.dev_scores[name].of(self._sets[name].metric) for name in self._outputs}
        self.log_dict({f"dev/{name}": value for name, value in figures.items()})
        self.log(DEV_SCORE, sum(figures.values()) / len(figures), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW (Loshchilov and Hutter 2019) with a rate that moves at every step; no decay on biases."""
        decayed = [weight for weight in self.branch.parameters() if weight.ndim > 1]
        spared = [weight for weight in self.branch.parameters() if weight.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": self._config.weight_decay}, {"params": spared, "weight_decay": 0.0}],
            lr=self._config.learning_rate,
            betas=(0.9, 0.99),
            fused=True,
        )
        schedule = LambdaLR(optimizer, lambda step: learning_rate_at(step, self._steps, self._config.warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def averaged_branch(training: RecurrentTraining) -> RecurrentBranch:
    """Return the averaged weights as a plain branch, for use and not for training."""
    module: nn.Module = training.averaged.module
    if not isinstance(module, RecurrentBranch):
        raise TypeError("This is a bug: the average holds another module.")
    return module.eval()
