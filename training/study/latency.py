"""How fast a network's graphs answer in ONNX Runtime on one thread, through the session that serving uses.

The weights are untrained: how long a step takes does not depend on them.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from app.modelpack.manifest import Precision
from app.runtime.providers import choose
from app.runtime.session import Session, padded
from training.config import RunConfig
from training.errors import TrainingError
from training.export import export_fp32, graph_spec, quantize
from training.models.classifier import build
from training.study.material import Strict
from training.study.plan import LatencyPlan
from training.tokenizer import PAD_ID, UNK_ID

RECURRENT_NODES = {"LSTM", "GRU", "RNN"}
INT8_NODES = {"DynamicQuantizeLSTM"}
WARM_UP = 3


class Timing(Strict):
    """The median time of one call on a batch of `rows` texts of `tokens` tokens each."""

    precision: Precision
    rows: int
    tokens: int
    ms: float


class Speed(Strict):
    """One network's graphs, or why there are none.

    `fp32_node` and `int8_node` are the recurrent nodes of either graph: where the runtime has no int8 kernel for the
    cell they are the same, and only the lookup tables are in 8 bits.
    """

    parameters: int | None = None
    fp32_mb: float | None = None
    int8_mb: float | None = None
    fp32_node: str = ""
    int8_node: str = ""
    timings: tuple[Timing, ...] = ()
    failed: str = ""

    @property
    def int8_kernel(self) -> bool:
        """Say whether the recurrence itself runs in 8 bits."""
        return self.int8_node in INT8_NODES


def measure(config: RunConfig, vocab_size: int, plan: LatencyPlan) -> Speed:
    """Export an untrained network of the config's sizes and time it at each of the plan's shapes, on one thread."""
    network = build(config, vocab_size, PAD_ID)
    parameters = sum(weight.numel() for weight in network.recurrent.parameters())
    with TemporaryDirectory(prefix="sluice-latency-") as folder:
        paths: dict[Precision, Path] = {"fp32": Path(folder) / "fp32.onnx", "int8": Path(folder) / "int8.onnx"}
        try:
            export_fp32(network, paths["fp32"])
            quantize(paths["fp32"], paths["int8"], [np.arange(vocab_size)])
        except (TrainingError, RuntimeError, ValueError) as error:
            return Speed(parameters=parameters, failed=f"{type(error).__name__}: {error}".splitlines()[0])
        sessions = {precision: _open(path, precision, len(config.labels)) for precision, path in paths.items()}
        return Speed(
            parameters=parameters,
            fp32_mb=round(paths["fp32"].stat().st_size / 1e6, 2),
            int8_mb=round(paths["int8"].stat().st_size / 1e6, 2),
            fp32_node=_recurrent_node(paths["fp32"]),
            int8_node=_recurrent_node(paths["int8"]),
            timings=_times(sessions, vocab_size, plan),
        )


def _open(path: Path, precision: Precision, classes: int) -> Session:
    return Session(graph_spec(path.name, precision, classes), path.read_bytes(), choose("cpu"), intra_op_threads=1)


def _recurrent_node(graph: Path) -> str:
    kinds = {node.op_type for node in onnx.load(str(graph)).graph.node}
    return ", ".join(sorted(kinds & (RECURRENT_NODES | INT8_NODES)))


def _times(sessions: Mapping[Precision, Session], vocab_size: int, plan: LatencyPlan) -> tuple[Timing, ...]:
    """Time the graphs turn by turn, so that what else the machine does meets both alike."""
    rng = np.random.default_rng(0)
    found = []
    for rows, tokens in plan.shapes:
        feeds = padded([rng.integers(UNK_ID, vocab_size, tokens) for _ in range(rows)], PAD_ID)
        seconds: dict[Precision, list[float]] = {precision: [] for precision in sessions}
        for _ in range(WARM_UP + plan.repeats):
            for precision, session in sessions.items():
                started = time.perf_counter()
                session.run(["logits"], feeds)
                seconds[precision].append(time.perf_counter() - started)
        found += [
            Timing(precision=precision, rows=rows, tokens=tokens, ms=round(1000 * median(times[WARM_UP:]), 4))
            for precision, times in seconds.items()
        ]
    return tuple(found)
