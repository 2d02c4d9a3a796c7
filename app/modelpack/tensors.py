"""What a graph takes and gives, and what a package of the task ``tensor``, numbers to numbers, says of its axes."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from pydantic import Field

from app.modelpack.strict import Strict

Dtype = Literal[
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]
"""The types of numbers that a graph may take and give, by numpy's names of them; bfloat16 is none of numpy's."""
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
TEXT_DTYPES = frozenset({"int64", "float32"})
"""The types of the graphs that read text."""

MAX_AXES = 8
"""Axes of a tensor of a package; the protocol that brings them takes no more."""
MAX_WARM_UP_NUMBERS = 1 << 24
"""Numbers that the inputs of a warm-up may have in all: a manifest cannot ask for all of the memory."""

_Size = Annotated[int, Field(ge=1, le=1 << 20)]


class Tensor(Strict):
    """One input or output of a graph; an axis is a fixed size or the name of a size that varies."""

    name: str
    dtype: Dtype
    axes: list[int | str]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}{self.axes}"


class Tensors(Strict):
    """What a package of numbers says beside the form of its inputs and outputs.

    ``batched``: the first axis of every input and output counts rows, whatever it is called, and no row's outputs
    depend on the rows beside it. ``sizes``: for each other axis of an input that varies, a size that the graph runs
    with, for its warm-up.
    """

    batched: bool
    sizes: dict[str, _Size] = Field(default_factory=dict)

    def check(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Raise ``ValueError``, of the form "found; expected form", where this does not fit a graph's tensors."""
        for side, tensors in (("inputs", inputs), ("outputs", outputs)):
            names = [tensor.name for tensor in tensors]
            if len(set(names)) != len(names):
                raise ValueError(f"graphs: {side} {names} repeat a name; expected distinct names")
            for tensor in tensors:
                _check_axes(tensor)
        if self.batched:
            _check_batched(inputs, outputs)
        varying = self.varying(inputs)
        if set(self.sizes) != varying:
            raise ValueError(f"tensors: sizes of {sorted(self.sizes)}; expected one of each of {sorted(varying)}")
        numbers = sum(math.prod(self.shape(tensor, 1)) for tensor in inputs)
        if numbers > MAX_WARM_UP_NUMBERS:
            raise ValueError(f"tensors: a warm-up of {numbers} numbers; expected at most {MAX_WARM_UP_NUMBERS}")

    def varying(self, inputs: Sequence[Tensor]) -> set[str]:
        """Return the names of the axes that have a size of their own in each request, rows not counted."""
        return {axis for tensor in inputs for axis in tensor.axes[int(self.batched) :] if isinstance(axis, str)}

    def shape(self, tensor: Tensor, rows: int) -> tuple[int, ...]:
        """Return the shape that an input has in a warm-up of so many rows."""
        shape = [axis if isinstance(axis, int) else self.sizes.get(axis, rows) for axis in tensor.axes]
        return tuple([rows, *shape[1:]] if self.batched else shape)


def _check_batched(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    for tensor in (*inputs, *outputs):
        if not tensor.axes or isinstance(tensor.axes[0], int):
            raise ValueError(
                f"tensors: batched is true, and {tensor}; expected every input and output to begin with a varying axis"
            )
    rows = {str(tensor.axes[0]) for tensor in inputs}
    for tensor in inputs:
        if rows.intersection(map(str, tensor.axes[1:])):
            raise ValueError(
                f"tensors: batched is true, and {tensor}; expected rows to be counted by the first axis alone"
            )


def _check_axes(tensor: Tensor) -> None:
    if len(tensor.axes) > MAX_AXES:
        raise ValueError(f"graphs: {tensor.name!r} has {len(tensor.axes)} axes; expected at most {MAX_AXES}")
    for axis in tensor.axes:
        if axis == "" or (isinstance(axis, int) and axis < 1):
            raise ValueError(f"graphs: {tensor.name!r} has axis {axis!r}; expected a size from 1 on, or a name")
