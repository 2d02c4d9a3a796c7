"""The reference work of a side-by-side run, served by Sluice: a target for the run's load generator.

The run gives every server the same model.onnx (int8), tokenizer.json and config.json in a folder (BENCH_ART). Those are
no package: this makes one of them and starts the service over it, with its defaults.

    python -m benchmarks.reference target              the object for --target, as JSON
    python -m benchmarks.reference serve --port 8000   what that object starts
    python -m benchmarks.reference mixed ART OUT       the same work with texts of mixed length for its short ones

What is added to the graph is the output ``attribution``, which a package has to have; nothing that is asked for
computes it. The tokenizer's normalization is none of ours and is entered beside them, in this process alone.
"""

import hashlib
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import typer
from onnx import TensorProto, helper
from tokenizers import Tokenizer

from app import workers
from app.errors import StartupError
from app.modelpack import normalize
from app.settings import load_settings

ROOT = Path(__file__).parents[1]
NAME = "sentiment-en"
NORMALIZATION = 1_000_000
"""Beyond every version that a release will have."""
_GRAPH = "model.int8.onnx"
_ATTENTION, _CLASS_WEIGHT = "/Unsqueeze_2_output_0", "out.weight"
_PAD_ID, _UNK_ID = 0, 1
_MEDIAN_WORDS, _SIGMA, _MAX_WORDS, _MIXED_TEXTS = 25, 1.1, 1000, 4000

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.command()
def target() -> None:
    """Print the object that the run's --target takes."""
    print(json.dumps(target_of(sys.executable, ROOT), indent=1))


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Port to listen on.")],
    art: Annotated[Path, typer.Option(envvar="BENCH_ART", help="Folder of the reference work.")],
) -> None:
    """Serve the reference work on POST /v1/sentiment until SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="sluice-reference-") as folder:
        write_package(art, Path(folder))
        register(art)
        try:
            workers.serve(load_settings(port=port, models_dir=Path(folder), log_level="warning"))
        except StartupError as error:
            sys.exit(f"reference: {error}")


@app.command()
def mixed(art: Path, out: Path, seed: int = 20261121) -> None:
    """Copy the work in ``art`` to ``out`` with texts of log-normal length (median 25 words) for the short ones."""
    shutil.copytree(art, out, dirs_exist_ok=True)
    words = " ".join((art / "short.txt").read_text("utf-8").splitlines()).split()
    numbers = random.Random(seed)  # noqa: S311 - a reproducible load, no secret
    texts = []
    for _ in range(_MIXED_TEXTS):
        length = min(_MAX_WORDS, max(1, round(numbers.lognormvariate(0, _SIGMA) * _MEDIAN_WORDS)))
        at = numbers.randrange(len(words) - length)
        texts.append(" ".join(words[at : at + length]))
    (out / "short.txt").write_text("\n".join(texts) + "\n", "utf-8")


def target_of(python: str, root: Path) -> dict[str, Any]:
    """Return how the run starts this service in ``root``, asks it, and finds the answer."""
    return {
        "name": "sluice",
        "cmd": [python, "-m", "benchmarks.reference", "serve", "--port", "{port}"],
        "cwd": str(root),
        "path": "/v1/sentiment",
        "body": '{"inputs": $TEXT}',
        "answer": "results.0",
        "batch_body": '{"inputs": $TEXTS}',
        "batch_answer": "results",
    }


def register(art: Path) -> None:
    """Make the reference tokenizer's normalization known to this process."""
    tokenizer = Tokenizer.from_file(str(art / "tokenizer.json"))
    parts = normalize.Normalization(NORMALIZATION, tokenizer.normalizer, tokenizer.pre_tokenizer)
    normalize.VERSIONS[NORMALIZATION] = lambda: parts


def write_package(art: Path, root: Path) -> Path:
    """Write the reference work in ``art`` as a package below ``root`` and return its folder."""
    config = json.loads((art / "config.json").read_text("utf-8"))
    raw_tokenizer = (art / "tokenizer.json").read_bytes()
    raw_graph = explained((art / "model.onnx").read_bytes(), len(config["labels"]))
    folder = root / NAME / "1"
    folder.mkdir(parents=True)
    files = {_GRAPH: raw_graph, "tokenizer.json": raw_tokenizer}
    for file, raw in files.items():
        (folder / file).write_bytes(raw)
    manifest = {
        "schema_version": 3,
        "name": NAME,
        "version": 1,
        "task": "sentiment",
        "description": "The reference work of a side-by-side run: for speed alone, its weights are random.",
        "languages": ["en"],
        "labels": config["labels"],
        "tokenizer": {
            "file": "tokenizer.json",
            "normalization": NORMALIZATION,
            "vocab_size": config["size"]["vocab"],
            "pad_id": _PAD_ID,
            "unk_id": _UNK_ID,
        },
        "limits": {"max_tokens": config["max_len"]},
        "graphs": [{"file": _GRAPH, "precision": "int8", **_signature(raw_graph)}],
        "files": {file: {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()} for file, raw in files.items()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def explained(raw: bytes, labels: int) -> bytes:
    """Return the graph with the output ``attribution`` float32[B, T, C]: attention times each state's class logits."""
    model = onnx.load_from_string(raw)
    graph = model.graph
    (weighing,) = [node for node in graph.node if node.op_type == "Mul" and node.input[0] == _ATTENTION]
    kept = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    quantized, scale, zero = (kept[f"{_CLASS_WEIGHT}_{part}"] for part in ("quantized", "scale", "zero_point"))
    weight = (quantized.astype(np.float32) - zero) * scale  # [S, C]
    graph.initializer.append(onnx.numpy_helper.from_array(weight.astype(np.float32), "attribution_weight"))
    graph.node.append(helper.make_node("MatMul", [weighing.input[1], "attribution_weight"], ["attribution_states"]))
    graph.node.append(helper.make_node("Mul", [_ATTENTION, "attribution_states"], ["attribution"]))
    graph.output.append(helper.make_tensor_value_info("attribution", TensorProto.FLOAT, ["B", "T", labels]))
    return bytes(model.SerializeToString())


def _signature(raw: bytes) -> dict[str, list[dict[str, Any]]]:
    graph = onnx.load_from_string(raw).graph
    dtypes = {int(TensorProto.INT64): "int64", int(TensorProto.FLOAT): "float32"}

    def told(value: onnx.ValueInfoProto) -> dict[str, Any]:
        tensor = value.type.tensor_type
        axes = [axis.dim_param or axis.dim_value for axis in tensor.shape.dim]
        return {"name": value.name, "dtype": dtypes[tensor.elem_type], "axes": axes}

    return {"inputs": [told(value) for value in graph.input], "outputs": [told(value) for value in graph.output]}


if __name__ == "__main__":
    app()
