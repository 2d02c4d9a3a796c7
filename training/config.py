"""One TOML file says everything about a run; it is read once into frozen models and passed down."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from app.modelpack.manifest import Classifying, check_labels
from training.errors import ConfigError
from training.fields import Factor, Name, NotNegative, Positive, Share, Strict, read_table, validated
from training.models.config import ModelConfig

Metric = Literal["accuracy", "macro_f1", "macro_recall"]


class TrainPart(Strict):
    """One split that is trained on, and how often.

    `rows_per_epoch` is the set's weight: fewer than the split holds and successive epochs walk through all of it in
    turn, more and rows come again within an epoch. `balance` weighs a row by (rows of its class)^-balance: 0 leaves the
    classes as they are, 1 makes them count alike.
    """

    split: str = "train"
    rows_per_epoch: Positive
    balance: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


class DataSet(Strict):
    """One data set: what of it is trained on, what its dev split is scored by, and what the model card says of it.

    `must_beat` names other people's or methods' figures on the test split, `goal` is what is aimed at; both in per cent
    of `metric`, both for the card alone.
    """

    name: Name
    metric: Metric
    train: tuple[TrainPart, ...] = Field(min_length=1)
    title: str
    source: str
    licence: str
    must_beat: dict[str, float] = Field(default_factory=dict)
    goal: float | None = None


class TokenizerConfig(Strict):
    """The byte-pair encoding; `max_tokens` is the length at which the packaged model truncates a text.

    Letters rarer than the `alphabet` most frequent are unknown: a vocabulary is for words, not for every emoji once
    seen. Chinese, whose words are spelt in some thousands of characters, needs about 7000.
    """

    vocab_size: Positive
    min_frequency: Positive
    normalization: Positive
    max_tokens: Positive
    alphabet: Positive = 1000


class TextSource(Strict):
    """Text to read without labels: column `field` of <data>/<folder>/<name>/<split>, its first `rows` where set."""

    folder: Literal["sentiment", "summarization"] = "sentiment"
    name: Name
    split: str = "train"
    field: str = "text"
    rows: Positive | None = None


class PretrainConfig(Strict):
    """The language model that the recurrent branch starts from: all training text, and `texts` beside it.

    A batch is `rows` windows of `window` tokens; `negatives` are what the sampled softmax tells a token from.
    """

    texts: tuple[TextSource, ...] = ()
    epochs: Positive = 1
    window: Annotated[int, Field(gt=1)] = 96
    rows: Positive = 96
    negatives: Positive = 512
    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-3
    warmup: Share = 0.02
    dropout: Share = 0.1
    gradient_clip: Annotated[float, Field(gt=0.0)] = 1.0
    precision: Literal["32", "bf16"] = "bf16"
    checkpoint_every_steps: Positive = 300


class TaughtText(Strict):
    """Text without labels that the teachers label: a split among `pretrain.texts`, judged as rows of the set `like`."""

    name: Name
    split: str
    like: Name
    rows_per_epoch: Positive


class DistillConfig(Strict):
    """Learning from an ensemble (Hinton et al. 2015): the mean probabilities of finished runs, called `teachers`.

    They speak on every training row, mixed with its label by `loop.distill_weight`, and on `texts`, which have none.
    """

    teachers: tuple[str, ...] = Field(min_length=1)
    texts: tuple[TaughtText, ...] = ()


class AuxiliarySet(Strict):
    """A second labelled set that the recurrent branch learns beside its own, through a head that training alone has.

    A row of it counts in the loss as `weight` rows of the network's own sets. It is never scored, and its texts do not
    shape the tokenizer.
    """

    name: Name
    split: str = "train"
    labels: tuple[str, ...] = Field(min_length=2)
    weight: Annotated[float, Field(gt=0.0)] = 1.0
    rows_per_epoch: Positive


class LinearConfig(Strict):
    """The fit of the n-gram branch: L2 strengths to choose from on dev, and where L-BFGS stops.

    `bayes` is how far a weight's leash follows the n-gram's naive Bayes log-count ratio (Wang and Manning 2012): 0
    holds all n-grams of a frequency alike, 1 leaves one that is as common in every class no weight at all.
    """

    l2: tuple[float, ...] = Field(min_length=1)
    max_iterations: Positive
    bayes: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


class LoopConfig(Strict):
    """The fit of the recurrent branch; a batch holds at most `max_cells` = rows x longest, and `max_rows` rows.

    What is 0 is off. A key that only another choice would use is refused unless it has its default.
    """

    epochs: Positive
    max_cells: Positive
    max_rows: Positive
    max_train_tokens: Positive
    precision: Literal["32", "bf16"] = "32"
    learning_rate: Annotated[float, Field(gt=0.0)]
    schedule: Literal["constant", "step", "exponential", "cosine", "plateau", "one_cycle"] = "cosine"
    warmup: Share
    final_rate: Share = 0.0
    step_epochs: Positive = 1
    step_factor: Factor = 0.5
    plateau_patience: Annotated[int, Field(ge=0)] = 0
    plateau_factor: Factor = 0.5
    one_cycle_start: Share = 0.04
    weight_decay: NotNegative
    gradient_clip: NotNegative
    gradient_clip_value: NotNegative = 0.0
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: NotNegative = 2.0
    label_smoothing: Share
    distill_weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    distill_temperature: Annotated[float, Field(gt=0.0)] = 1.0
    fgm_epsilon: NotNegative = 0.0
    fgm_from: Share = 0.0
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    unfreeze_epochs: Annotated[int, Field(ge=0)] = 0
    auxiliary_lm: NotNegative = 0.0
    ema_decay: Share
    patience: Positive
    dev_rows: Positive
    checkpoint_every_steps: Positive

    @model_validator(mode="after")
    def _keys_agree(self) -> Self:
        used_by = {
            "final_rate": ("schedule", ("exponential", "cosine", "one_cycle")),
            "step_epochs": ("schedule", ("step",)),
            "step_factor": ("schedule", ("step",)),
            "plateau_patience": ("schedule", ("plateau",)),
            "plateau_factor": ("schedule", ("plateau",)),
            "one_cycle_start": ("schedule", ("one_cycle",)),
            "focal_gamma": ("loss", ("focal",)),
        }
        for key, (switch, values) in used_by.items():
            if self._is_set(key) and getattr(self, switch) not in values:
                raise ValueError(
                    f"{key} = {getattr(self, key)}: only {switch} = {' or '.join(map(repr, values))} uses it, "
                    f"not {getattr(self, switch)!r}"
                )
        for key, needed in {"fgm_from": "fgm_epsilon", "distill_temperature": "distill_weight"}.items():
            if self._is_set(key) and not getattr(self, needed):
                raise ValueError(f"{key} = {getattr(self, key)}: expected {needed} above 0 with it")
        if self.gradient_clip and self.gradient_clip_value:
            raise ValueError(
                f"gradient_clip = {self.gradient_clip}, gradient_clip_value = {self.gradient_clip_value}: "
                "expected one of them to be 0"
            )
        if self.unfreeze_epochs and self.epochs <= 2 * self.unfreeze_epochs:
            raise ValueError(
                f"unfreeze_epochs = {self.unfreeze_epochs}: the embedding would never learn in epochs = {self.epochs}; "
                "expected less than half of them"
            )
        if self.schedule == "exponential" and not self.final_rate:
            raise ValueError("final_rate = 0.0: expected above 0 with schedule = 'exponential'")
        if self.schedule == "one_cycle" and not self.warmup:
            raise ValueError("warmup = 0.0: expected above 0 with schedule = 'one_cycle', which rises over it")
        return self

    def _is_set(self, key: str) -> bool:
        return bool(getattr(self, key) != type(self).model_fields[key].default)


class BlendConfig(Strict):
    """The shares of the n-gram branch in the blended logits to choose from on dev."""

    ngram_shares: tuple[Annotated[float, Field(ge=0.0, le=1.0)], ...] = Field(min_length=1)


class GateConfig(Strict):
    """What a package must reach: largest difference of logits, smallest share of equal labels, most int8 may cost.

    `int8_points` is in points of each set's own figure on dev.
    """

    parity: Annotated[float, Field(gt=0.0)]
    int8_agreement: Annotated[float, Field(ge=0.0, le=1.0)]
    int8_points: Annotated[float, Field(ge=0.0)] = 0.3


class RunConfig(Strict):
    """Everything about a run."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Positive
    task: Classifying
    languages: tuple[str, ...] = Field(min_length=1)
    labels: tuple[str, ...] = Field(min_length=2)
    summary: str
    limits: tuple[str, ...]
    rebuild: str | None = None
    seed: int
    tokenizer: TokenizerConfig
    model: ModelConfig
    pretrain: PretrainConfig | None = None
    distill: DistillConfig | None = None
    ngrams: LinearConfig
    loop: LoopConfig
    blend: BlendConfig
    gates: GateConfig
    sets: tuple[DataSet, ...] = Field(min_length=1)
    auxiliary: tuple[AuxiliarySet, ...] = ()

    @model_validator(mode="after")
    def _labels_are_the_tasks(self) -> Self:
        check_labels(self.task, self.labels)
        return self

    @model_validator(mode="after")
    def _frozen_weights_are_pretrained(self) -> Self:
        if self.loop.unfreeze_epochs and self.pretrain is None:
            raise ValueError(
                f"loop.unfreeze_epochs = {self.loop.unfreeze_epochs}: expected [pretrain] with it, "
                "frozen weights would be random ones"
            )
        return self

    @model_validator(mode="after")
    def _taught_texts_are_known(self) -> Self:
        if self.distill is None:
            return self
        if not self.loop.distill_weight:
            raise ValueError("loop.distill_weight = 0: expected above 0 with [distill]")
        sets = [one.name for one in self.sets]
        texts = [(one.name, one.split) for one in (self.pretrain.texts if self.pretrain else ())]
        for text in self.distill.texts:
            if text.like not in sets:
                raise ValueError(f"distill.texts: like = {text.like!r} is none of the sets {sets}")
            if (text.name, text.split) not in texts:
                raise ValueError(f"distill.texts: {text.name}/{text.split} is not among pretrain.texts")
        return self

    @model_validator(mode="after")
    def _tokens_to_tell_are_unseen(self) -> Self:
        weight, model = self.loop.auxiliary_lm, self.model
        if not weight:
            return self
        where = f"loop.auxiliary_lm = {weight}"
        if model.recurrent_norm == "batch":
            raise ValueError(f'{where}: expected recurrent_norm = "none", that is torch\'s own cells')
        if model.bidirectional and model.layers > 1:
            raise ValueError(f"{where}: expected layers = 1 where bidirectional, a second has seen the whole text")
        if model.bidirectional and model.bigram_buckets:
            raise ValueError(f"{where}: expected bigram_buckets = 0 where bidirectional, a pair holds the answer")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [one.name for one in self.sets]
        if len(set(names)) < len(names):
            raise ValueError(f"sets: a name occurs twice in {names}")
        for at, one in enumerate(self.auxiliary):
            if one.name in names:
                raise ValueError(f"auxiliary.{at}.name = {one.name!r}: expected a set that is not trained on already")
            if len(set(one.labels)) < len(one.labels):
                raise ValueError(f"auxiliary.{at}.labels: one occurs twice in {list(one.labels)}")
            names.append(one.name)
        return self


def load(path: Path) -> RunConfig:
    """Read a run's TOML file; `ConfigError` names the file, the key and what was expected."""
    return validated(RunConfig, read_table(path), str(path))


def find(folder: Path, data_set: str) -> Path:
    """Return the first file, by name, of the runs in `folder` that name the set; `ConfigError` says where it looked.

    Runs that summarize are left aside. A file that is no run, or a broken one, is passed over; the error names it if
    nothing else was found.
    """
    broken = []
    for path in sorted(folder.glob("*.toml"), key=lambda path: path.stem):
        try:
            if read_table(path).get("task") in {"extract", "summarize"}:
                continue
            if data_set in {one.name for one in load(path).sets}:
                return path
        except ConfigError as error:
            broken.append(str(error).splitlines()[0])
    passed_over = f"; passed over: {'; '.join(broken)}" if broken else ""
    raise ConfigError(f"{data_set!r}: no run in {folder} names this set; --config names another run{passed_over}")
