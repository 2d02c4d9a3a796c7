"""One run of a study, teachers included."""

from pathlib import Path

import pytest

from tests.training.conftest import DATA
from training import prepare
from training.config import DistillConfig, PretrainConfig, RunConfig, TaughtText, TextSource
from training.paths import RunPaths
from training.study.runner import run, teachers_of


@pytest.fixture
def student(tiny: RunConfig) -> RunConfig:
    """Return a run that learns from two teachers' word alone, and never from a label."""
    loop = tiny.loop.model_copy(update={"epochs": 12, "distill_weight": 1.0, "distill_temperature": 2.0})
    blend = tiny.blend.model_copy(update={"ngram_shares": (0.0,)})
    distilled = DistillConfig(teachers=("first", "second"))
    return tiny.model_copy(update={"loop": loop, "blend": blend, "distill": distilled})


def test_teachers_are_the_run_without_its_teachers_by_seeds_of_their_own(student: RunConfig) -> None:
    first, second = teachers_of(student)
    assert first.distill is None
    assert (first.loop.distill_weight, first.loop.distill_temperature) == (0.0, 1.0)
    assert first.model_copy(update={"seed": second.seed}) == second
    other = teachers_of(student.model_copy(update={"seed": student.seed + 1}))
    assert len({student.seed, *(one.seed for one in (first, second, *other))}) == 5


def test_a_student_learns_what_only_its_teachers_were_told(
    student: RunConfig, prepared: RunPaths, tmp_path: Path
) -> None:
    found = run(student, prepared, tmp_path)
    assert found.score > 0.6  # three classes, as many rows of each
    assert found.epochs == 12
    assert not list(tmp_path.iterdir())


def test_teachers_label_text_without_labels_for_the_student(student: RunConfig, tmp_path: Path) -> None:
    text = TaughtText(name="tiny", split="test", like="tiny", rows_per_epoch=40)
    reading = student.model_copy(
        update={
            "loop": student.loop.model_copy(update={"epochs": 2}),
            "pretrain": PretrainConfig(
                texts=(TextSource(name="tiny", split="test"),), window=8, rows=4, negatives=8, precision="32"
            ),
        }
    )
    prepared = RunPaths(tmp_path / "prepared")
    prepare.prepare(reading, DATA, prepared, lambda _: None)
    distilled = DistillConfig(teachers=("first",))
    rows_alone = run(reading.model_copy(update={"distill": distilled}), prepared, tmp_path)
    with_text = distilled.model_copy(update={"texts": (text,)})
    found = run(reading.model_copy(update={"distill": with_text}), prepared, tmp_path)
    assert found.steps > rows_alone.steps
    assert [path.name for path in tmp_path.iterdir()] == ["prepared"]
