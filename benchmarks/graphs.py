"""The cheapest correct graph of each bundled package: what each choice of the export is worth, in one run.

    python -m benchmarks.graphs [--rounds 5]

Variants are made in memory from the packed graphs, and none is kept: tables back in fp32 or in fp16, the graph as ONNX
Runtime optimizes it saved beforehand, the fp32 graph. Files in MB, opening in milliseconds, CPU microseconds a text,
and the largest difference of a probability from the fp32 graph's. Writes its table into docs/performance.md.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import onnxruntime
import typer
from onnx import TensorProto, helper, numpy_helper

from app.modelpack.manifest import CLASSIFYING
from app.modelpack.store import Package, discover
from app.runtime.session import Array, padded
from app.tasks.classify import softmax
from benchmarks.report import PERFORMANCE, fill, today
from benchmarks.texts import texts

MARK = "graphs"
PACKED, FP32 = "as packed", "fp32 graph"
_STEPS, _SCALES, _HALF = "_steps", "_scales", "_half"
_TEXTS, _ROWS = 320, 16
_CHINESE = ["房间很干净，服务也好。", "电池用了一周就坏了，再也不买了。", "剧情一般，演员还不错，值得一看。"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One graph, and whether ONNX Runtime is still to optimize it."""

    name: str
    raw: bytes
    optimized: bool = False


@dataclass(slots=True)
class Cost:
    """What a variant costs: the least of the rounds."""

    mb: float
    open_ms: float = float("inf")
    alone_us: float = float("inf")
    batched_us: float = float("inf")
    difference: float = 0.0


def variants(package: Package) -> Iterator[Variant]:
    """Yield a package's graphs, the packed int8 one first."""
    packed = _raw(package, "int8")
    yield Variant(PACKED, packed)
    yield Variant("int8 LSTM, fp32 tables", with_tables(packed, np.float32))
    yield Variant("int8 LSTM, fp16 tables", with_tables(packed, np.float16))
    yield Variant("as packed, optimized beforehand", optimized(packed), optimized=True)
    yield Variant(FP32, _raw(package, "fp32"))


def with_tables(raw: bytes, dtype: type[np.float32 | np.float16]) -> bytes:
    """Return a packed graph whose shrunk lookup tables are ``dtype`` again; its answers stay as they are, nearly."""
    model = onnx.load_from_string(raw)
    graph = model.graph
    arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    shrunk = [node for node in graph.node if node.op_type == "Gather" and node.input[0].endswith((_STEPS, _HALF))]
    gone = {_stem(node.output[0]) for node in shrunk}
    kept = [node for node in graph.node if not {_stem(name) for name in node.output} & gone]
    first = [made for node in shrunk for made in _lookup(node, dtype)]
    tables = {_stem(node.input[0]): _table(_stem(node.input[0]), arrays).astype(dtype) for node in shrunk}
    old = {name + suffix for name in tables for suffix in (_STEPS, _SCALES, _HALF)}
    rest = [one for one in graph.initializer if one.name not in old]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(_sorted([*first, *kept], [*graph.input], [*rest], tables))
    graph.initializer.extend([*rest, *(numpy_helper.from_array(table, name) for name, table in tables.items())])
    return bytes(model.SerializeToString())


def optimized(raw: bytes) -> bytes:
    """Return a graph as ONNX Runtime would make it at each start."""
    with tempfile.TemporaryDirectory(prefix="sluice-graphs-") as folder:
        options = _options()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(Path(folder) / "graph.onnx")
        onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        return (Path(folder) / "graph.onnx").read_bytes()


def costs(package: Package, rounds: int) -> dict[str, Cost]:
    """Return what each variant costs; in a round each takes its turn."""
    kinds = list(variants(package))
    found = {kind.name: Cost(len(kind.raw) / 1e6) for kind in kinds}
    of_package = _CHINESE * (_TEXTS // len(_CHINESE)) if "zh" in package.manifest.languages else texts("short", _TEXTS)
    rows = sorted((tokens.ids for tokens in package.tokenizer().encode(of_package)), key=len)
    pad_id = package.manifest.tokenizer.pad_id
    batches = [padded(rows[at : at + _ROWS], pad_id) for at in range(0, len(rows) - _ROWS + 1, _ROWS)]
    singles = [padded([row], pad_id) for row in rows[:: _ROWS // 4]]
    answers = {}
    for _ in range(rounds):
        for kind in kinds:
            cost = found[kind.name]
            started = time.process_time()
            session = _session(kind)
            cost.open_ms = min(cost.open_ms, 1000 * (time.process_time() - started))
            answers[kind.name] = np.concatenate([session.run(["logits"], feeds)[0] for feeds in batches])
            cost.batched_us = min(cost.batched_us, _us(session, batches) / _ROWS)
            cost.alone_us = min(cost.alone_us, _us(session, singles))
    for name, logits in answers.items():
        found[name].difference = float(np.abs(softmax(logits) - softmax(answers[FP32])).max())
    return found


def table(found: dict[str, dict[str, Cost]]) -> str:
    """Return the costs as Markdown; those of time beside the packed graph's, since they compare within a run alone."""
    lines = [
        "| package | graph | MB | open | a text alone | a text of 16 | differs by |",
        "|---|---|---|---|---|---|---|",
    ]
    for package, by_name in found.items():
        base = by_name[PACKED]
        for name, cost in by_name.items():
            lines.append(
                f"| {package} | {name} | {cost.mb:.1f} | {cost.open_ms:.0f} ms, {cost.open_ms / base.open_ms:.2f}x "
                f"| {cost.alone_us:.0f} us, {cost.alone_us / base.alone_us:.2f}x "
                f"| {cost.batched_us:.0f} us, {cost.batched_us / base.batched_us:.2f}x | {cost.difference:.4f} |"
            )
    return "\n".join(lines)


def main(
    models: Annotated[Path, typer.Option(help="Folder of the packages.")] = Path("models"),
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the least counts.")] = 5,
) -> None:
    """Measure every package that classifies and has both graphs, and fill the page."""
    packages = [one for one in discover(models) if isinstance(one, Package) and one.manifest.task in CLASSIFYING]
    both = [one for one in packages if one.manifest.graph("int8") and one.manifest.graph("fp32")]
    text = table({f"{one.name}/{one.version}": costs(one, rounds) for one in both})
    shown = f"Run of {today()}, one thread, least of {rounds} rounds.\n\n{text}"
    typer.echo(shown)
    fill(PERFORMANCE, MARK, shown)


def _raw(package: Package, precision: Any) -> bytes:
    graph = package.manifest.graph(precision)
    if graph is None:
        raise TypeError(f"This is a bug: {package.name} has no {precision} graph")
    return package.graph_bytes(graph)


def _session(kind: Variant) -> Any:
    options = _options()
    if kind.optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(kind.raw, options, providers=["CPUExecutionProvider"])


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _us(session: Any, batches: list[dict[str, Array]]) -> float:
    started = time.process_time()
    for feeds in batches:
        session.run(["logits"], feeds)
    return 1e6 * (time.process_time() - started) / len(batches)


def _stem(name: str) -> str:
    for suffix in (_STEPS, _SCALES, _HALF, "_whole"):
        name = name.removesuffix(suffix)
    return name


def _table(name: str, arrays: dict[str, Array]) -> Array:
    if name + _HALF in arrays:
        return arrays[name + _HALF].astype(np.float32)
    return arrays[name + _STEPS].astype(np.float32) * arrays[name + _SCALES]


def _lookup(node: onnx.NodeProto, dtype: type[np.float32 | np.float16]) -> list[onnx.NodeProto]:
    name, ids, out = _stem(node.input[0]), node.input[1], _stem(node.output[0])
    if dtype is np.float32:
        return [helper.make_node("Gather", [name, ids], [out], axis=0)]
    return [
        helper.make_node("Gather", [name, ids], [f"{out}_half"], axis=0),
        helper.make_node("Cast", [f"{out}_half"], [out], to=TensorProto.FLOAT),
    ]


def _sorted(nodes: list[onnx.NodeProto], inputs: list[Any], constants: list[Any], tables: Any) -> list[onnx.NodeProto]:
    """Return nodes so that each comes after those whose outputs it reads, its branches' included."""
    known = {"", *(one.name for one in (*inputs, *constants)), *tables}
    made = {name for node in nodes for name in node.output}
    done: list[onnx.NodeProto] = []
    left = nodes
    while left:
        ready = [node for node in left if _reads(node) & made <= known]
        if not ready:
            raise ValueError("This is a bug: the graph has a circle")
        done += ready
        known |= {name for node in ready for name in node.output}
        left = [node for node in left if not any(node is other for other in ready)]
    return done


def _reads(node: onnx.NodeProto) -> set[str]:
    inner = {
        name
        for attribute in node.attribute
        if attribute.HasField("g")
        for part in attribute.g.node
        for name in _reads(part)
    }
    return {*node.input, *inner}


if __name__ == "__main__":
    typer.run(main)
