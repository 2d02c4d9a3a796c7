"""A package that classifies: checked against its manifest, and the same answer alone and in a batch."""

import json
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper

from app.errors import InferenceFailed, PackageError
from app.modelpack.manifest import CLASSIFYING
from app.modelpack.store import Package, Refused, discover, open_package
from app.runtime.classifier import Classifier
from app.runtime.providers import choose
from app.tasks.classify import softmax
from benchmarks.texts import texts
from tests.packages import FIXTURES, OTHERS, PACKAGES, TINY, copy_tiny, edit_manifest, write_file

CPU = choose("cpu")
MODELS = Path(__file__).parents[3] / "models"
EVERY = [
    found
    for root in (MODELS, PACKAGES, OTHERS)
    for found in discover(root)
    if not isinstance(found, Refused) and found.manifest.task in CLASSIFYING
]
CHINESE_CLAUSES = [
    "房间很干净,就是有点吵",
    "快递三天才到,包装也破了",
    "演员都不错，可惜剧情太拖",
    "用了一周电池就坏了",
    "性价比很高，下次还会再来",
    "客服态度一般",
    "央行今天宣布下调存款准备金率",
    "国足将于今晚迎战日本队",
    "iPhone15的屏幕真的漂亮！！！",
    "不是说不好,只是没有想象中那么好",
]


def rows(package: Package) -> list[npt.NDArray[np.int64]]:
    """Return texts of the package's own kind as it reads them, of all lengths, to stand side by side in one batch.

    The toy knows a few words alone, and on others its int8 graph is as unsteady as its judgement.
    """
    toys = FIXTURES / "data" / "sentiment" / package.name / "dev.jsonl"
    if toys.exists():
        own = [json.loads(line)["text"] for line in toys.read_text("utf-8").splitlines()]
    elif package.manifest.languages == ["zh"]:
        own = [*chinese(60), "好", "不好"]
    else:
        own = [*texts("mixed", 60), "good", "not bad"]
    return [tokens.ids for tokens in package.tokenizer().encode(own)]


def chinese(count: int) -> list[str]:
    """Return Chinese texts of 1 to 30 clauses, short ones the most."""
    numbers = random.Random(13)  # noqa: S311 - reproducible, no secret
    sizes = [min(30, max(1, round(numbers.lognormvariate(1, 1)))) for _ in range(count)]
    return ["。".join(numbers.choices(CHINESE_CLAUSES, k=size)) for size in sizes]


def probabilities(model: Classifier, batch: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
    logits: npt.NDArray[np.float32] = np.stack([answer[0] for answer in model.plain.run(batch)])  # [B, C]
    return softmax(logits / np.float32(model.temperature))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("package", EVERY, ids=lambda package: f"{package.name}-{package.version}")
def test_an_answer_is_the_same_alone_and_in_a_batch(package: Package, precision: str) -> None:
    # Packed before int8 ranges were pinned (decision 0004), a package knows nothing of its int8 company.
    steady = precision == "fp32" or "int8_company" in package.manifest.provenance["checks"]
    model = Classifier.open(package, CPU, precision)
    together = probabilities(model, rows(package))
    alone = np.concatenate([probabilities(model, [row]) for row in rows(package)])
    np.testing.assert_allclose(together, alone, atol=1e-5 if steady else 0.005)
    margin = np.diff(np.sort(alone, axis=1)[:, -2:], axis=1)[:, 0]
    assert (together.argmax(axis=1) == alone.argmax(axis=1))[margin > 0.01].all()


@pytest.mark.parametrize("package", EVERY, ids=lambda package: f"{package.name}-{package.version}")
def test_what_each_token_adds_sums_to_the_logits(package: Package) -> None:
    model = Classifier.open(package, CPU, "fp32")
    biases = []
    for (logits, attribution), row in zip(model.explained.run(rows(package)), rows(package), strict=True):
        assert attribution.shape == (len(row), len(package.manifest.labels))
        biases.append(logits - attribution.sum(axis=0))
    np.testing.assert_allclose(biases, np.tile(biases[0], (len(biases), 1)), atol=1e-3)


def test_both_lanes_give_the_same_logits() -> None:
    package = open_package(TINY)
    model = Classifier.open(package, CPU)
    plain = [answer[0] for answer in model.plain.run(rows(package))]
    explained = [answer[0] for answer in model.explained.run(rows(package))]
    np.testing.assert_allclose(plain, explained, atol=1e-6)


def test_a_graph_unlike_its_manifest_is_refused_with_both_forms(tmp_path: Path) -> None:
    folder = copy_tiny(tmp_path)
    edit_manifest(folder, lambda manifest: manifest["graphs"][1]["inputs"][0].update(name="tokens"))
    with pytest.raises(
        PackageError, match=r"inputs .*ids int64.*; expected inputs .*tokens int64.*, as the manifest says"
    ):
        Classifier.open(open_package(folder), CPU)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    folder = copy_tiny(tmp_path)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("NoSuchOperator", [], ["y"])], "g", [], [y])
    write_file(folder, "model.int8.onnx", helper.make_model(graph).SerializeToString())
    with pytest.raises(PackageError, match=r"model\.int8\.onnx: not a graph that ONNX Runtime opens"):
        Classifier.open(open_package(folder), CPU)


def test_labels_unlike_the_graphs_columns_are_refused(tmp_path: Path) -> None:
    folder = copy_tiny(tmp_path)
    edit_manifest(folder, lambda manifest: manifest.update(labels=["negative", "positive"]))
    with pytest.raises(PackageError, match="labels: 2 of them; expected as many as the graph's 3 logits"):
        Classifier.open(open_package(folder), CPU)


def test_a_precision_that_the_package_lacks_is_refused(tmp_path: Path) -> None:
    folder = copy_tiny(tmp_path)
    edit_manifest(
        folder, lambda manifest: manifest.update(graphs=[g for g in manifest["graphs"] if g["precision"] == "fp32"])
    )
    assert Classifier.open(open_package(folder), CPU).session.precision == "fp32"
    with pytest.raises(PackageError, match="graphs of precision fp32; expected int8 for the provider cpu"):
        Classifier.open(open_package(folder), CPU, "int8")


def test_ids_beyond_the_vocabulary_fail_cleanly() -> None:
    model = Classifier.open(open_package(TINY), CPU)
    with pytest.raises(InferenceFailed, match="the model failed on this input"):
        model.plain.run([np.array([10**9], np.int64)])
