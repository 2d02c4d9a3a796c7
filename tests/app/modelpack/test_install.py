"""A package is put in place whole or not at all, and nothing of the attempt is left behind."""

import shutil
from pathlib import Path

import pytest

from app.errors import PackageError
from app.modelpack.install import install
from app.modelpack.store import open_package, survey
from tests.packages import copy_tiny


@pytest.fixture
def models(tmp_path: Path) -> Path:
    copy_tiny(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Return a whole package of version 2, in a folder of another name."""
    return copy_tiny(tmp_path / "elsewhere", version=2).rename(tmp_path / "download")


def left(models: Path) -> list[str]:
    return sorted(str(path.relative_to(models)) for path in models.glob("*/*")) + [
        path.name for path in models.iterdir() if path.name.startswith(".")
    ]


def test_a_package_is_found_whole_under_its_own_name_and_version(models: Path, second: Path) -> None:
    assert install(second, models) == ("tiny", 2)
    assert list(survey(models)) == [("tiny", 1), ("tiny", 2)]
    assert open_package(models / "tiny" / "2").version == 2
    assert second.is_dir(), "what is installed is a copy"
    assert left(models) == ["tiny/1", "tiny/2"]


def test_a_package_of_a_new_name_gets_a_folder(tmp_path: Path, models: Path) -> None:
    assert install(copy_tiny(tmp_path / "elsewhere", "films", 7), models) == ("films", 7)
    assert left(models) == ["films/7", "tiny/1"]


def test_a_version_that_is_there_is_never_replaced(models: Path, second: Path) -> None:
    install(second, models)
    before = (models / "tiny" / "2" / "manifest.json").stat()
    with pytest.raises(PackageError, match="version 2 of tiny is there; expected a new version"):
        install(second, models)
    assert (models / "tiny" / "2" / "manifest.json").stat() == before


def test_a_broken_package_changes_nothing(models: Path, second: Path) -> None:
    (second / "model.onnx").write_bytes(b"cut short")
    with pytest.raises(PackageError, match=r"model\.onnx: 9 bytes"):
        install(second, models)
    (second / "model.onnx").unlink()
    (second / "model.onnx").symlink_to("/etc/hostname")
    with pytest.raises(PackageError, match="symbolic link"):
        install(second, models)
    shutil.rmtree(second)
    with pytest.raises(PackageError, match=r"manifest\.json: missing"):
        install(second, models)
    assert left(models) == ["tiny/1"]
