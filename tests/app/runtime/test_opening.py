"""Every package here opens as what its task makes it, and its graphs are of a form that runs everywhere."""

from pathlib import Path

import onnx
import pytest

from app.modelpack.store import Package, Refused, discover, open_package
from app.runtime.classifier import Classifier
from app.runtime.extractor import Extractor
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.summarizer import Summarizer
from tests.packages import OTHERS, PACKAGES, TINY
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
