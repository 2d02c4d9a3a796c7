"""The run that a table's size asks for: small data lean on n-grams and a small LSTM, long texts get more tokens."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.modelpack.manifest import Classifying
from training.config import (
    BlendConfig,
    DataSet,
    GateConfig,
    LinearConfig,
    LoopConfig,
    Metric,
    RunConfig,
    TokenizerConfig,
    TrainPart,
)
from training.models.config import ModelConfig
from training.own.examples import Example
from training.own.split import Part

UNBALANCED = 4.0
"""Largest class to smallest; from here on accuracy would praise a model that knows only the largest."""
MAX_TABLE = 2**21
"""Buckets times classes: 8 MB of n-gram weights in fp32, 2 in int8, and L-BFGS holds some twenty vectors as long."""
TOKENS_SEEN = 20_000_000
"""What the recurrent branch reads in all at most: about half an hour of one core."""
PIECES = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+|[^\w\s]+")
ALPHABETS = {1: 1000, 2: 7000}
"""Letters by normalization: Chinese spells its words in some thousands of characters."""
PARTS_OF_A_WORD = 1.3
"""Byte-pair tokens a word, about, of a vocabulary this small."""


@dataclass(frozen=True, slots=True)
class About:
    """What a run is called and said of it."""

    name: str
    version: int
    task: Classifying
    languages: tuple[str, ...]
    labels: tuple[str, ...]
    source: str
    command: str
    seed: int


@dataclass(frozen=True, slots=True)
class Size:
    """What the sizes of a network go by: training rows, their tokens, and how long texts are (estimates)."""

    rows: int
    dev_rows: int
    tokens: int
    usual: int
    longest: int

    @classmethod
    def of(cls, parts: Mapping[Part, Sequence[Example]]) -> "Size":
        """Measure the training part."""
        lens = PARTS_OF_A_WORD * np.array([len(PIECES.findall(one.text)) + 1 for one in parts["train"]])
        return cls(
            rows=len(lens),
            dev_rows=len(parts["dev"]),
            tokens=int(lens.sum()),
            usual=int(np.quantile(lens, 0.95)),
            longest=int(np.quantile(lens, 0.995)),
        )


def recipe(about: About, parts: Mapping[Part, Sequence[Example]], normalization: int) -> RunConfig:
    """Return the run's settings; a function of the rows alone."""
    size = Size.of(parts)
    counts = Counter(one.label for one in parts["train"])
    unbalanced = max(counts.values()) >= UNBALANCED * min(counts.values())
    metric: Metric = "macro_f1" if unbalanced else "accuracy"
    model = _model(size, len(about.labels))
    loop = _loop(size)
    rows_per_epoch = min(size.rows, max(1, int(size.rows * TOKENS_SEEN / (size.tokens * loop.epochs))))
    part = TrainPart(rows_per_epoch=rows_per_epoch, balance=0.5 if unbalanced else 0.0)
    return RunConfig(
        name=about.name,
        version=about.version,
        task=about.task,
        languages=about.languages,
        labels=about.labels,
        summary=f"Classes of {about.source}, as its {len(about.labels)} labels have them: an LSTM beside n-grams.",
        limits=_limits(about, size),
        rebuild=about.command,
        seed=about.seed,
        tokenizer=_tokenizer(size, normalization),
        model=model,
        ngrams=LinearConfig(l2=(1e-2, 3e-3, 1e-3, 3e-4, 1e-4), max_iterations=60),
        loop=loop,
        blend=BlendConfig(ngram_shares=tuple(round(0.1 * step, 1) for step in range(11))),
        # Of a dev split of fifty rows, one near tie is two per cent.
        gates=GateConfig(
            parity=1e-4,
            int8_agreement=max(0.0, 1 - max(0.03, 2 / size.dev_rows)),
            # Of few rows, one decided otherwise is more than the gate of a large set.
            int8_points=max(0.3, 100 * 3 / size.dev_rows),
        ),
        sets=(
            DataSet(
                name=about.name,
                metric=metric,
                train=(part,),
                title=f"{about.source}, its owner's labels",
                source=f"the file {about.source}",
                licence="its owner's",
            ),
        ),
    )


def _tokenizer(size: Size, normalization: int) -> TokenizerConfig:
    return TokenizerConfig(
        vocab_size=int(np.clip(_power(size.tokens / 16), 2_000, 16_000)),
        min_frequency=2,
        normalization=normalization,
        alphabet=ALPHABETS[normalization],
        max_tokens=int(np.clip(_power(1.5 * size.longest), 128, 1024)),
    )


def _model(size: Size, classes: int) -> ModelConfig:
    embedding, hidden = next(sizes for rows, sizes in SIZES if size.rows <= rows)
    orders = (1, 2, 3)
    # Three n-grams start at a token, of which half recur.
    buckets = min(np.clip(_power(1.5 * size.tokens), 2**14, 2**19), _power_below(MAX_TABLE / classes))
    return ModelConfig(
        embedding=embedding,
        hidden=hidden,
        attention=hidden,
        ngram_orders=orders,
        ngram_buckets=int(buckets),
        embedding_dropout=0.5 if size.rows <= FEW_ROWS else 0.3,
        output_dropout=0.5 if size.rows <= FEW_ROWS else 0.4,
        word_dropout=0.15 if size.rows <= FEW_ROWS else 0.05,
    )


FEW_ROWS = 20_000
"""Up to here an LSTM overfits before the rate has fallen: much dropout, and no end before the schedule's."""
SIZES = ((2_000, (64, 48)), (20_000, (128, 96)), (math.inf, (200, 128)))
"""Up to so many rows, embedding and hidden size."""
EPOCHS = ((1_000, 30), (10_000, 12), (50_000, 8), (math.inf, 5))
"""Up to so many rows, epochs: the rate falls to zero over all of them."""


def _loop(size: Size) -> LoopConfig:
    epochs = next(epochs for rows, epochs in EPOCHS if size.rows <= rows)
    max_rows = int(np.clip(_power_below(size.rows / 100), 16, 128))
    steps = epochs * size.rows / max_rows
    return LoopConfig(
        epochs=epochs,
        max_cells=8192,
        max_rows=max_rows,
        max_train_tokens=int(np.clip(size.usual, 32, 256)),
        learning_rate=2e-3,
        warmup=0.05,
        weight_decay=0.01,
        gradient_clip=1.0,
        label_smoothing=0.05,
        # The average reaches back over about a tenth of the run.
        ema_decay=round(float(np.clip(1 - 10 / steps, 0.9, 0.998)), 4),
        patience=12 if size.rows <= FEW_ROWS else 3,
        dev_rows=2000,
        checkpoint_every_steps=200,
    )


def _limits(about: About, size: Size) -> tuple[str, ...]:
    return (
        "It knows the kind of text that the file holds, and answers with one of its labels whatever it is asked.",
        f"It was trained on {size.rows:,} rows; the figures are of the rows held out, as few as those are.",
        "Text beyond the token limit is cut off; the service says so in `truncated`.",
        f"Languages other than {', '.join(about.languages)} were not in the file.",
    )


def _power(number: float) -> int:
    """Return the smallest power of two that is no less."""
    return int(2 ** math.ceil(math.log2(max(number, 1))))


def _power_below(number: float) -> int:
    return int(2 ** math.floor(math.log2(max(number, 1))))


def toml(config: RunConfig) -> str:
    """Return the config as the TOML file that `config.load` reads the same from."""
    table = config.model_dump(mode="json", exclude_none=True)
    top = {key: value for key, value in table.items() if not isinstance(value, dict) and key != "sets"}
    lines = [f"{key} = {_value(value)}" for key, value in top.items()]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *(f"{inner} = {_value(one)}" for inner, one in value.items())]
    for one in table["sets"]:
        lines += ["", "[[sets]]", *(f"{inner} = {_value(value)}" for inner, value in one.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    # JSON's strings and numbers are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
