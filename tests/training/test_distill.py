"""Finished runs as teachers of a new one."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import TINY, TinyRun, copied
from training import distill, prepare, train
from training.config import DistillConfig, RunConfig, TaughtText
from training.errors import RunError
from training.paths import RunPaths

TEACHER = "teacher"


@pytest.fixture
def runs(run: TinyRun, tmp_path: Path) -> Path:
    """Return a folder of runs with one finished teacher in it."""
    copied(run.paths, tmp_path).root.rename(tmp_path / TEACHER)
    # What the command line leaves there.
    shutil.copyfile(TINY, tmp_path / TEACHER / "config.toml")
    return tmp_path


@pytest.fixture
def student(tiny: RunConfig) -> RunConfig:
    return tiny.model_copy(
        update={
            "distill": DistillConfig(teachers=(TEACHER, TEACHER)),
            "loop": tiny.loop.model_copy(update={"distill_weight": 0.5}),
        }
    )


@pytest.fixture
def paths(prepared: RunPaths, tmp_path: Path) -> RunPaths:
    return copied(prepared, tmp_path / "student")


def test_a_teachers_word_is_its_networks_probabilities_in_the_rows_order(
    student: RunConfig, paths: RunPaths, runs: Path
) -> None:
    distill.distill(student, paths, runs, lambda _: None)
    said = np.load(paths.taught("tiny", "train"))
    corpus = prepare.split_of(paths, "tiny", "train")
    network = train.load_network(student, RunPaths(runs / TEACHER))
    alone = distill.probabilities(network, corpus.head(7), corpus.classes, student)
    kept = np.linspace(0, len(corpus) - 1, 7).astype(int)
    assert said.dtype == np.float32
    assert np.allclose(said.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(said[kept], alone, atol=1e-4)
    assert (said.argmax(axis=1) == corpus.labels).mean() > 0.9


def test_a_class_that_the_set_does_not_have_gets_nothing(student: RunConfig, runs: Path) -> None:
    teacher = RunPaths(runs / TEACHER)
    corpus = prepare.split_of(teacher, "tiny", "dev").head(5)
    network = train.load_network(student, teacher)
    found = distill.probabilities(network, corpus, np.array([True, False, True]), student)
    assert (found[:, 1] == 0).all()
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)


def test_text_without_labels_is_taught_as_rows_of_the_set_it_is_like(
    student: RunConfig, paths: RunPaths, runs: Path
) -> None:
    text = TaughtText(name="tiny", split="dev", like="tiny", rows_per_epoch=11)
    asked = student.model_copy(update={"distill": DistillConfig(teachers=(TEACHER,), texts=(text,))})
    distill.distill(asked, paths, runs, lambda _: None)
    labelled, taught = prepare.sources(asked, paths)
    assert labelled.soft is not None
    assert taught.rows_per_epoch == 11
    assert taught.soft is not None
    assert (taught.corpus.labels == taught.soft.argmax(axis=1)).all()


def test_a_student_learns_from_the_teachers_word(student: RunConfig, paths: RunPaths, runs: Path) -> None:
    with pytest.raises(RunError, match="run `sluice-train distill`"):
        train.train(student, paths, lambda _: None)
    distill.distill(student, paths, runs, lambda _: None)
    train.train(student, paths, lambda _: None, resume=False)
    assert paths.network.exists()


def test_a_teacher_that_tells_other_labels_apart_is_refused(student: RunConfig, paths: RunPaths, runs: Path) -> None:
    other = student.model_copy(update={"labels": ("negative", "positive")})
    with pytest.raises(RunError, match=r"tells .* apart, not"):
        distill.distill(other, paths, runs, lambda _: None)


def test_a_teacher_of_other_rows_is_refused(student: RunConfig, paths: RunPaths, runs: Path) -> None:
    prepare.split_of(paths, "tiny", "train").head(9).save(paths.prepared / "tiny.train.npz")
    with pytest.raises(RunError, match="has 360 rows there, 9 here"):
        distill.distill(student, paths, runs, lambda _: None)


def test_a_config_without_teachers_is_told_so(tiny: RunConfig, paths: RunPaths, runs: Path) -> None:
    with pytest.raises(RunError, match=r"no \[distill\] section"):
        distill.distill(tiny, paths, runs, lambda _: None)
