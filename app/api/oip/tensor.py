"""A tensor as the protocol carries it: a name, a datatype, a shape, and values in JSON or in bytes.

Binary values are little-endian and row-major; a string of ``BYTES`` has its length in front, in four bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInference

Array = npt.NDArray[Any]

BYTES = "BYTES"
_NUMBERS: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
DATATYPES = (*_NUMBERS, BYTES)
"""Every datatype that is read and written; BF16 is not, since numpy has no such number."""

MAX_AXES = 8
_LENGTH_BYTES = 4
_NAMES = {known: name for name, known in _NUMBERS.items()}
_JSON_TYPES: dict[str, set[type]] = {"b": {bool}, "u": {int}, "i": {int}, "f": {int, float}}
_SAID = {"b": "true and false", "u": "whole numbers", "i": "whole numbers", "f": "numbers"}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named array; ``BYTES`` is an array of objects, each a ``str``."""

    name: str
    datatype: str
    array: Array


def datatype_of(dtype: npt.DTypeLike) -> str:
    """Return the protocol's name of a numpy type; ``KeyError`` where it has none."""
    return BYTES if np.dtype(dtype) == object else _NAMES[np.dtype(dtype)]


def of_values(name: str, datatype: str, shape: Sequence[int], data: Sequence[Any]) -> Tensor:
    """Return a tensor of JSON's values, flat in row-major order or nested as ``shape`` says.

    ``InvalidInference`` names the tensor and what is wrong with its datatype, its shape or its values.
    """
    _check_form(name, datatype, shape)
    flat = _flat(name, shape, data)
    if datatype == BYTES:
        if not all(isinstance(one, str) for one in flat):
            raise InvalidInference(f"input {name!r} has values that are no strings; expected strings under {BYTES}")
        return Tensor(name, datatype, _strings(flat).reshape(shape))
    dtype = _NUMBERS[datatype]
    if set(map(type, flat)) - _JSON_TYPES[dtype.kind]:
        raise InvalidInference(f"input {name!r} is {datatype}; expected {_SAID[dtype.kind]} alone")
    try:
        with np.errstate(over="raise"):
            return Tensor(name, datatype, np.array(flat, dtype).reshape(shape))
    except (OverflowError, FloatingPointError) as broken:
        raise InvalidInference(f"input {name!r} has a number that {datatype} cannot hold") from broken


def of_bytes(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> Tensor:
    """Return a tensor of the binary form; ``InvalidInference`` where ``raw`` is not what ``shape`` needs."""
    _check_form(name, datatype, shape)
    count = math.prod(shape)
    if datatype == BYTES:
        return Tensor(name, datatype, _strings(_texts(name, raw, count)).reshape(shape))
    wanted = count * _NUMBERS[datatype].itemsize
    if len(raw) != wanted:
        raise InvalidInference(f"input {name!r} has {len(raw)} bytes; expected {wanted} for {datatype}{list(shape)}")
    if datatype == "BOOL" and raw.strip(b"\0\1"):
        raise InvalidInference(f"input {name!r} has bytes beyond 1; expected 0 or 1 for each BOOL")
    return Tensor(name, datatype, np.frombuffer(raw, _NUMBERS[datatype]).reshape(shape))


def strings(name: str, values: Sequence[str], shape: Sequence[int] | None = None) -> Tensor:
    """Return a tensor of ``BYTES``; ``shape`` is one axis where it is not given."""
    return Tensor(name, BYTES, _strings(values).reshape(shape or (len(values),)))


def numbers(name: str, array: Array) -> Tensor:
    """Return a tensor of an array's own type."""
    return Tensor(name, datatype_of(array.dtype), array)


def to_bytes(tensor: Tensor) -> bytes:
    """Return the binary form of a tensor's values."""
    if tensor.datatype != BYTES:
        return np.ascontiguousarray(tensor.array, _NUMBERS[tensor.datatype]).tobytes()
    encoded = [text.encode() for text in tensor.array.ravel().tolist()]
    return b"".join(len(one).to_bytes(_LENGTH_BYTES, "little") + one for one in encoded)


def _check_form(name: str, datatype: str, shape: Sequence[int]) -> None:
    if datatype not in DATATYPES:
        raise InvalidInference(f"input {name!r} is {datatype!r}; expected one of {list(DATATYPES)}")
    if len(shape) > MAX_AXES or any(size < 0 for size in shape):
        raise InvalidInference(
            f"input {name!r} has shape {list(shape)[:16]}; expected up to {MAX_AXES} sizes, 0 or more"
        )


def _flat(name: str, shape: Sequence[int], data: Sequence[Any]) -> Sequence[Any]:
    """Return the values in one row; they are as many as ``shape`` says, and nested like it where they are nested."""
    values: list[Any] = list(data)
    if values and isinstance(values[0], list):
        for axis, size in enumerate(shape[1:], 1):
            rows = math.prod(shape[:axis])
            if len(values) != rows or not all(isinstance(one, list) and len(one) == size for one in values):
                raise InvalidInference(f"input {name!r} is not nested as its shape {list(shape)} says")
            values = list(chain.from_iterable(values))
    if len(values) != math.prod(shape):
        raise InvalidInference(
            f"input {name!r} has {len(values)} values; expected {math.prod(shape)} for {list(shape)}"
        )
    return values


def _strings(values: Sequence[str]) -> Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _texts(name: str, raw: bytes, count: int) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(raw):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(raw[start - _LENGTH_BYTES : start], "little")
        if at > len(raw) or start > len(raw):
            raise InvalidInference(f"input {name!r} ends inside a string; expected a length of 4 bytes before each")
        found.append(text_of(name, raw[start:at]))
    if len(found) != count:
        raise InvalidInference(f"input {name!r} has {len(found)} strings; expected {count}")
    return found


def text_of(name: str, raw: bytes) -> str:
    """Return a string of ``BYTES`` as text; ``InvalidInference`` where it is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as broken:
        raise InvalidInference(f"input {name!r} has a string that is not UTF-8; expected text") from broken
