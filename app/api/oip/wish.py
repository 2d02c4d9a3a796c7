"""The parameters of a request as options of an answer; a name that is none of these is left aside."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from app.api.oip.exchange import Parameters, sooner
from app.errors import InvalidInference
from app.keys.allowance import Allowance
from app.scheduling.haste import UNHURRIED, Haste
from app.summarizing.wishes import Wish
from app.text.form import AskedKind, AskedMethod


class _Wished(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    language: Annotated[str, StringConstraints(pattern=r"^(auto|[a-z]{2,3})$")] = "auto"
    method: AskedMethod = "auto"
    kind: AskedKind = "auto"
    sentences: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    min_tokens: Annotated[int, Field(ge=0)] | None = None
    beams: Annotated[int, Field(ge=1)] | None = None
    length_penalty: Annotated[float, Field(allow_inf_nan=False)] | None = None


def language_of(parameters: Parameters) -> str:
    """Return the texts' language, ``auto`` where it is not told."""
    return _checked(parameters).language if parameters else "auto"


def wish_of(
    texts: list[str],
    model: str,
    version: Any,
    parameters: Parameters,
    *,
    allowance: Allowance | None = None,
    haste: Haste = UNHURRIED,
) -> Wish:
    """Return what is wished for; ``InvalidInference`` names the parameter that is of another form."""
    options = _checked(parameters).model_dump()
    return Wish(texts, model=model, version=version, haste=sooner(haste, parameters), allowance=allowance, **options)


def _checked(parameters: Parameters) -> _Wished:
    try:
        return _Wished.model_validate(dict(parameters))
    except ValidationError as broken:
        first = broken.errors(include_url=False)[0]
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise InvalidInference(f"parameters.{first['loc'][0]} is {first['input']!r:.60}; {message}") from broken
