"""One TOML file says everything about the training of a summarizer that quotes."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from training.config import LoopConfig, TokenizerConfig
from training.fields import Name, NotNegative, Positive, Share, Strict, read_table, validated
from training.models.config import ModelConfig


class DocumentConfig(Strict):
    """What is read of a document: its first sentences, and the first tokens of each."""

    max_sentences: Positive
    max_sentence_tokens: Positive


class NetworkConfig(Strict):
    """Sizes of the network, `hidden` being a direction's, and dropout rates that hold in training alone.

    With `likeness` a sentence is also told by how like its words are to the rest of the document.
    """

    embedding: Positive
    hidden: Positive
    document_hidden: Positive
    positions: Positive = 50
    likeness: bool = False
    word_dropout: Share = 0.0
    embedding_dropout: Share = 0.0
    output_dropout: Share = 0.0

    def cells(self, embedding: int, hidden: int) -> ModelConfig:
        """Return what `FusedEncoder` wants to know of one of its two encoders."""
        return ModelConfig(
            embedding=embedding, hidden=hidden, attention=1, word_dropout=0.0, embedding_dropout=0.0, output_dropout=0.0
        )


class FitConfig(Strict):
    """The fit; a batch holds at most `max_rows` documents and `max_cells` = sentences x longest of all of them.

    With `minutes`, of processor time, the rate falls by the clock where that is ahead of the steps, and the fit ends
    with it; a run that it ended goes on where they are raised. The loss is that of the labels and `gain_weight` parts
    of one that ranks sentences by their own ROUGE, the sharper the lower `gain_temperature`. From the share
    `reward_from` of the fit on, it has `reward_weight` parts of reinforcement on ROUGE as well (Dong et al. 2018,
    BanditSum), of `samples` draws a document.
    """

    epochs: Positive
    minutes: Annotated[float, Field(gt=0.0)] | None = None
    max_cells: Positive
    max_rows: Positive
    precision: Literal["32", "bf16"] = "bf16"
    learning_rate: Annotated[float, Field(gt=0.0)]
    warmup: Share = 0.02
    final_rate: Share = 0.02
    weight_decay: NotNegative = 0.01
    gradient_clip: Annotated[float, Field(gt=0.0)] = 1.0
    ema_decay: Share = 0.998
    gain_weight: NotNegative = 0.0
    gain_temperature: Annotated[float, Field(gt=0.0)] = 0.05
    reward_from: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    reward_weight: NotNegative = 0.0
    samples: Positive = 16
    patience: Positive = 5
    dev_rows: Positive = 300
    checkpoint_every_steps: Positive = 200

    def loop(self, max_train_tokens: int) -> LoopConfig:
        """Return what the trainer and the schedule want to know."""
        shared = self.model_dump(
            include=set(LoopConfig.model_fields) & set(type(self).model_fields), exclude_defaults=False
        )
        return LoopConfig(**shared, max_train_tokens=max_train_tokens, label_smoothing=0.0)


class ExtractSet(Strict):
    """One set of documents with summaries: what of it is trained on, and what the card says of it.

    `rows` are the first rows of the training split that are read, `rows_per_epoch` its weight; `sentences` are how many
    are quoted for a summary, in its labels as in its figures.
    """

    name: Name
    rows: Positive | None = None
    rows_per_epoch: Positive
    sentences: Positive
    title: str
    source: str
    licence: str


class QuotingConfig(Strict):
    """The request option `sentences`, and the weights of redundancy to choose from on dev."""

    most_sentences: Positive
    sentences: Positive
    redundancies: tuple[NotNegative, ...] = Field((0.0,), min_length=1)


class GateConfig(Strict):
    """What a package must reach: difference of scores, share of quotes that int8 leaves as they are, what it costs."""

    parity: Annotated[float, Field(gt=0.0)] = 1e-4
    int8_equal: Annotated[float, Field(ge=0.0, le=1.0)] = 0.9
    int8_points: NotNegative = 0.2


class ExtractConfig(Strict):
    """Everything about a run; `observed` is what whoever read its summaries saw go wrong, for the card."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Positive
    task: Literal["extract"]
    language: Literal["en", "zh"]
    summary: str
    limits: tuple[str, ...]
    observed: tuple[str, ...] = ()
    seed: int
    tokenizer: TokenizerConfig
    document: DocumentConfig
    model: NetworkConfig
    loop: FitConfig
    quoting: QuotingConfig
    gates: GateConfig = GateConfig()
    sets: tuple[ExtractSet, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [one.name for one in self.sets]
        if len(set(names)) < len(names):
            raise ValueError(f"sets: a name occurs twice in {names}")
        return self

    @model_validator(mode="after")
    def _a_document_fits(self) -> Self:
        most = self.document.max_sentences * self.document.max_sentence_tokens
        if self.tokenizer.max_tokens != most:
            raise ValueError(
                f"tokenizer.max_tokens = {self.tokenizer.max_tokens}: expected {most}, "
                "document.max_sentences times document.max_sentence_tokens"
            )
        return self


def load(path: Path) -> ExtractConfig:
    """Read a run's TOML file; `ConfigError` names the file, the key and what was expected."""
    return validated(ExtractConfig, read_table(path), str(path))
