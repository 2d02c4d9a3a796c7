"""The JSON of POST /v1/summarize, as the documentation shows it and as requests are checked."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.api.schemas import Inputs, ItemFailure, VersionOrAlias
from app.errors import InvalidRequest
from app.modelpack.manifest import Name
from app.text.form import AskedKind, AskedMethod


class SummaryRequest(BaseModel):
    """Texts to be summarized, and how; bounds and defaults that are not told here are the package's."""

    model_config = ConfigDict(strict=True, extra="forbid")

    inputs: Inputs = Field(description="One text, or a list of texts.")
    method: AskedMethod = Field(
        "auto",
        description="abstractive writes, extractive quotes whole sentences; auto writes of dialogues and short texts "
        "at once, and of longer ones rewrites the best sentences one by one.",
    )
    kind: AskedKind = Field("auto", description="What is written; auto goes by the text's form and length.")
    sentences: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How many sentences are quoted, or rewritten one by one."
    )
    max_tokens: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Tokens that are written at most, of each sentence where sentences are rewritten one by one."
    )
    min_tokens: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Tokens that are written at least, likewise."
    )
    beams: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Hypotheses that are followed side by side; 1 is greedy, and a stream's only choice."
    )
    length_penalty: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        None, description="Above 0 longer summaries are favoured (alpha of Wu et al. 2016); nothing with one beam."
    )
    language: Annotated[str, StringConstraints(pattern=r"^(auto|[a-z]{2,3})$")] = Field(
        "auto", description="The texts' language as an ISO 639 code, or auto: told by each text's script."
    )
    model: Name | None = Field(
        None, description="The name of a package that writes, or of one that quotes; default each language's own."
    )
    version: VersionOrAlias | None = Field(
        None, description="With model: its version, or an alias of one; default as its traffic is shared out."
    )
    stream: bool = Field(False, description="Answer with server-sent events, for one text.")
    explain: bool = Field(False, description="Add, for each token that was written, where it looked in the text.")

    def refuse_unstreamable(self) -> None:
        """Raise ``InvalidRequest`` where a stream is asked for that there cannot be."""
        if self.stream and len(self.inputs) > 1:
            raise InvalidRequest(f"stream is true and inputs has {len(self.inputs)} texts; expected one text")
        if self.stream and self.beams not in {None, 1}:
            raise InvalidRequest(
                f"beams is {self.beams} and stream is true; expected 1: "
                "among several beams no token is final before the last"
            )


class QuotedSentence(BaseModel):
    """A sentence of the text that was chosen, and where it stands in it."""

    text: str
    start: int
    end: int
    score: float = Field(description="Probability that the sentence belongs in a summary.")
    rewritten: str | None = Field(None, description="Present where the sentence was rewritten.")


class SummaryToken(BaseModel):
    """A token that was written, and the span of the text that it attended to most."""

    token: str = Field(description="As in the vocabulary, with a space in front where one goes before it.")
    text: str
    start: int
    end: int
    copied: bool = Field(description="Whether most of its probability came from copying.")


class SummaryResult(BaseModel):
    """One text's summary."""

    index: int = Field(description="The text's place in inputs.")
    summary: str
    method: Literal["abstractive", "extractive", "extract-then-rewrite"]
    kind: Literal["headline", "dialogue", "abstract"] | None = Field(description="null where sentences are quoted.")
    finish_reason: Literal["eos", "length", "deadline"] | None = Field(
        description="eos: it ended by itself; length: cut at max_tokens; deadline: cut when the request's time was up, "
        "and what there was is given; null: quoted."
    )
    language: str
    tokens: int = Field(description="Tokens of the text that were read.")
    summary_tokens: int = Field(description="Tokens that were written.")
    truncated: bool = Field(
        description="True where the text is longer than the package reads, and its end did not count."
    )
    model: str | None = Field(None, description="Present where it is another package than the answer's own.")
    version: int | None = Field(None, description="Present with model.")
    alias: str | None = Field(None, description="Present with model, where its version was found by an alias.")
    sentences: list[QuotedSentence] | None = Field(None, description="Present where sentences were chosen.")
    explanation: list[SummaryToken] | None = Field(
        None, description="Present where explain was asked for, and text written."
    )


class SummaryStages(BaseModel):
    """Where the time went, in milliseconds; first_token and total are from the request's arrival."""

    tokenize: float
    queue: float
    extract: float
    generate: float
    first_token: float | None
    total: float


class SummaryResponse(BaseModel):
    """The summaries and the errors, each by the index of its text."""

    model: str
    version: int
    alias: str | None = Field(None, description="Present where the version was found by an alias.")
    results: list[SummaryResult]
    errors: list[ItemFailure]
    timings_ms: SummaryStages
