"""Fits the extractor with Lightning: labels first, then reinforcement; the average of the weights is what is scored."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from app.tasks.extract import choose
from training.baselines.quoting import joined
from training.extractive.batches import DevDocuments, DocumentBatch
from training.extractive.config import ExtractConfig
from training.extractive.prepare import DevRow
from training.extractive.reward import reward_loss
from training.loop import DEV_SCORE
from training.models.extractor import NEVER, Extractor
from training.rouge import Rouge, scorer
from training.schedules import share_at
from training.tokenizer import UNK_ID


@dataclass(frozen=True, slots=True)
class DevSet:
    """One set's dev documents, encoded and as texts, and how many of their sentences are quoted."""

    batches: DevDocuments
    texts: list[DevRow]
    sentences: int


class ExtractTraining(pl.LightningModule):
    """One extractor, its running average, its optimizer and its dev figures."""

    def __init__(self, network: Extractor, config: ExtractConfig, dev: Mapping[str, DevSet], steps: int) -> None:
        super().__init__()
        self.network = network
        self.averaged = AveragedModel(network, multi_avg_fn=warm_average(config.loop.ema_decay))
        self.averaged.requires_grad_(requires_grad=False)
        self.dev_scores: dict[str, Rouge] = {}
        self.seconds = 0.0
        self._since = 0.0
        self._config = config
        self._fit = config.loop
        self._loop = config.loop.loop(config.document.max_sentence_tokens)
        self._most = max(one.sentences for one in config.sets)
        self._dev = dev
        self._steps = steps
        self._outputs: dict[str, list[Tensor]] = {}

    @property
    def done(self) -> float:
        """The share of the fit that lies behind, by steps or by the clock, whichever is ahead."""
        by_steps = self.global_step / self._steps
        by_clock = self.seconds / (60 * self._fit.minutes) if self._fit.minutes else 0.0
        return min(1.0, max(by_steps, by_clock))

    def training_step(self, batch: DocumentBatch, _index: int) -> Tensor:
        """Return the loss of one batch."""
        torch.manual_seed((self._config.seed << 32) + self.global_step)
        hidden = torch.rand(batch.ids.shape, device=batch.ids.device) < self._config.model.word_dropout  # [N, T]
        logits = self.network(batch.ids.masked_fill(hidden, UNK_ID), batch.lens, batch.counts).float()  # [B, S]
        loss = label_loss(logits, batch)  # []
        if self._fit.gain_weight:
            loss = loss + self._fit.gain_weight * gain_loss(logits, batch, self._fit.gain_temperature)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.counts))
        self.log("train/learning_rate", self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        if self._fit.reward_weight and self.done >= self._fit.reward_from:
            loss = loss + self._fit.reward_weight * reward_loss(
                logits, batch.counts, batch.scorers, self._most, self._fit.samples
            )
        return loss

    def transfer_batch_to_device(
        self, batch: DocumentBatch, device: torch.device, dataloader_idx: int
    ) -> DocumentBatch:
        """Move the tensors of a batch and leave its scorers alone, which Lightning would take apart."""
        del dataloader_idx
        return DocumentBatch(
            batch.ids.to(device),
            batch.lens.to(device),
            batch.counts.to(device),
            batch.labels.to(device),
            batch.gains.to(device),
            batch.scorers,
        )

    def on_train_start(self) -> None:
        """Start the clock, which is the processor's: what else runs on the machine is not to cut a fit short."""
        self._since = time.process_time()

    def on_train_batch_end(self, *_: Any) -> None:
        """Stop when the time is up."""
        if self._fit.minutes and self.seconds >= 60 * self._fit.minutes:
            self.trainer.should_stop = True

    def on_train_epoch_start(self) -> None:
        """Go on with the clock; a look at dev is not training."""
        self._since = time.process_time()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the time spent, so that a resumed run counts it, and one that it ended goes on where there is more."""
        checkpoint["seconds"] = self.seconds

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting from the time spent."""
        self.seconds = checkpoint["seconds"]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Move the weights, then their average."""
        super().optimizer_step(*args, **kwargs)
        self.averaged.update_parameters(self.network)
        now = time.process_time()
        self.seconds, self._since = self.seconds + now - self._since, now

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's scores."""
        self._outputs = {name: [] for name in self._dev}

    def validation_step(self, batch: DocumentBatch, _index: int, dataloader_idx: int = 0) -> None:
        """Keep the logits of one dev batch."""
        logits = self.averaged(batch.ids, batch.lens, batch.counts).float()  # [B, S]
        name = list(self._dev)[dataloader_idx]
        self._outputs[name] += [row[:count] for row, count in zip(logits, batch.counts, strict=True)]

    def on_validation_epoch_end(self) -> None:
        """Score every dev set by the ROUGE of what would be quoted; `dev/score` is the mean of the sets' own."""
        for name, logits in self._outputs.items():
            self.dev_scores[name] = self._rouge(self._dev[name], logits)
        figures = {name: self.dev_scores[name].mean for name in self._outputs}
        self.log_dict({f"dev/{name}": value for name, value in figures.items()})
        self.log(DEV_SCORE, sum(figures.values()) / len(figures), prog_bar=True)

    def _rouge(self, dev: DevSet, logits: list[Tensor]) -> Rouge:
        language = self._config.language
        order = np.concatenate(dev.batches.order)
        found = []
        for at, row in zip(order, logits, strict=True):
            text = dev.texts[at]
            scores = row.cpu().numpy()
            places = choose(scores, np.zeros((len(scores), 1), np.float32), dev.sentences, 0.0)
            summary = joined([text.sentences[place] for place in places], language)
            found.append(scorer(language).score(summary, text.references))
        return Rouge.average(found)

    def configure_optimizers(self) -> Any:
        """AdamW (Loshchilov and Hutter 2019), its rate by steps or by the clock; no decay on biases."""
        weights = list(self.network.parameters())
        groups = [
            {"params": [one for one in weights if one.ndim > 1], "weight_decay": self._fit.weight_decay},
            {"params": [one for one in weights if one.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self._fit.learning_rate, betas=(0.9, 0.99), fused=True)
        rates = LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def _rate(self, step: int) -> float:
        ahead = max(step, int(self.done * self._steps)) if self._fit.minutes and self._trainer else step
        return share_at(ahead, self._steps, self._loop)


def label_loss(logits: Tensor, batch: DocumentBatch) -> Tensor:
    """Return float32[], the binary cross-entropy of the labels float32[B, S], every document counting alike."""
    mask = torch.arange(logits.shape[1], device=logits.device) < batch.counts.unsqueeze(1)  # [B, S]
    losses = nn.functional.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none")  # [B, S]
    return ((losses * mask).sum(dim=1) / batch.labels.sum(dim=1).clamp(min=1.0)).mean()  # []


def gain_loss(logits: Tensor, batch: DocumentBatch, temperature: float) -> Tensor:
    """Return float32[], how far the scores' shares are from those of each sentence's own ROUGE (Cao et al. 2007)."""
    beyond = torch.arange(logits.shape[1], device=logits.device) >= batch.counts.unsqueeze(1)  # [B, S]
    wanted = (batch.gains / temperature).masked_fill(beyond, NEVER).softmax(dim=1)  # [B, S]
    shares = logits.masked_fill(beyond, NEVER).log_softmax(dim=1)  # [B, S]
    return -(wanted * shares).sum(dim=1).mean()  # []


def warm_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """Return the running average's rule: exponential, and over the fewer steps the fewer there have been.

    In a short fit a plain one would be half made of the random weights that it began with.
    """

    @torch.no_grad()
    def average(averaged: Sequence[Tensor], current: Sequence[Tensor], number: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(number)) / (10 + int(number)))
        for one, other in zip(averaged, current, strict=True):
            one.lerp_(other.to(one.dtype), share)

    return average


def averaged_network(training: ExtractTraining) -> Extractor:
    """Return the averaged weights as a plain network, for use and not for training."""
    module: nn.Module = training.averaged.module
    if not isinstance(module, Extractor):
        raise TypeError("This is a bug: the average holds another module.")
    return module.eval()
