"""Looks into an ONNX file without opening it: for tensors that live in another file, and for custom operators.

A tensor whose data lie outside the model lets a package name any file of the machine (CVE-2022-25882, CVE-2024-27318),
so it is refused before the runtime sees the file. Only the protobuf wire format is walked, and only along the fields
that can hold a tensor, because serving has no need for the ``onnx`` library itself.
Field numbers are those of onnx.proto3, which protobuf's compatibility rules keep for ever.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from app.errors import PackageError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 64

# message -> {field number: the message that the field holds}
_CHILDREN = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_TENSOR_NAME, _TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 8, 13, 14
_NODE_OPERATOR, _NODE_DOMAIN = 4, 7
_FUNCTION_NAME, _FUNCTION_DOMAIN = 1, 10
_KEPT = {
    "Tensor": {_TENSOR_NAME, _TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION},
    "Node": {_NODE_OPERATOR, _NODE_DOMAIN},
    "Function": {_FUNCTION_NAME, _FUNCTION_DOMAIN},
}
"""The fields that are looked at; a tensor may have millions of others."""

_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft"})
"""The domains of operators that the official builds of the runtime have."""

Field = tuple[int, memoryview | int]
FoundT = TypeVar("FoundT")


def refuse_external_data(file: str, raw: bytes) -> None:
    """Raise ``PackageError`` where a tensor of the model in ``raw`` lives outside it, or ``raw`` is no protobuf."""
    outside = _walked(file, lambda: next(_external(raw), None))
    if outside is not None:
        raise PackageError(file, f"tensor {outside!r} keeps its data in another file", "all data inside the ONNX file")


def refuse_custom_operators(file: str, raw: bytes) -> None:
    """Raise ``PackageError`` where a node asks for an operator that neither the runtime has nor the model defines."""
    domain, operator = _walked(file, lambda: next(_custom(raw), ("", "")))
    if domain:
        raise PackageError(
            file, f"operator {operator!r} of the domain {domain!r}", f"operators of {sorted(_DOMAINS - {''})} alone"
        )


def _walked(file: str, walk: Callable[[], FoundT]) -> FoundT:
    try:
        return walk()
    except (ValueError, IndexError) as broken:
        raise PackageError(file, "not an ONNX model", "a protobuf ModelProto") from broken


def _external(raw: bytes) -> Iterator[str]:
    for kind, fields in _messages(memoryview(raw), "Model", 0):
        if kind == "Tensor" and any(
            number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value != 0)
            for number, value in fields
        ):
            yield _text(fields, _TENSOR_NAME)


def _custom(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield the domain and the name of each operator of a domain that is not known."""
    own, asked = set(), []
    for kind, fields in _messages(memoryview(raw), "Model", 0):
        if kind == "Function":
            own.add((_text(fields, _FUNCTION_DOMAIN), _text(fields, _FUNCTION_NAME)))
        elif kind == "Node":
            asked.append((_text(fields, _NODE_DOMAIN), _text(fields, _NODE_OPERATOR)))
    yield from (one for one in asked if one[0] not in _DOMAINS and one not in own)


def _text(fields: Sequence[Field], wanted: int) -> str:
    found = [value for number, value in fields if number == wanted]
    return bytes(found[-1]).decode("utf-8", "replace") if found and isinstance(found[-1], memoryview) else ""


def _messages(message: memoryview, kind: str, depth: int) -> Iterator[tuple[str, list[Field]]]:
    """Yield every message that can hold a tensor or a node, from the inside out, with what is looked at of it."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    fields, kept = [], _KEPT.get(kind, ())
    for number, value in _fields(message):
        if number in kept:
            fields.append((number, value))
        if number in _CHILDREN[kind]:
            if not isinstance(value, memoryview):
                raise ValueError("a message was expected")
            yield from _messages(value, _CHILDREN[kind][number], depth + 1)
    yield kind, fields


def _fields(message: memoryview) -> Iterator[Field]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(message):
            raise ValueError("cut short")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, at
        shift += 7
        if shift > 63:  # noqa: PLR2004 - ten bytes hold any 64-bit number
            raise ValueError("varint too long")
