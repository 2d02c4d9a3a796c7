"""One ONNX graph, opened and checked against its manifest: arrays in, arrays out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnxruntime

from app.errors import InferenceFailed, PackageError
from app.modelpack.manifest import Graph
from app.modelpack.tensors import DTYPES, Tensor
from app.runtime.memory import join_arena, let_go_of_graph
from app.runtime.placement import RECORD, placed, refuse_fallback
from app.runtime.providers import Provider
from app.runtime.widths import rung

Array = npt.NDArray[Any]
_ONNX_NAMES = {"float32": "float", "float64": "double"}
_DTYPES = {f"tensor({_ONNX_NAMES.get(name, name)})": name for name in DTYPES}
"""The runtime's names of the types that a package may have, with numpy's."""


class Session:
    """An opened graph. ``run`` may be called from several threads at once: the threads share weights, not state."""

    def __init__(
        self,
        graph: Graph,
        raw: bytes,
        provider: Provider,
        intra_op_threads: int = 1,
        read: Callable[[], bytes] | None = None,
    ) -> None:
        """Open the graph in ``raw``; ``PackageError`` where it cannot be opened or is unlike ``graph``.

        ``read`` gets the same bytes again, for ``renew``.
        """
        self.precision = graph.precision
        self.device = provider.device
        self._graph, self._provider, self._intra_op_threads, self._read = graph, provider, intra_op_threads, read
        self._session = self._open(raw)
        self._run_options = _run_options()

    def renew(self) -> None:
        """Open the graph anew and run on that from now on; ``PackageError`` where its file is not what it was."""
        if self._read is None:
            raise TypeError("This is a bug: a session that was not told where its graph is")
        self._session = self._open(self._read())

    def interrupt(self) -> None:
        """Let every run under way raise before its next node; called from any thread."""
        running, self._run_options = self._run_options, _run_options()
        running.terminate = True

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Return the named outputs, in that order; ``InferenceFailed`` where the runtime raises."""
        try:
            if self.device == "cuda":
                return _bound(self._session, outputs, feeds, self._run_options)
            return cast("list[Array]", self._session.run(list(outputs), dict(feeds), self._run_options))
        except Exception as broken:  # ONNX Runtime's exceptions share no base class
            raise InferenceFailed("the model failed on this input") from broken

    def _open(self, raw: bytes) -> Any:
        graph, provider = self._graph, self._provider
        session = opened(graph.file, raw, provider, self._intra_op_threads)
        _same(graph.file, "input", session.get_inputs(), graph.inputs)
        _same(graph.file, "output", session.get_outputs(), graph.outputs)
        if provider.device == "cuda":
            refuse_fallback(graph.file, placed(session), provider.onnx_name)
        return session


def opened(file: str, raw: bytes, provider: Provider, intra_op_threads: int = 1) -> Any:
    """Return ONNX Runtime's session over the graph in ``raw``; ``PackageError`` where it cannot be opened."""
    options = _options(intra_op_threads)
    if provider.device == "cuda":
        options.add_session_config_entry(RECORD, "1")
    else:
        join_arena(options)
    names = list(dict.fromkeys([provider.onnx_name, "CPUExecutionProvider"]))
    try:
        session = onnxruntime.InferenceSession(raw, options, providers=names)
    except Exception as broken:  # ONNX Runtime's exceptions share no base class
        raise PackageError(file, "not a graph that ONNX Runtime opens", "a valid ONNX model") from broken
    let_go_of_graph(session)
    return session


def padded(rows: Sequence[npt.NDArray[np.int64]], pad_id: int) -> dict[str, Array]:
    """Return the feeds of a batch: ``ids`` int64[B, T] padded to the rung of the longest, and ``lens`` int64[B]."""
    lengths = [len(row) for row in rows]
    shape = len(rows), rung(max(lengths))
    ids = np.full(shape, pad_id, np.int64) if pad_id else np.zeros(shape, np.int64)  # [B, T]
    for at, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        ids[at, :length] = row
    return {"ids": ids, "lens": np.array(lengths, np.int64)}  # lens [B]


def _bound(session: Any, outputs: Sequence[str], feeds: Mapping[str, Array], options: Any) -> list[Array]:
    """Run with inputs and outputs bound: each is copied to the device and back once, in the run's own stream."""
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_cpu_input(name, array)
    for name in outputs:
        binding.bind_output(name)
    session.run_with_iobinding(binding, options)
    return cast("list[Array]", binding.copy_outputs_to_cpu())


def _options(intra_op_threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning starves the other threads
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def dtype_of(argument: Any) -> str:
    """Return numpy's name of the type of an input or output of a session, the runtime's own where it has none."""
    return _DTYPES.get(argument.type, str(argument.type))


def _run_options() -> onnxruntime.RunOptions:
    options = onnxruntime.RunOptions()
    # without this, outputs that nobody asked for (the attribution) would be computed all the same
    options.only_execute_path_to_fetches = True
    return options


def _same(file: str, side: str, have: Sequence[Any], want: Sequence[Tensor]) -> None:
    if len(have) != len(want) or not all(map(_fits, have, want)):
        shown = [f"{t.name} {dtype_of(t)}{list(t.shape)}" for t in have]
        expected = list(map(str, want))
        raise PackageError(file, f"{side}s {shown}", f"{side}s {expected}, as the manifest says")


def _fits(have: Any, want: Tensor) -> bool:
    """Tell whether a session's input or output is what a manifest says; an axis without a name may have any there."""
    if (have.name, dtype_of(have), len(have.shape)) != (want.name, want.dtype, len(want.axes)):
        return False
    pairs = zip(have.shape, want.axes, strict=True)
    return all(size == axis or (size is None and isinstance(axis, str)) for size, axis in pairs)
