"""The JSON of every route, as the documentation shows it and as requests are checked."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from app.errors import InvalidRequest, MalformedJson
from app.modelpack.manifest import Name


def _as_list(inputs: object) -> object:
    return [inputs] if isinstance(inputs, str) else inputs


Inputs = Annotated[
    list[str],
    Field(min_length=1),  # first, so that it is the list's own and no call of Python
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


def _version(value: object) -> object:
    if (type(value) is int and value >= 1) or (isinstance(value, str) and ALIAS.fullmatch(value)):
        return value
    raise PydanticCustomError("version", "expected a whole number above 0, or an alias such as 'stable'")


ALIAS = re.compile(r"[a-z][a-z0-9-]{0,31}")
"""What an alias may be called."""

VersionOrAlias = Annotated[
    int | str,
    PlainValidator(_version),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": f"^{ALIAS.pattern}$"}]}),
]

RequestT = TypeVar("RequestT", bound=BaseModel)


class PredictRequest(BaseModel):
    """Texts to be classified, and what to tell of each."""

    model_config = ConfigDict(strict=True, extra="forbid")

    inputs: Inputs = Field(description="One text, or a list of texts.")
    model: Name | None = Field(
        None, description="A package's name; default the task's package for each text's language, where there is one."
    )
    version: VersionOrAlias | None = Field(
        None, description="A package's version, or an alias of one; default as the package's traffic is shared out."
    )
    language: Annotated[str, StringConstraints(pattern=r"^(auto|[a-z]{2,3})$")] = Field(
        "auto", description="The texts' language as an ISO 639 code, or auto: told by each text's script."
    )
    explain: bool = Field(False, description="Add each token's weight for the label.")
    sentences: bool = Field(False, description="Add each sentence's own label.")


def parse_request(form: type[RequestT], body: bytes) -> RequestT:
    """Return the request in ``body``; ``MalformedJson``, or ``InvalidRequest`` that names field, value and form."""
    try:
        return form.model_validate_json(body)
    except ValidationError as broken:
        first = broken.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise MalformedJson(f"the body is not JSON: {first['ctx']['error']}") from broken
        raise InvalidRequest(_complaint(form, first)) from broken


def _complaint(form: type[BaseModel], first: Any) -> str:
    if not first["loc"]:
        return "the body is not an object; expected a JSON object with the field 'inputs'"
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{field} is missing; expected a text or a list of texts"
    if first["type"] == "extra_forbidden":
        known = ", ".join(form.model_fields)
        return f"{field} is no field of this request; expected some of {known}"
    if first["type"] in {"too_short", "list_type"}:
        return f"{field} is {_shown(first['input'])}; expected a text or a list of at least one text"
    message = first["msg"][:1].lower() + first["msg"][1:]
    return f"{field} is {_shown(first['input'])}; {message}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - an error's text stays one line


class TokenWeight(BaseModel):
    """A token, where it stands in the text, and how much it speaks for the label."""

    text: str
    start: int
    end: int
    weight: float = Field(
        description="Share of the label's logit, before the temperature, less the mean share of the others; "
        "above 0 it speaks for."
    )


class SentenceResult(BaseModel):
    """A sentence's own answer, and where it stands in the text."""

    start: int
    end: int
    label: str
    score: float
    scores: dict[str, float]


class PredictResult(BaseModel):
    """One text's answer."""

    index: int = Field(description="The text's place in inputs.")
    label: str
    score: float = Field(description="Probability of the label, calibrated where the package is.")
    scores: dict[str, float] = Field(description="Probability of every label.")
    language: str
    tokens: int = Field(description="Tokens that the model read.")
    truncated: bool = Field(
        description="True where the text is longer than the model reads, and only its head counted."
    )
    model: str | None = Field(None, description="Present where it is another package than the answer's own.")
    version: int | None = Field(None, description="Present with model.")
    alias: str | None = Field(None, description="Present with model, where its version was found by an alias.")
    explanation: list[TokenWeight] | None = Field(None, description="Present where explain was asked for.")
    sentences: list[SentenceResult] | None = Field(None, description="Present where sentences was asked for.")
    sentences_left_out: int | None = Field(None, description="Present where the text has too many sentences.")


class ItemFailure(BaseModel):
    """One text's error; the other texts are answered."""

    index: int
    code: Literal[
        "empty_text",
        "no_usable_text",
        "text_too_long",
        "unsupported_language",
        "ambiguous_model",
        "option_out_of_bounds",
    ]
    message: str


class StageTimings(BaseModel):
    """Where the time went, in milliseconds; total is from the request's arrival to its answer's writing."""

    tokenize: float
    queue: float
    infer: float
    total: float


class PredictResponse(BaseModel):
    """The answers and the errors, each by the index of its text."""

    model: str
    version: int
    alias: str | None = Field(None, description="Present where the version was found by an alias.")
    results: list[PredictResult]
    errors: list[ItemFailure]
    timings_ms: StageTimings


class ErrorBody(BaseModel):
    """The body of every answer that is not 2xx."""

    error: str = Field(description="What is wrong and what was expected.")
    code: str = Field(description="A stable name of the error.")
    request_id: str = Field(description="The request's id, as in the X-Request-Id header and in the log.")
    errors: list[ItemFailure] | None = Field(None, description="Present where not one text could be answered.")


class VersionInfo(BaseModel):
    """One version of a package."""

    version: int
    state: Literal["ready", "failed", "unloaded"]
    reason: str | None = Field(
        description="Why it is not ready; of one that is, why what is on disk by now was refused in its place."
    )
    precision: str | None
    provider: str | None
    provider_note: str | None = Field(description="How the provider came to be chosen.")
    max_tokens: int | None
    calibration: dict[str, Any] | None = Field(
        description="The temperature of its probabilities, and the expected calibration error without and with it."
    )
    evaluation: list[dict[str, Any]] = Field(description="The figures of its card, with the baseline's beside them.")


class AliasInfo(BaseModel):
    """What an alias stands for."""

    version: int | None
    weight: float = Field(description="Its part of the requests that name no version, beside the others' weights.")


class ShadowInfo(BaseModel):
    """A version that is asked a share of the texts too, unseen."""

    version: int
    share: float


class ModelInfo(BaseModel):
    """A package with all its versions; task, languages and labels are those of the version served by default."""

    name: str
    task: str | None
    description: str | None
    languages: list[str]
    labels: list[str]
    default_version: int | None
    default_for: list[str] = Field(description="Languages whose texts it gets, in its task, without being named.")
    aliases: dict[str, AliasInfo] = Field(description="What a request may give as version, beside the numbers.")
    versions: list[VersionInfo]
    options: dict[str, Any] | None = Field(
        None, description="What POST /v1/summarize may be asked of it: each option's min, max and default."
    )
    shadow: ShadowInfo | None = Field(None, description="Present where a candidate is tried beside the others.")


class ModelList(BaseModel):
    """Every package, those that failed among them."""

    models: list[ModelInfo]


class Health(BaseModel):
    """A probe's answer."""

    status: Literal["live", "ready"]
