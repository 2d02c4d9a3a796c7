"""Looks into an ONNX file without opening it, for tensors that live in another file.

A tensor whose data lie outside the model lets a package name any file of the machine (CVE-2022-25882, CVE-2024-27318),
so it is refused before the runtime sees the file. Only the protobuf wire format is walked, and only along the fields
that can hold a tensor, because serving has no need for the ``onnx`` library itself.
Field numbers are those of onnx.proto3, which protobuf's compatibility rules keep for ever.
"""

from collections.abc import Iterator

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


def refuse_external_data(file: str, raw: bytes) -> None:
    """Raise ``PackageError`` where a tensor of the model in ``raw`` lives outside it, or ``raw`` is no protobuf."""
    try:
        outside = next(_external(memoryview(raw), "Model", 0), None)
    except (ValueError, IndexError) as broken:
        raise PackageError(file, "not an ONNX model", "a protobuf ModelProto") from broken
    if outside is not None:
        raise PackageError(file, f"tensor {outside!r} keeps its data in another file", "all data inside the ONNX file")


def _external(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    name, outside = "", False
    for number, value in _fields(message):
        if kind == "Tensor":
            if number == _TENSOR_NAME and isinstance(value, memoryview):
                name = bytes(value).decode("utf-8", "replace")
            outside |= number == _TENSOR_EXTERNAL_DATA or (number == _TENSOR_DATA_LOCATION and value != 0)
        elif number in _CHILDREN[kind]:
            if not isinstance(value, memoryview):
                raise ValueError("a message was expected")
            yield from _external(value, _CHILDREN[kind][number], depth + 1)
    if outside:
        yield name


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
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
