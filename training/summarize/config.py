"""One TOML file says everything about the training of a summarizer that writes."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from app.modelpack.summaries import Option
from training.config import PretrainConfig
from training.fields import Name, NotNegative, Positive, Share, Strict, read_table, validated

Kind = Literal["headline", "dialogue", "abstract"]
Language = Literal["en", "zh"]
KINDS: tuple[Kind, ...] = ("headline", "dialogue", "abstract")
NORMALIZATIONS: dict[Language, int] = {"en": 3, "zh": 4}


class PairSet(Strict):
    """One set of documents with summaries: what of it is trained on, as which kind, and what the card says of it.

    `rows_per_epoch` is the set's weight, as in `training.config.TrainPart`; 0 leaves it untrained. With `pairs =
    "sentences"` a document and its summary become pairs of one summary sentence and the document's sentence that says
    most of it, `rows` of the documents being read. A set that is not `scored` has no part in choosing the best
    checkpoint, nor a row in the card; what a scored one is held against stands in `training.conventions`. One that
    is `tested` has a row in the card all the same: it has no dev split, as duc2004_task1 has none.
    """

    name: Name
    kind: Kind
    rows_per_epoch: Annotated[int, Field(ge=0)]
    rows: Positive | None = None
    pairs: Literal["whole", "sentences"] = "whole"
    scored: bool = True
    tested: bool = False
    title: str
    source: str
    licence: str


class VocabularyConfig(Strict):
    """The byte-pair encoding that source and summary share; characters rarer than the `alphabet` first are unknown.

    A document is cut at its kind's `max_tokens`, a summary at `max_summary_tokens`; the package takes the longest.
    """

    vocab_size: Positive
    alphabet: Positive
    min_frequency: Positive = 2
    max_tokens: dict[Kind, Positive]
    max_summary_tokens: Positive


class PointerConfig(Strict):
    """Sizes of the network, and dropout rates that hold in training alone; `hidden` is a direction's."""

    embedding: Positive
    hidden: Positive
    decoder: Positive
    attention: Positive
    embedding_dropout: Share = 0.0
    encoder_dropout: Share = 0.0
    output_dropout: Share = 0.0
    word_dropout: Share = 0.0


class StageConfig(Strict):
    """One stage's loop: AdamW, a rate that rises over `warmup` and falls along half a cosine to `final_rate` of it.

    A batch has at most `max_rows` rows and `max_cells` = rows x (longest source + `target_cost` x longest target).
    With `minutes` the schedule goes by the clock where that is ahead of the steps, and the stage ends with it.
    The loss of coverage counts `coverage` from the share `coverage_from` of the stage on, and `reward_weight` parts of
    reinforcement on ROUGE (Paulus et al. 2018) from the share `reward_from` on.
    """

    epochs: Positive
    minutes: Annotated[float, Field(gt=0.0)] | None = None
    max_cells: Positive
    max_rows: Positive
    target_cost: Positive = 3
    precision: Literal["32", "bf16"] = "bf16"
    learning_rate: Annotated[float, Field(gt=0.0)]
    warmup: Share = 0.02
    final_rate: Share = 0.02
    weight_decay: NotNegative = 0.01
    gradient_clip: Annotated[float, Field(gt=0.0)] = 1.0
    label_smoothing: Share = 0.0
    coverage: NotNegative = 0.0
    coverage_from: Share = 0.0
    reward_weight: NotNegative = 0.0
    reward_from: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    ema_decay: Share = 0.999
    dev_rows: Positive = 100
    patience: Positive = 4
    checkpoint_every_steps: Positive = 300


class Documents(Strict):
    """Documents to pre-train on, read as a `kind`: column `field` of <data>/<folder>/<name>/train, `rows` of them."""

    folder: Literal["sentiment", "summarization"] = "summarization"
    name: Name
    field: str = "document"
    kind: Kind
    rows: Positive | None = None


class RestoreConfig(Strict):
    """The second stage: writing one sentence of a passage that was taken out of it (PEGASUS) or garbled in it (BART).

    A document gives at most `passages` passages of at most `max_tokens` tokens; `gap_share` of them have a gap. What is
    written has at least `min_target` and at most `max_target` tokens. `rows_per_epoch` of them make an epoch.
    """

    max_tokens: Positive = 96
    min_target: Positive = 5
    max_target: Positive = 32
    passages: Positive = 1
    gap_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    garbled: Share = 0.5
    rows_per_epoch: Positive
    loop: StageConfig


class DocumentsConfig(Strict):
    """What comes before the pairs: a language model, then sentences to restore; either may be left out.

    The language model reads up to `language_model_tokens` of the documents, each an epoch of its own settings.
    """

    documents: tuple[Documents, ...] = Field(min_length=1)
    language_model: PretrainConfig | None = None
    language_model_tokens: Positive = 4_000_000
    restore: RestoreConfig | None = None


class KindOptions(Strict):
    """A kind's request options: bounds and default of each."""

    beams: Option
    min_tokens: Option
    max_tokens: Option
    length_penalty: Option


class GenerationConfig(Strict):
    """How the package writes where a request does not say; see the manifest's section of that name.

    Where `length_penalties` are given, `pack` takes the one that does best on dev as each kind's default.
    """

    block_ngram: Annotated[int, Field(ge=0)] = 3
    coverage_penalty: NotNegative = 0.0
    digit_ids_only_copied: bool = True
    recase: bool = True
    length_penalties: tuple[NotNegative, ...] = ()
    kinds: dict[Kind, KindOptions] = Field(min_length=1)


class GateConfig(Strict):
    """What a package must reach: equal greedy summaries of torch and ONNX, and of int8 and fp32, as shares."""

    documents: Positive = 500
    fp32_equal: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    int8_equal: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    int8_points: NotNegative = 0.3


class SummarizeConfig(Strict):
    """Everything about a run; `observed` is what a reader of its summaries found wrong with them, for the card."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    version: Positive
    task: Literal["summarize"]
    language: Language
    summary: str
    limits: tuple[str, ...]
    observed: tuple[str, ...] = ()
    rebuild: str | None = None
    seed: int
    vocabulary: VocabularyConfig
    model: PointerConfig
    pretrain: DocumentsConfig | None = None
    loop: StageConfig
    generation: GenerationConfig
    gates: GateConfig = GateConfig()
    sets: tuple[PairSet, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [one.name for one in self.sets]
        if len(set(names)) < len(names):
            raise ValueError(f"sets: a name occurs twice in {names}")
        return self

    @model_validator(mode="after")
    def _kinds_are_known(self) -> Self:
        known = set(self.vocabulary.max_tokens) & set(self.generation.kinds)
        wanted = [(one.name, one.kind) for one in self.sets]
        wanted += [(one.name, one.kind) for one in (self.pretrain.documents if self.pretrain else ())]
        for name, kind in wanted:
            if kind not in known:
                raise ValueError(
                    f"{name}: kind = {kind!r}: expected one that vocabulary.max_tokens and generation.kinds have, "
                    f"{sorted(known)}"
                )
        return self

    @model_validator(mode="after")
    def _something_is_trained_and_scored(self) -> Self:
        if not any(one.rows_per_epoch for one in self.sets):
            raise ValueError("sets: rows_per_epoch is 0 everywhere; expected a set to train on")
        if not any(one.scored for one in self.sets):
            raise ValueError("sets: none is scored; expected one to choose the best checkpoint by")
        return self

    @property
    def normalization(self) -> int:
        """The normalization version of the language."""
        return NORMALIZATIONS[self.language]

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest source that the package reads."""
        return max(self.vocabulary.max_tokens.values())


def load(path: Path) -> SummarizeConfig:
    """Read a run's TOML file; `ConfigError` names the file, the key and what was expected."""
    return validated(SummarizeConfig, read_table(path), str(path))
