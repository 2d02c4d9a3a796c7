"""A package of numbers to numbers: its session, and the lanes on which the tensors of requests run."""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Literal, Self

import numpy as np

from app.errors import InferenceFailed, InvalidInference, PackageError
from app.modelpack import manifest as schema
from app.modelpack.onnxfile import refuse_custom_operators
from app.modelpack.store import Package
from app.modelpack.tensors import Tensor, Tensors
from app.runtime.lane import SessionLane
from app.runtime.model import Model, open_session
from app.runtime.providers import Provider
from app.runtime.session import Array, Session

Shapes = tuple[tuple[int, ...], ...]

NUMBERS_A_CELL = 128
"""A row counts one cell for each so many numbers of its inputs: about what a token is to a small recurrent layer."""

_MAX_LANES = 256
"""Lanes that a package keeps for shapes which may come again; what callers can fill stays bounded."""
_WHOLE_NUMBERS = ((0, 1, 0), (1, 1, 1), (0, 0, 0))
"""What whole numbers may be in the rows of a warm-up: an index or a length, and which of these are good is not told."""
_CLOSE, _CLOSE_IN_HALF = (1e-3, 1e-5), (1e-2, 1e-2)
"""How far, as a share and outright, a row's numbers may be from those that it has alone, and of float16 so.

That is rounding, since a kernel may add up in another order for more rows.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The input tensors of one request, in the order of the graph's inputs: they run in one piece, rows in order."""

    arrays: tuple[Array, ...]
    rows: int

    @property
    def numbers(self) -> int:
        """How many numbers the tensors have in all."""
        return sum(array.size for array in self.arrays)

    def __len__(self) -> int:
        """Return the cells that it costs."""
        return max(self.rows, -(-self.numbers // NUMBERS_A_CELL))


@dataclass(frozen=True, eq=False)
class TensorLane(SessionLane):
    """Requests to one session whose inputs have the same shapes, but for the batch axis where there is one."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    joining: Literal["end to end", "alone"]

    def run(self, rows: Sequence[Block]) -> list[tuple[Array, ...]]:
        """Return each request's outputs, in the graph's order; ``InferenceFailed`` where the graph fails."""
        if len(rows) == 1 or self.joining == "alone":
            return [self._run(block.arrays) for block in rows]
        found = self._run([np.concatenate(parts) for parts in zip(*(block.arrays for block in rows), strict=True)])
        ends = [0, *accumulate(block.rows for block in rows)]
        if any(array.shape[:1] != (ends[-1],) for array in found):
            raise InferenceFailed("the model gave another number of rows than it got")
        return [tuple(array[start:end] for array in found) for start, end in pairwise(ends)]

    def _run(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        return tuple(self.session.run(self.outputs, dict(zip(self.inputs, arrays, strict=True))))


@dataclass(frozen=True, eq=False)
class TensorModel(Model):
    """A package of the task ``tensor``; its lanes are asked for on the event loop alone."""

    session: Session
    lanes: OrderedDict[Shapes, TensorLane] = field(default_factory=OrderedDict)

    @classmethod
    def open(cls, package: Package, provider: Provider, precision: str = "auto") -> Self:
        """Open a verified package and warm it up; ``PackageError`` where its graph is not what its manifest says."""
        for graph in package.manifest.graphs:
            refuse_custom_operators(graph.file, package.read(graph.file))
        model = cls(package, provider, open_session(package, provider, precision))
        model.warm_up()
        return model

    @property
    def inputs(self) -> list[Tensor]:
        """What the graph takes, in its order."""
        return self.manifest.graphs[0].inputs

    @property
    def outputs(self) -> list[Tensor]:
        """What the graph gives, in its order."""
        return self.manifest.graphs[0].outputs

    @property
    def tensors(self) -> Tensors:
        """What the package says of its axes."""
        if self.manifest.tensors is None:
            raise TypeError("This is a bug: a package of numbers without its section")
        return self.manifest.tensors

    def block(self, given: Mapping[str, Array]) -> Block:
        """Return a request's tensors as they run, each of the input's type and number of axes.

        ``InvalidInference`` where an axis is empty, or inputs differ in an axis of the same name.
        """
        sizes: dict[str, tuple[int, str]] = {}
        for tensor in self.inputs:
            for at, (axis, size) in enumerate(zip(tensor.axes, given[tensor.name].shape, strict=True)):
                if not size:
                    raise InvalidInference(f"input {tensor.name!r} has no numbers; expected sizes from 1 on")
                if isinstance(axis, int):
                    continue
                shared = "" if self.tensors.batched and at == 0 else axis
                want, whose = sizes.setdefault(shared, (size, tensor.name))
                if size != want:
                    what = f"{size} for axis {axis!r}" if shared else f"{size} rows"
                    raise InvalidInference(f"input {tensor.name!r} has {what}; expected {want}, as input {whose!r}")
        arrays = tuple(given[tensor.name] for tensor in self.inputs)
        return Block(arrays, len(arrays[0]) if self.tensors.batched else 1)

    def lane(self, block: Block) -> TensorLane:
        """Return the lane of a block's shapes."""
        inner = 1 if self.tensors.batched else 0
        shapes = tuple(array.shape[inner:] for array in block.arrays)
        lane = self.lanes.get(shapes)
        if lane is None:
            lane = self.lanes[shapes] = self._lane()
            if len(self.lanes) > _MAX_LANES:
                self.lanes.popitem(last=False)
        self.lanes.move_to_end(shapes)
        return lane

    def warm_up(self) -> None:
        """Run the graph at the manifest's sizes, rows alone and together; ``PackageError`` where they differ."""
        lane = self._lane()
        blocks, alone = self._first_that_run(lane)
        for found in alone:
            self._check_form(found)
        if self.tensors.batched:
            self._check_rows(alone, self._tried(lane, blocks))

    def _lane(self) -> TensorLane:
        inputs, outputs = (tuple(tensor.name for tensor in side) for side in (self.inputs, self.outputs))
        joining: Literal["end to end", "alone"] = "end to end" if self.tensors.batched else "alone"
        return TensorLane(self.session, self.name, self.version, inputs, outputs, joining)

    def _first_that_run(self, lane: TensorLane) -> tuple[list[Block], list[tuple[Array, ...]]]:
        """Return rows that the graph takes, and what it makes of each alone."""
        for whole in _WHOLE_NUMBERS:
            rows = range(len(whole) if self.tensors.batched else 1)
            blocks = [self._example(at, whole[at]) for at in rows]
            try:
                return blocks, [self._tried(lane, [block])[0] for block in blocks]
            except PackageError as broken:
                refused = broken
        raise refused

    def _example(self, at: int, whole: int) -> Block:
        """Return row ``at``, which differs from others in its floats; every whole number is ``whole``."""
        arrays = []
        for tensor in self.inputs:
            shape = self.tensors.shape(tensor, 1)
            count = math.prod(shape)
            values = np.cos(np.arange(at, count + at)) if tensor.dtype.startswith("float") else np.full(count, whole)
            arrays.append(values.astype(tensor.dtype).reshape(shape))
        return Block(tuple(arrays), 1)

    def _tried(self, lane: TensorLane, blocks: list[Block]) -> list[tuple[Array, ...]]:
        try:
            return lane.run(blocks)
        except InferenceFailed as broken:
            shown = [list(self.tensors.shape(tensor, len(blocks))) for tensor in self.inputs]
            raise PackageError(
                self._file, f"it fails on inputs of shapes {shown} ({broken})", "a graph that runs at tensors.sizes"
            ) from broken

    def _check_form(self, found: Sequence[Array]) -> None:
        for tensor, array in zip(self.outputs, found, strict=True):
            fits = array.ndim == len(tensor.axes) and str(array.dtype) == tensor.dtype
            if not fits or any(
                isinstance(axis, int) and axis != size for axis, size in zip(tensor.axes, array.shape, strict=True)
            ):
                raise PackageError(self._file, f"output {tensor.name} {array.dtype}{list(array.shape)}", str(tensor))

    def _check_rows(self, alone: Sequence[Sequence[Array]], together: Sequence[Sequence[Array]]) -> None:
        for one, other in zip(alone, together, strict=True):
            for tensor, mine, beside in zip(self.outputs, one, other, strict=True):
                if mine.shape != beside.shape or not _close(tensor.dtype, mine, beside):
                    raise PackageError(
                        self._file,
                        f"output {tensor.name!r} of a row depends on the rows beside it",
                        "rows that do not, or tensors.batched false",
                    )

    @property
    def _file(self) -> str:
        graph = self.manifest.graph(self.session.precision)
        return graph.file if graph is not None else schema.FILE


def _close(dtype: str, one: Array, other: Array) -> bool:
    if not dtype.startswith("float"):
        return np.array_equal(one, other)
    share, outright = _CLOSE_IN_HALF if dtype == "float16" else _CLOSE
    return np.allclose(one, other, rtol=share, atol=outright, equal_nan=True)
