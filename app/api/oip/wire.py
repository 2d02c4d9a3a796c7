"""Bodies of /v2: JSON, with or without tensors in binary behind it, to requests and back.

The header Inference-Header-Content-Length tells how many bytes of the body are JSON. The binary tensors follow in the
order of the JSON's, each as long as its parameter ``binary_data_size`` says.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import orjson
from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError

from app.api.body import json_response
from app.api.oip.exchange import Inference, Inferred
from app.api.oip.schemas import InferenceRequest, RequestInput
from app.api.oip.tensor import Tensor, of_bytes, of_values, to_bytes
from app.api.trace import trace_of
from app.errors import InvalidInference, MalformedJson, NotFinite, UnsupportedMediaType

HEADER = "inference-header-content-length"
_BINARY_TYPE = "application/octet-stream"
# some clients give no type, or that of a form, and write JSON all the same
_READ = {"", "application/json", _BINARY_TYPE, "application/x-www-form-urlencoded"}
_NOT_DONE = {"sequence_id": "sequences are not kept", "shared_memory_region": "memory is not shared"}

FormT = TypeVar("FormT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and which of its outputs go behind the JSON."""

    inference: Inference
    binary: frozenset[str]
    binary_default: bool


def refuse_media_type(request: Request) -> None:
    """Raise ``UnsupportedMediaType`` where a body is neither JSON nor JSON with tensors behind it."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise UnsupportedMediaType(f"Content-Encoding is {encoding!r}; expected none")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in _READ and not media_type.endswith("+json"):
        raise UnsupportedMediaType(f"Content-Type is {media_type!r}; expected application/json or {_BINARY_TYPE}")


def parse(form: type[FormT], raw: bytes) -> FormT:
    """Return the object in ``raw``; ``MalformedJson``, or ``InvalidInference`` that names the field."""
    try:
        return form.model_validate_json(raw)
    except ValidationError as broken:
        first = broken.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise MalformedJson(f"the body is not JSON: {first['ctx']['error']}") from broken
        field = ".".join(str(part) for part in first["loc"]) or "the body"
        raise InvalidInference(f"{field}: {first['msg'][:1].lower()}{first['msg'][1:]}") from broken


def read(request: Request, body: bytes, model: str, version: str | None) -> Asked:
    """Return the inference request in a body."""
    size = _header_bytes(request, len(body))
    form = parse(InferenceRequest, body[:size])
    parameters = form.parameters or {}
    if parameters.get("sequence_id"):
        raise InvalidInference(f"parameters.sequence_id is given; {_NOT_DONE['sequence_id']}")
    inference = Inference(
        model,
        version,
        _tensors(form.inputs, body[size:]),
        [output.name for output in form.outputs] if form.outputs else None,
        form.id or "",
        parameters,
        trace_of(request.scope).allowance,
        trace_of(request.scope).haste,
        trace_of(request.scope).sticky_key,
    )
    default = parameters.get("binary_data_output", False) is True
    outputs = [(output.name, _known(output.parameters)) for output in form.outputs or ()]
    return Asked(inference, frozenset(name for name, more in outputs if more.get("binary_data", default)), default)


def write(found: Inferred, asked: Asked) -> Response:
    """Return the answer, outputs in binary where that was asked for; ``NotFinite`` where JSON cannot hold one."""
    outputs, behind = [], []
    for tensor in found.outputs:
        if tensor.name in asked.binary or (asked.binary_default and asked.inference.outputs is None):
            behind.append(to_bytes(tensor))
            outputs.append(_described(tensor) | {"parameters": {"binary_data_size": len(behind[-1])}})
        else:
            outputs.append(_described(tensor) | {"data": _values(tensor)})
    body: dict[str, Any] = {"model_name": found.model, "model_version": found.version}
    body |= {"id": found.id} if found.id else {}
    body |= {"parameters": dict(found.parameters)} if found.parameters else {}
    body["outputs"] = outputs
    if not behind:
        return json_response(body)
    head = orjson.dumps(body)
    return Response(b"".join([head, *behind]), 200, {HEADER: str(len(head))}, _BINARY_TYPE)


def _values(tensor: Tensor) -> list[Any]:
    if tensor.array.dtype.kind == "f" and not np.isfinite(tensor.array).all():
        raise NotFinite(
            f"output {tensor.name!r} has numbers that JSON has no form for (NaN or infinite); "
            "expected it to be asked for in binary, by binary_data"
        )
    values: list[Any] = tensor.array.ravel().tolist()
    return values


def _described(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.array.shape)}


def _header_bytes(request: Request, size: int) -> int:
    given = request.headers.get(HEADER)
    if given is None:
        return size
    if not given.isascii() or not given.isdigit() or len(given) > len(str(size)) or int(given) > size:
        raise InvalidInference(
            f"Inference-Header-Content-Length is {given[:20]!r}; expected 0 to {size}, the body's length"
        )
    return int(given)


def _tensors(inputs: list[RequestInput], behind: bytes) -> list[Tensor]:
    found, at = [], 0
    for one in inputs:
        size = _binary_size(one)
        if size is None:
            found.append(of_values(one.name, one.datatype, one.shape, one.data or ()))
            continue
        if at + size > len(behind):
            raise InvalidInference(f"input {one.name!r} has {len(behind) - at} bytes behind the JSON; expected {size}")
        found.append(of_bytes(one.name, one.datatype, one.shape, behind[at : at + size]))
        at += size
    if at != len(behind):
        raise InvalidInference(f"{len(behind)} bytes stand behind the JSON; expected {at}, the sum of binary_data_size")
    return found


def _binary_size(one: RequestInput) -> int | None:
    parameters = _known(one.parameters)
    size = parameters.get("binary_data_size")
    if (one.data is None) == (size is None):
        raise InvalidInference(
            f"input {one.name!r} has {'neither' if size is None else 'both'}; expected data or binary_data_size"
        )
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise InvalidInference(f"input {one.name!r} has binary_data_size {size!r}; expected a number of bytes")
    return size


def _known(parameters: dict[str, Any] | None) -> dict[str, Any]:
    """Return a tensor's parameters; ``InvalidInference`` where one asks for what there is not."""
    given = parameters or {}
    if "shared_memory_region" in given:
        raise InvalidInference(f"parameters.shared_memory_region is given; {_NOT_DONE['shared_memory_region']}")
    return given
