"""Makes a package of the task ``tensor`` from a bare ONNX file: its manifest is read off the graph, and tried."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnxruntime

from app.errors import PackageError
from app.modelpack import manifest as schema
from app.modelpack.install import install
from app.modelpack.manifest import SCHEMA_VERSION, Manifest, Precision
from app.modelpack.onnxfile import refuse_custom_operators, refuse_external_data
from app.modelpack.store import Package, folder_of, open_package
from app.modelpack.tensors import DTYPES, Tensor
from app.runtime.providers import Provider
from app.runtime.session import Session, dtype_of, opened
from app.runtime.tensors import TensorModel

_FILES: dict[Precision, str] = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
_SIZES = (8, 1, 16, 32, 64, 128, 224, 256)
"""Sizes that are tried for the axes that vary, until the graph runs: many graphs need some least size."""
_CPU = Provider("cpu", "asked for")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a package is to be called, and what the graph does not tell.

    ``sizes``: a size that the graph runs with, by the name of an axis; found by trying for those that are not here.
    """

    name: str
    version: int = 1
    description: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)


def wrap(source: Path, root: Path, wish: Wish, int8: Path | None = None) -> Manifest:
    """Put the ONNX file ``source`` below ``root`` as a package, and return its manifest.

    ``int8``: the same graph with weights in eight bits, for the CPU. ``PackageError`` where a graph keeps data in
    another file, has operators or types that are not served, or does not run; ``OSError`` where it cannot be read.
    """
    raws: dict[Precision, bytes] = {"fp32": source.read_bytes()}
    if int8 is not None:
        raws["int8"] = int8.read_bytes()
    for precision, raw in raws.items():
        refuse_external_data(_FILES[precision], raw)
        refuse_custom_operators(_FILES[precision], raw)
    manifest = _first_that_runs(raws, wish, source.name)
    with TemporaryDirectory() as folder:
        staged = folder_of(Path(folder), (wish.name, wish.version))
        staged.mkdir(parents=True)
        for precision, raw in raws.items():
            (staged / _FILES[precision]).write_bytes(raw)
        text = json.dumps(manifest.model_dump(mode="json", exclude_defaults=True), indent=2, ensure_ascii=False)
        (staged / schema.FILE).write_text(text + "\n", "utf-8")
        package = open_package(staged)
        for precision in raws:
            TensorModel.open(package, _CPU, precision)
        install(staged, root)
    return manifest


def _first_that_runs(raws: Mapping[Precision, bytes], wish: Wish, source: str) -> Manifest:
    """Return the manifest with which the graph runs: batched where its rows do not depend on one another."""
    file, raw = _FILES["fp32"], raws["fp32"]
    session = opened(file, raw, _CPU)
    inputs, outputs = _described(file, "input", session.get_inputs()), _described(file, "output", session.get_outputs())
    graphs = [{"file": _FILES[each], "precision": each, "inputs": inputs, "outputs": outputs} for each in raws]
    files = {_FILES[each]: {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()} for each, raw in raws.items()}
    base = {
        "schema_version": SCHEMA_VERSION,
        "name": wish.name,
        "version": wish.version,
        "task": "tensor",
        "description": wish.description or f"{source}, wrapped as it is",
        "graphs": graphs,
        "files": files,
        "provenance": {"source": source, "onnxruntime": onnxruntime.__version__},
    }
    tried: Session | None = None
    refused: PackageError | None = None
    for tensors in _choices(file, [Tensor(**one) for one in inputs], wish.sizes):
        try:
            manifest = schema.parse(json.dumps(base | {"tensors": tensors}).encode())
            tried = tried or Session(manifest.graphs[0], raw, _CPU)
            TensorModel(Package(manifest, Path(), ""), _CPU, tried).warm_up()
        except PackageError as broken:
            if not tensors["batched"]:
                refused = refused or broken  # that of the first size, which says most
        else:
            return manifest
    raise refused or PackageError(file, "no inputs", "one at least")


def _choices(file: str, inputs: list[Tensor], known: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Yield what the section ``tensors`` may be, best first."""
    every = sorted({axis for one in inputs for axis in one.axes if isinstance(axis, str)})
    for name in known:
        if name not in every:
            raise PackageError(file, f"no input has an axis {name!r} that varies", f"a size for one of {every}")
    for size in _SIZES if set(every) - set(known) else _SIZES[:1]:
        for batched in (True, False):
            names = sorted({axis for one in inputs for axis in one.axes[int(batched) :] if isinstance(axis, str)})
            yield {"batched": batched, "sizes": {name: known.get(name, size) for name in names}}


def _described(file: str, side: str, arguments: Any) -> list[dict[str, Any]]:
    """Return a session's inputs or outputs as a manifest tells them; ``PackageError`` for what are no numbers."""
    found = []
    for argument in arguments:
        if dtype_of(argument) not in DTYPES:
            raise PackageError(file, f"{side} {argument.name!r} is {argument.type}", f"numbers: one of {list(DTYPES)}")
        axes = [axis if axis is not None else _name(argument.name, at) for at, axis in enumerate(argument.shape)]
        found.append({"name": argument.name, "dtype": dtype_of(argument), "axes": axes})
    return found


def _name(argument: str, at: int) -> str:
    """Return a name for an axis that varies and has none."""
    return f"{argument}.{at}" if at else "batch"
