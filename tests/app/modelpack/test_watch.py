"""A change of the folder is told once, and only when it has stood still."""

import shutil
from pathlib import Path

import pytest

from app.modelpack.watch import Watch
from tests.packages import copy_tiny


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    copy_tiny(tmp_path)
    return Watch(tmp_path)


def test_what_is_there_at_the_start_is_no_change(watch: Watch) -> None:
    assert [watch.changed() for _ in range(3)] == [False] * 3


def test_a_package_that_comes_changes_or_goes_is_told_once_each(watch: Watch, tmp_path: Path) -> None:
    second = copy_tiny(tmp_path, version=2)
    assert [watch.changed() for _ in range(3)] == [False, True, False]
    (second / "tokenizer.json").write_text("{}", "utf-8")
    assert [watch.changed() for _ in range(3)] == [False, True, False]
    shutil.rmtree(second)
    assert [watch.changed() for _ in range(3)] == [False, True, False]


def test_a_package_that_is_still_written_is_left_alone(watch: Watch, tmp_path: Path) -> None:
    second = tmp_path / "tiny" / "2"
    second.mkdir()
    for at in range(5):
        (second / f"part-{at}").write_bytes(b"part")
        assert not watch.changed()
    assert watch.changed()


def test_a_change_that_is_taken_back_is_none(watch: Watch, tmp_path: Path) -> None:
    second = copy_tiny(tmp_path, version=2)
    assert not watch.changed()
    shutil.rmtree(second)
    assert [watch.changed() for _ in range(3)] == [False] * 3


def test_a_folder_with_a_dot_is_not_looked_at(watch: Watch, tmp_path: Path) -> None:
    copy_tiny(tmp_path / ".incoming", version=2)
    assert [watch.changed() for _ in range(3)] == [False] * 3


def test_it_is_due_once_each_time(tmp_path: Path) -> None:
    assert not Watch(tmp_path, every_s=3600).due()
    always = Watch(tmp_path, every_s=0)
    assert always.due()
