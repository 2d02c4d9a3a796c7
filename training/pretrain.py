"""Language-model pre-training: the encoder learns to read all the text at hand before it sees a label.

Dai and Le 2015 start a classifier from a language model of its own domain; ULMFiT (Howard and Ruder 2018) shows that
most of the gain comes without outside text. Documents are laid end to end with the padding id between them, which the
model learns to predict as an end, and cut into windows; text beyond every labelled set may be added (`texts`).
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import lightning as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import CSVLogger
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from training import tokenizer
from training.checkpoints import Keep, SafetensorsIO
from training.config import PretrainConfig, RunConfig
from training.corpus import Corpus
from training.errors import RunError
from training.models.encoder import FUSED, FusedEncoder
from training.models.language import LanguageModel, SampledSoftmax
from training.models.recurrent import RecurrentBranch
from training.paths import RunPaths
from training.precision import precision_for
from training.prepare import dev as open_dev
from training.prepare import texts as open_texts
from training.progress import progress
from training.quiet import quiet
from training.trainer import ONE_CPU, Machines

DEV_WINDOWS = 256
BETAS = (0.9, 0.98)
CELLS = "encoder.cells."
DIRECTIONS = ("", "_reverse")
WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


def stream(corpora: Sequence[Corpus], seed: int) -> NDArray[np.int32]:
    """Lay all rows end to end in a random order, int32[tokens], the padding id after each."""
    rows = [corpus.row(at) for corpus in corpora for at in range(len(corpus))]
    order = np.random.default_rng(seed).permutation(len(rows))
    end = np.array([tokenizer.PAD_ID], dtype=np.int32)
    return np.concatenate([part for at in order for part in (rows[at], end)])


class Windows:
    """Batches int64[rows, window] of a stream, an epoch being one walk through it; a function of the seed alone.

    The state is two numbers, which Lightning keeps in the checkpoint, so that a killed run goes on with the next batch.
    """

    def __init__(self, tokens: NDArray[np.int32], config: PretrainConfig, seed: int) -> None:
        self._config = config
        self._seed = seed
        self._epoch = 0
        self._position = 0
        # Windows begin elsewhere in each epoch, so one window is held back.
        self._count = (len(tokens) - config.window) // config.window
        if self._count < config.rows:
            raise RunError(
                f"pretrain: {len(tokens)} tokens are fewer than one batch of {config.rows} x {config.window}"
            )
        self._tokens = tokens

    def __len__(self) -> int:
        return self._count // self._config.rows

    def state_dict(self) -> dict[str, Any]:
        """Return where the next batch comes from."""
        return {"epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up again where `state_dict` was taken."""
        self._epoch, self._position = state["epoch"], state["position"]

    def __iter__(self) -> Iterator[Tensor]:
        """Give what is left of the epoch."""
        rng = np.random.default_rng([self._seed, self._epoch])
        offset, order = rng.integers(self._config.window), rng.permutation(self._count)
        table = self._tokens[offset : offset + self._count * self._config.window].reshape(self._count, -1)
        for position in range(self._position, len(self)):
            first = position * self._config.rows
            ended = position + 1 == len(self)
            # Moved before the batch is given, because the state is read while the batch is being learnt from.
            self._epoch, self._position = (self._epoch + 1, 0) if ended else (self._epoch, position + 1)
            yield torch.from_numpy(table[order[first : first + self._config.rows]]).long()


class Pretraining(pl.LightningModule):
    """A language model, its optimizer and its rate."""

    def __init__(self, model: LanguageModel, config: PretrainConfig, *, steps: int, seed: int) -> None:
        super().__init__()
        self.model = model
        self._config = config
        self._steps = steps
        self._seed = seed

    def on_train_batch_start(self, _batch: Tensor, _index: int) -> None:
        """Make a step's dropout and negatives a function of seed and step, so that a resumed run draws them again."""
        torch.manual_seed((self._seed << 32) + self.global_step)

    def training_step(self, batch: Tensor, _index: int) -> Tensor:
        """Return the loss of one batch of windows, in nats a token by sampled softmax."""
        loss: Tensor = self.model(batch, self._config.dropout)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW with a linear rise and a cosine fall; not fused, which Lightning will not clip under bf16."""
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=self._config.learning_rate, betas=BETAS, weight_decay=0.0, foreach=True
        )
        schedule = OneCycleLR(
            optimizer,
            self._config.learning_rate,
            total_steps=self._steps + 1,
            pct_start=self._config.warmup,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@dataclass(frozen=True, slots=True)
class Pretrained:
    """Tokens of one walk, and the perplexity of each reader on dev text by the full softmax: reading on, then back."""

    tokens: int
    perplexities: list[float]


def pretrain(
    config: RunConfig,
    paths: RunPaths,
    say: Callable[[str], None],
    *,
    resume: bool = True,
    machines: Machines = ONE_CPU,
) -> Pretrained:
    """Fit the language model and write the encoder's weights; `RunError` where the config has no [pretrain]."""
    settings = _settings(config)
    tokens = stream(open_texts(config, paths), config.seed)
    windows = Windows(tokens, settings, config.seed)
    say(f"pretrain: {len(tokens)} tokens, {len(windows)} batches of {settings.rows} x {settings.window} an epoch")
    torch.manual_seed(config.seed)
    branch = new_branch(config, paths)
    model = language_model(branch, tokens, settings)
    training = Pretraining(model, settings, steps=len(windows) * settings.epochs, seed=config.seed)
    last = paths.pretraining if resume and paths.pretraining.exists() else None
    trainer = open_trainer(settings, paths, machines)
    with quiet():
        trainer.fit(training, windows, ckpt_path=last)
        trainer.save_checkpoint(paths.pretraining)
    save_file(encoder_weights(model), str(paths.pretrained))
    found = Pretrained(len(tokens), perplexities(model, stream(list(open_dev(config, paths).values()), 0), settings))
    paths.pretrain_report.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
    say(f"pretrain: {found}")
    return found


class Reading(Protocol):
    """A network that reads: its embedding, and the encoder over it."""

    @property
    def embedding(self) -> nn.Embedding:
        """The embedding."""

    @property
    def encoder(self) -> nn.Module:
        """The encoder."""


def language_model(branch: Reading, tokens: NDArray[np.int32], settings: PretrainConfig) -> LanguageModel:
    """Make a language model of a branch's embedding and of one-way layers like its first, with the same weights.

    `RunError` where the branch's encoder is not of torch's own cells.
    """
    if not isinstance(branch.encoder, FusedEncoder):
        raise RunError('pretrain: expected recurrent_norm = "none", a language model reads with torch\'s own cells')
    cells = branch.encoder.cells
    readers = []
    for suffix in DIRECTIONS[: 1 + cells.bidirectional]:
        reader = FUSED[branch.encoder.cell](cells.input_size, cells.hidden_size, batch_first=True)
        reader.load_state_dict({name: cells.state_dict()[name + suffix] for name in WEIGHTS})
        readers.append(reader)
    counts = torch.from_numpy(np.bincount(tokens, minlength=branch.embedding.num_embeddings))  # [V]
    return LanguageModel(branch.embedding, readers, SampledSoftmax(counts, settings.negatives))


def encoder_weights(model: LanguageModel) -> dict[str, Tensor]:
    """Return the embedding and the readers' weights under the names that a recurrent branch gives them."""
    found = {"embedding.weight": model.embedding.weight.detach()}
    for reader, suffix in zip(model.readers, DIRECTIONS, strict=False):
        found |= {f"{CELLS}{name}{suffix}": weight.detach().clone() for name, weight in reader.state_dict().items()}
    return found


def load_encoder(branch: nn.Module, path: Path) -> None:
    """Put pre-trained weights into a branch; `RunError` where they are of another size."""
    own = branch.state_dict()
    for name, weight in load_file(str(path)).items():
        if name not in own or own[name].shape != weight.shape:
            wanted = list(own[name].shape) if name in own else "none of that name"
            raise RunError(f"{path}: {name} is {list(weight.shape)}, the branch has {wanted}; pretrain this config")
        own[name].copy_(weight)


def new_branch(config: RunConfig, paths: RunPaths) -> RecurrentBranch:
    """Make an untrained branch of the config's sizes for the prepared vocabulary."""
    vocabulary = tokenizer.load(paths.need(paths.tokenizer, "prepare"))
    return RecurrentBranch(config.model, vocabulary.get_vocab_size(), len(config.labels), tokenizer.PAD_ID)


def _settings(config: RunConfig) -> PretrainConfig:
    if config.pretrain is None:
        raise RunError(f"{config.name}: the config has no [pretrain] section, so there is nothing to pre-train")
    return config.pretrain


def perplexities(model: LanguageModel, tokens: NDArray[np.int32], settings: PretrainConfig) -> list[float]:
    """Return each reader's perplexity, by the full softmax, on the first windows of a stream int32[tokens]."""
    count = min(DEV_WINDOWS, len(tokens) // settings.window)
    windows = torch.from_numpy(tokens[: count * settings.window].reshape(count, -1)).long()  # [N, T]
    model.eval()
    with torch.inference_mode():
        sums = [model.losses(part) for part in torch.split(windows, 16)]
    places = count * (settings.window - 1)
    return [round(math.exp(float(sum(column)) / places), 2) for column in zip(*sums, strict=True)]


def open_trainer(settings: PretrainConfig, paths: RunPaths, machines: Machines = ONE_CPU) -> pl.Trainer:
    """Return the trainer of a language model, which keeps one checkpoint."""
    bar = progress()
    return pl.Trainer(
        accelerator=machines.accelerator,
        devices=machines.devices,
        precision=precision_for(settings.precision, machines.accelerator),
        max_epochs=settings.epochs,
        gradient_clip_val=settings.gradient_clip,
        log_every_n_steps=20,
        enable_model_summary=False,
        enable_progress_bar=isinstance(bar, ProgressBar),
        logger=CSVLogger(paths.pretrain_logs, "csv"),
        plugins=[SafetensorsIO()],
        callbacks=[
            Keep(paths.pretraining, every_n_train_steps=settings.checkpoint_every_steps),
            bar,
        ],
    )
