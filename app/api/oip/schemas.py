"""The JSON of /v2, as the documentation shows it and as requests are checked.

An object may have fields that are not here: the protocol is extended by servers and clients of many makers.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Parameters = dict[str, Any]
_Size = Annotated[int, Field(ge=0)]


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class RequestInput(_Request):
    """A tensor of a request; ``data`` is absent where it stands behind the JSON in binary."""

    name: str
    shape: list[_Size]
    datatype: str = Field(description="BOOL, UINT8 to UINT64, INT8 to INT64, FP16 to FP64, or BYTES for text.")
    parameters: Parameters | None = Field(None, description="binary_data_size: bytes behind the JSON.")
    data: list[Any] | None = Field(None, description="Values, flat in row-major order or nested as shape says.")


class RequestOutput(_Request):
    """An output that is wanted."""

    name: str
    parameters: Parameters | None = Field(None, description="binary_data: give it behind the JSON in binary.")


class InferenceRequest(_Request):
    """Tensors for a package."""

    id: str | None = Field(None, description="Comes back in the answer.")
    parameters: Parameters | None = Field(
        None,
        description="timeout (microseconds); language; of summaries method, kind, sentences, max_tokens, min_tokens, "
        "beams, length_penalty; binary_data_output.",
    )
    inputs: Annotated[list[RequestInput], Field(min_length=1)]
    outputs: list[RequestOutput] | None = Field(None, description="Those that are wanted; default all.")


class ResponseOutput(BaseModel):
    """A tensor of an answer; ``data`` is absent where it stands behind the JSON in binary."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: list[Any] | None = None


class InferenceResponse(BaseModel):
    """The outputs, in the order in which they were asked for."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[ResponseOutput]


class ServerMetadata(BaseModel):
    """Who answers."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """An input or output; a size of -1 varies."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters | None = Field(None, description="signature: the ones it belongs to; optional.")


class ModelMetadata(BaseModel):
    """What a package takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: Parameters | None = Field(None, description="task, languages, labels (the columns of scores), limits.")


class Live(BaseModel):
    """The process answers."""

    live: bool


class Ready(BaseModel):
    """Requests are taken."""

    ready: bool


class ModelReady(BaseModel):
    """The package answers."""

    name: str
    ready: bool


class IndexRequest(_Request):
    """Which packages to list."""

    ready: bool = Field(False, description="Only those that answer.")


class IndexEntry(BaseModel):
    """One version of a package."""

    name: str
    version: str
    state: str = Field(description="READY or UNAVAILABLE.")
    reason: str


class ChangeRequest(_Request):
    """What else is said of a package that is opened or closed; nothing of it is needed."""

    parameters: Parameters | None = Field(
        None, description="A package comes from the models folder: none may bring one."
    )


class GenerateRequest(_Request):
    """A text to be summarized."""

    text_input: str
    id: str | None = None
    parameters: Parameters | None = Field(None, description="As of an inference request for summaries.")


class GenerateResponse(BaseModel):
    """The summary."""

    model_name: str
    model_version: str
    text_output: str
    id: str | None = None
    details: dict[str, Any] = Field(description="finish_reason, method, kind, tokens, summary_tokens, truncated.")


class GenerateEvent(BaseModel):
    """One event of a stream: text that goes after what came before."""

    model_name: str
    model_version: str
    text_output: str
    done: bool
    id: str | None = None
    details: dict[str, Any] | None = Field(None, description="With the last one, as of an answer at once.")


class Spent(BaseModel):
    """How often, and how long altogether."""

    count: int
    ns: int


class InferenceStatistics(BaseModel):
    """Where the time of a package's requests went."""

    success: Spent
    fail: Spent
    queue: Spent
    compute_input: Spent
    compute_infer: Spent
    compute_output: Spent


class ModelStatistics(BaseModel):
    """What a package has done since the service started, on every route."""

    name: str
    version: str
    last_inference: int = Field(description="Milliseconds since 1970; 0 for never.")
    inference_count: int = Field(description="Texts, rows of ids and rows of tensors that were answered.")
    execution_count: int = Field(description="Runs of a graph; of a package that writes, steps and texts read.")
    inference_stats: InferenceStatistics
    batch_stats: list[Any]


class Statistics(BaseModel):
    """Every package's figures."""

    model_stats: list[ModelStatistics]
