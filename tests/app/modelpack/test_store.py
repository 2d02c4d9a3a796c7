"""The store: a package is whole or refused with the reason, and a refused one hinders no other."""

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx.external_data_helper import convert_model_to_external_data

from app.errors import PackageError
from app.modelpack.store import Package, Refused, discover, latest, open_package
from tests.packages import PACKAGES, TINY, copy_tiny, edit_manifest, write_file

Break = Callable[[Path], object]


def external(folder: Path) -> None:
    """Move the graph's tensors into a file of their own."""
    model = onnx.load(folder / "model.onnx")
    convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    write_file(folder, "model.onnx", model.SerializeToString())


def symlink(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "elsewhere.json")
    (folder / "tokenizer.json").symlink_to(folder / "elsewhere.json")


def linked_folder(folder: Path) -> None:
    folder.rename(folder.parent / "real")
    folder.symlink_to(folder.parent / "real")


def named_pipe(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")


def truncated(folder: Path) -> None:
    raw = (folder / "model.onnx").read_bytes()
    write_file(folder, "model.onnx", raw[: len(raw) // 2])


def swapped_tokenizer(folder: Path) -> None:
    raw = (folder / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(raw.replace(b"good", b"doog", 1))


BROKEN = [
    pytest.param(
        lambda f: (f / "model.onnx").unlink(), "model.onnx: missing; expected a regular file", id="missing file"
    ),
    pytest.param(lambda f: (f / "manifest.json").unlink(), "manifest.json: missing", id="missing manifest"),
    pytest.param(swapped_tokenizer, "tokenizer.json: sha256 ", id="wrong hash"),
    pytest.param(lambda f: (f / "model.onnx").write_bytes(b"short"), "model.onnx: 5 bytes; expected ", id="wrong size"),
    pytest.param(lambda f: (f / "manifest.json").write_text("{nope"), "manifest.json: not JSON", id="bad JSON"),
    pytest.param(
        lambda f: edit_manifest(f, lambda m: m.update(schema_version=9)), "schema_version is 9", id="unknown schema"
    ),
    pytest.param(
        lambda f: edit_manifest(f, lambda m: m.update(labels=["good", "bad"])), "'good' is no label", id="unknown label"
    ),
    pytest.param(symlink, "tokenizer.json: 'tokenizer.json' is a symbolic link", id="symbolic link"),
    pytest.param(linked_folder, "'1' is a symbolic link", id="version folder is a symbolic link"),
    pytest.param(
        lambda f: edit_manifest(f, lambda m: m["files"].update({"../../x": m["files"]["model.onnx"]})),
        "'../../x' leaves the package",
        id="path out of the folder",
    ),
    pytest.param(external, "keeps its data in another file; expected all data inside", id="external data"),
    pytest.param(truncated, "model.onnx: not an ONNX model", id="cut ONNX file"),
    pytest.param(
        lambda f: edit_manifest(f, lambda m: m.update(name="other")),
        "name is 'other'; expected 'tiny'",
        id="wrong name",
    ),
    pytest.param(
        lambda f: edit_manifest(f, lambda m: m.update(version=7)), "version is 7; expected 1", id="wrong version"
    ),
    pytest.param(named_pipe, "model.onnx: not a regular file", id="named pipe"),
]


@pytest.mark.parametrize(("broken", "reason"), BROKEN)
def test_a_broken_package_is_refused_with_file_value_and_expectation(
    tmp_path: Path, broken: Break, reason: str
) -> None:
    folder = copy_tiny(tmp_path)
    broken(folder)
    with pytest.raises(PackageError) as refused:
        open_package(folder)
    assert reason in str(refused.value)
    assert "; expected " in str(refused.value)


@pytest.mark.parametrize(("broken", "reason"), BROKEN)
def test_a_broken_package_is_listed_and_its_neighbour_opened(tmp_path: Path, broken: Break, reason: str) -> None:
    copy_tiny(tmp_path, "good")
    broken(copy_tiny(tmp_path))
    good, bad = discover(tmp_path)
    assert isinstance(good, Package)
    assert isinstance(bad, Refused)
    assert (bad.name, bad.version, bad.state) == ("tiny", 1, "failed")
    assert reason in bad.reason


def test_versions_are_whole_numbers_in_their_own_order(tmp_path: Path) -> None:
    for version in (10, 2, 9):
        copy_tiny(tmp_path, version=version)
    for other in ("draft", "03", ".hidden"):
        (tmp_path / "tiny" / other).mkdir()
    assert [found.version for found in discover(tmp_path)] == [2, 9, 10]
    assert latest(tmp_path / "tiny").name == "10"


def test_a_folder_without_versions_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no version folder; expected a folder named by a whole number"):
        latest(tmp_path)


def test_a_file_that_changes_after_it_was_verified_is_not_read(tmp_path: Path) -> None:
    package = open_package(copy_tiny(tmp_path))
    raw = bytearray((package.folder / "model.onnx").read_bytes())
    raw[-1] ^= 1
    (package.folder / "model.onnx").write_bytes(raw)
    with pytest.raises(PackageError, match=r"model\.onnx: sha256"):
        package.graph_bytes(package.manifest.graphs[0])


def test_an_empty_folder_holds_no_package(tmp_path: Path) -> None:
    assert discover(tmp_path) == []


def test_every_committed_package_is_whole() -> None:
    models = Path(__file__).parents[3] / "models"
    found = [*discover(models), *discover(PACKAGES)]
    assert TINY.is_dir()
    assert [entry for entry in found if isinstance(entry, Refused)] == []


def test_what_is_wanted_is_read_once_and_from_disk_again_after_it_was_let_go(tmp_path: Path) -> None:
    folder = copy_tiny(tmp_path)
    package = open_package(folder, lambda manifest: {manifest.tokenizer.file})
    for file in ("tokenizer.json", "model.onnx"):
        (folder / file).unlink()
    assert len(package.read("tokenizer.json")) == package.manifest.files["tokenizer.json"].bytes
    with pytest.raises(PackageError, match=r"model\.onnx: missing"):
        package.read("model.onnx")
    package.let_go()
    with pytest.raises(PackageError, match=r"tokenizer\.json: missing"):
        package.read("tokenizer.json")
