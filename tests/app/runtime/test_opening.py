"""Every package here opens as what its task makes it, and its graphs are of a form that runs everywhere."""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from app.errors import PackageError
from app.modelpack.store import Package, Refused, discover, open_package
from app.runtime.classifier import Classifier
from app.runtime.extractor import Extractor
from app.runtime.model import files_to_open
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.summarizer import Summarizer
from tests.packages import OTHERS, PACKAGES, TINY, copy_tiny, write_file
from tests.parrot import parrot, weigher

MODELS = Path(__file__).parents[3] / "models"
EVERY = [found for root in (MODELS, PACKAGES, OTHERS) for found in discover(root) if not isinstance(found, Refused)]


def test_a_package_opens_as_what_its_task_makes_it(tmp_path: Path) -> None:
    folders = [TINY, weigher(tmp_path), parrot(tmp_path)]
    opened = [type(open_model(open_package(folder), choose("cpu"))) for folder in folders]
    assert opened == [Classifier, Extractor, Summarizer]


@pytest.mark.parametrize("package", EVERY, ids=lambda package: f"{package.name}-{package.version}")
def test_the_packed_graphs_stay_within_the_opsets_that_run_everywhere(package: Package) -> None:
    for graph in package.manifest.graphs:
        model = onnx.load_from_string(package.graph_bytes(graph))
        (opset,) = [part.version for part in model.opset_import if part.domain in {"", "ai.onnx"}]
        assert 17 <= opset <= 20
        for tensor in (*graph.inputs, *graph.outputs):
            assert isinstance(tensor.axes[0], str) or tensor.name == "k", f"{tensor.name} has a fixed batch axis"


def test_a_graph_that_opens_and_does_not_run_is_refused_by_name(tmp_path: Path) -> None:
    folder = copy_tiny(tmp_path)
    for file in ("model.onnx", "model.int8.onnx"):
        model = onnx.load(folder / file)
        for node in model.graph.node:
            node.output[:] = ["first_logits" if output == "logits" else output for output in node.output]
        model.graph.initializer.append(numpy_helper.from_array(np.array(1000), "far"))
        model.graph.node.append(helper.make_node("Add", ["lens", "far"], ["no_rows"]))
        model.graph.node.append(helper.make_node("Gather", ["first_logits", "no_rows"], ["logits"]))
        write_file(folder, file, model.SerializeToString())
    with pytest.raises(
        PackageError, match=r"manifest.json: a graph fails on its first run \(.*; expected graphs that run"
    ):
        open_model(open_package(folder), choose("cpu"))


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_opening_reads_the_files_that_were_told_and_no_others(tmp_path: Path, precision: str) -> None:
    for folder in (copy_tiny(tmp_path), weigher(tmp_path), parrot(tmp_path)):
        package = open_package(folder, partial(files_to_open, provider=choose("cpu"), precision=precision))
        shutil.rmtree(folder)
        model = open_model(package, choose("cpu"), precision)
        kept = {graph.file for graph in package.manifest.graphs if graph.precision in model.precision.split("/")}
        assert files_to_open(package.manifest, choose("cpu"), precision) == kept | {"tokenizer.json"}


def test_a_precision_that_a_package_has_not_got_is_no_matter_before_it_opens(tmp_path: Path) -> None:
    manifest = open_package(weigher(tmp_path)).manifest
    assert {graph.precision for graph in manifest.graphs} == {"fp32"}
    assert files_to_open(manifest, choose("cpu"), "int8") == {"model.onnx", "tokenizer.json"}
