"""What a recurrent classifier is made of: the `[model]` table of a run."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from training.fields import Positive, Share, Strict

Cell = Literal["lstm", "gru", "rnn"]
Pool = Literal["last", "max", "mean", "attention", "multihead"]
Norm = Literal["none", "batch", "layer"]


class ModelConfig(Strict):
    """The network: sizes, cells, pooling, normalization, and dropout rates that hold in training alone.

    Every default is the plain network, so that a file need only name what it changes.
    """

    embedding: Positive
    hidden: Positive
    attention: Positive
    bigram_buckets: Annotated[int, Field(ge=0)] = 0
    bigram_rank: Annotated[int, Field(ge=0)] = 0
    cell: Cell = "lstm"
    bidirectional: bool = True
    layers: Positive = 1
    pooling: tuple[Pool, ...] = Field(("max", "mean", "attention"), min_length=1)
    heads: Positive | None = None
    input_norm: Norm = "none"
    recurrent_norm: Literal["none", "batch"] = "none"
    pooled_norm: Norm = "none"
    ngrams: bool = True
    ngram_orders: tuple[Positive, ...] = Field((1, 2, 3), min_length=1)
    ngram_buckets: Positive = 2**19
    word_dropout: Share
    embedding_dropout: Share
    weight_dropout: Share = 0.0
    layer_dropout: Share = 0.0
    locked_dropout: Share = 0.0
    output_dropout: Share

    @model_validator(mode="after")
    def _buckets_are_powers_of_two(self) -> Self:
        for key in ("ngram_buckets", "bigram_buckets"):
            value = getattr(self, key)
            if value & (value - 1):
                raise ValueError(f"{key} = {value}: expected a power of two")
        return self

    @model_validator(mode="after")
    def _rank_fits(self) -> Self:
        if self.bigram_rank and not self.bigram_buckets:
            raise ValueError(f"bigram_rank = {self.bigram_rank}: expected bigram_buckets above 0 with it")
        if self.bigram_rank > self.embedding:
            raise ValueError(f"bigram_rank = {self.bigram_rank}: expected at most embedding = {self.embedding}")
        return self

    @model_validator(mode="after")
    def _poolings_fit(self) -> Self:
        if len(set(self.pooling)) < len(self.pooling):
            raise ValueError(f"pooling = {list(self.pooling)}: expected each kind once")
        if "multihead" not in self.pooling:
            if self.heads is not None:
                raise ValueError(f'heads = {self.heads}: expected only where pooling has "multihead"')
        elif self.heads is None:
            raise ValueError('heads: expected a number, since pooling has "multihead"')
        elif self.attention % self.heads:
            raise ValueError(f"heads = {self.heads}: expected a divisor of attention = {self.attention}")
        return self

    @model_validator(mode="after")
    def _techniques_fit(self) -> Self:
        if self.layer_dropout and self.layers == 1:
            raise ValueError(
                f"layer_dropout = {self.layer_dropout}: expected layers of at least 2, it drops between them"
            )
        if self.recurrent_norm == "batch":
            if self.cell != "lstm":
                raise ValueError(f'recurrent_norm = "batch": expected cell = "lstm", not "{self.cell}"')
            if self.weight_dropout:
                raise ValueError(f'weight_dropout = {self.weight_dropout}: expected 0 with recurrent_norm = "batch"')
        return self
