"""Fits the recurrent branch with Lightning: the average of the weights, early stopping, resume after a kill."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.adversarial import adversarial_loss
from training.batches import Batch, DevBatches
from training.config import DataSet, LoopConfig
from training.finetune import groups, thaw
from training.losses import batch_mean, row_losses
from training.models.auxiliary import Auxiliary
from training.models.masking import real
from training.models.recurrent import RecurrentBranch
from training.schedules import Schedule
from training.scores import Scores, decide, score

DEV_SCORE = "dev/score"


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
        auxiliary: Auxiliary | None = None,
    ) -> None:
        super().__init__()
        self.branch = branch
        self.auxiliary = auxiliary
        self.averaged = AveragedModel(branch, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))  # type: ignore[no-untyped-call]
        self.averaged.requires_grad_(requires_grad=False)
        self.dev_scores: dict[str, Scores] = {}
        self.seconds = 0.0
        self._since = 0.0
        self._config = config
        self._sets = {one.name: one for one in sets}
        self._dev = dev
        self._steps = steps
        self._schedule = Schedule(config, steps)
        self._unk_id = unk_id
        self._word_dropout = word_dropout
        self._seed = seed
        self._outputs: dict[str, list[Tensor]] = {}

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """Return the loss of one batch."""
        if self._config.fgm_epsilon > 0 and self.global_step >= self._config.fgm_from * self._steps:
            plain, loss = adversarial_loss(
                lambda: self._loss(batch),
                self.branch.embedding,
                [weight for _, weight in self._learning()],
                real(batch.ids, batch.lens),
                self._config.fgm_epsilon,
            )
        else:
            plain = loss = self._loss(batch)
        self.log("train/loss", plain, prog_bar=True, batch_size=len(batch.lens), sync_dist=True)
        self.log("train/learning_rate", self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        return loss

    def _loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of a batch; what is drawn on the way is a function of seed, step and process.

        So a resumed run draws what the unbroken one drew, and an adversarial pass what the plain one drew.
        """
        torch.manual_seed((self._seed << 32) + self.global_step * self.trainer.world_size + self.global_rank)
        hidden = torch.rand(batch.ids.shape).to(batch.ids.device) < self._word_dropout  # [B, T]
        ids = batch.ids.masked_fill(hidden, self._unk_id)  # [B, T]
        if self.auxiliary is None:
            losses = row_losses(self.branch(ids, batch.lens), batch, self._config)  # [B]
        else:
            logits, words = self.auxiliary(self.branch, ids, batch)  # [B, C + D], [B]
            losses = row_losses(logits, batch, self._config) + self._config.auxiliary_lm * words  # [B]
        return batch_mean(losses, batch)  # []

    def _learning(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Give what learns by name: the branch's weights, then those that training alone has."""
        yield from self.branch.named_parameters()
        if self.auxiliary is not None:
            yield from self.auxiliary.named_parameters(prefix="auxiliary")

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        """Clip by the norm of all gradients (Pascanu et al. 2013), or each entry by its value."""
        weights = [weight for _, weight in self._learning() if weight.grad is not None]
        if self._config.gradient_clip:
            nn.utils.clip_grad_norm_(weights, self._config.gradient_clip)
        elif self._config.gradient_clip_value:
            nn.utils.clip_grad_value_(weights, self._config.gradient_clip_value)

    def on_train_batch_start(self, *_: Any) -> None:
        """Thaw what is due; at a batch, because a resumed run starts inside an epoch."""
        if self._config.unfreeze_epochs:
            thaw(self.branch.named_parameters(), self.current_epoch, self._config)

    def on_train_start(self) -> None:
        """Start the clock."""
        self._since = time.monotonic()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the time spent, so that a resumed run counts it, and what the schedule has seen."""
        checkpoint["seconds"] = self.seconds
        checkpoint["schedule"] = self._schedule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting from the time spent."""
        self.seconds = checkpoint["seconds"]
        self._schedule.load_state_dict(checkpoint["schedule"])

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
            self.dev_scores[name] = score(labels, decide(torch.cat(logits).float().cpu().numpy(), classes), classes)
        figures = {name: self.dev_scores[name].of(self._sets[name].metric) for name in self._outputs}
        # Every process looks at all of dev: that is short, and then none has to wait for another's logits.
        self.log_dict({f"dev/{name}": value for name, value in figures.items()}, sync_dist=True)
        mean = sum(figures.values()) / len(figures)
        self.log(DEV_SCORE, mean, prog_bar=True, sync_dist=True)
        self._schedule.look(mean)

    def configure_optimizers(self) -> Any:
        """AdamW (Loshchilov and Hutter 2019) with a rate that moves at every step; no decay on biases."""
        optimizer = torch.optim.AdamW(groups(self._learning(), self._config), betas=(0.9, 0.99), fused=True)
        rates = LambdaLR(optimizer, lambda step: self._schedule(step))  # noqa: PLW0108 - a plain function is not pickled
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}


def averaged_branch(training: RecurrentTraining) -> RecurrentBranch:
    """Return the averaged weights as a plain branch, for use and not for training."""
    module: nn.Module = training.averaged.module
    if not isinstance(module, RecurrentBranch):
        raise TypeError("This is a bug: the average holds another module.")
    return module.eval()
