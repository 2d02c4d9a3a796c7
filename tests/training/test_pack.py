"""The package."""

from pathlib import Path

import pytest

from app.modelpack.store import open_package
from tests.training.conftest import DATA, FIXTURES, TinyRun
from training import pack
from training.errors import PackRefusedError, RunError
from training.paths import RunPaths


def test_a_package_opens_and_is_whole(run: TinyRun) -> None:
    package = open_package(run.package)
    assert (package.name, package.version) == ("tiny", 1)
    assert set(package.manifest.files) == {
        "README.md",
        "model.int8.onnx",
        "model.onnx",
        "report/calibration.png",
        "report/confusion.png",
        "report/learning-curves.png",
        "tokenizer.json",
    }


def test_a_manifest_tells_how_the_package_was_made(run: TinyRun) -> None:
    provenance = open_package(run.package).manifest.provenance
    assert provenance["config"] == run.config.model_dump(mode="json")
    assert provenance["data_sha256"].keys() == {"tiny/train", "tiny/dev"}
    assert provenance["libraries"]["torch"]
    assert provenance["training"]["blend"]["figures"] == {"tiny": 1.0}


def test_the_card_shows_the_network_and_every_baseline_side_by_side(run: TinyRun) -> None:
    (evaluation,) = open_package(run.package).manifest.evaluation
    assert evaluation.metrics["accuracy"] == 1.0
    assert evaluation.baselines.keys() == {"lr", "nbsvm", "fasttext", "vader"}
    assert evaluation.baseline == evaluation.baselines["lr"]
    theirs = " | ".join(f"{100 * evaluation.baselines[name]['accuracy']:.1f}" for name in evaluation.baselines)
    shown = (run.package / "README.md").read_text("utf-8")
    assert "| network | LR | NBSVM | fastText | VADER | difference |" in shown
    assert f"| tiny | test | 90 | accuracy | 100.0 | {theirs} | +0.0 |" in shown


def test_packing_again_replaces_the_package_and_leaves_nothing_beside_it(run: TinyRun, tmp_path: Path) -> None:
    for _ in range(2):
        folder = pack.pack(run.config, DATA, run.paths, tmp_path, split="dev", say=lambda _: None)
    assert open_package(folder).manifest.evaluation[0].split == "dev"
    assert [one.name for one in tmp_path.iterdir()] == ["tiny"]
    assert [one.name for one in (tmp_path / "tiny").iterdir()] == ["1"]


def test_a_graph_below_the_gate_is_refused_and_nothing_is_written(run: TinyRun, tmp_path: Path) -> None:
    strict = run.config.model_copy(update={"gates": run.config.gates.model_copy(update={"parity": 1e-12})})
    with pytest.raises(PackRefusedError, match="logits differ by"):
        pack.pack(strict, DATA, run.paths, tmp_path, split="dev", say=lambda _: None)
    assert not list(tmp_path.iterdir())


def test_packing_before_training_says_what_to_run(run: TinyRun, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="run `sluice-train export` with this config first"):
        pack.pack(run.config, DATA, RunPaths(tmp_path / "none"), tmp_path, split="dev", say=lambda _: None)


def test_the_committed_tiny_package_is_small_and_opens() -> None:
    folder = FIXTURES / "packages" / "tiny" / "1"
    open_package(folder)
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 400_000
