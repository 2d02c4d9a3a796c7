"""What each stage brought, by leaving it out: the same short fit from every start."""

import json
from pathlib import Path

import pytest

from tests.training.conftest import copied
from tests.training.summarize.conftest import TinyRun
from training.errors import RunError
from training.paths import RunPaths
from training.summarize.config import SummarizeConfig
from training.summarize.left_out import FOLDER, left_out


@pytest.fixture(scope="module")
def report(run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    paths = RunPaths(copied(run.paths, tmp_path_factory.mktemp("left-out")).root, run.paths.prepared_in)
    found = left_out(run.config, paths, lambda _: None, epochs=1, dev_rows=6)
    assert json.loads((paths.root / FOLDER / "report.json").read_text("utf-8")) == found
    said: list[str] = []
    assert left_out(run.config, paths, said.append, epochs=1, dev_rows=6) == found
    assert len(said) == 1, "what is there is not fitted again"
    return found


def test_every_start_is_fitted_for_equally_many_steps(report: dict[str, dict[str, object]]) -> None:
    assert list(report) == ["untrained", "read", "restored"]
    assert len({one["steps"] for one in report.values()}) == 1
    assert all(set(one["dev"]) == {"tiny-news", "tiny-chats"} for one in report.values())  # type: ignore[call-overload]


def test_starts_differ_in_what_they_have_learnt(report: dict[str, dict[str, object]]) -> None:
    losses = {str(one["dev"]["tiny-news"]["loss"]) for one in report.values()}  # type: ignore[index]
    assert len(losses) == 3


def test_a_config_without_stages_has_none_to_leave_out(tiny: SummarizeConfig, run: TinyRun) -> None:
    with pytest.raises(RunError, match="no stage to leave out"):
        left_out(tiny.model_copy(update={"pretrain": None}), run.paths, lambda _: None, epochs=1, dev_rows=6)


def test_a_stage_that_was_not_run_is_named(tiny: SummarizeConfig, run: TinyRun, tmp_path: Path) -> None:
    early = copied(RunPaths(run.paths.tokenizer.parent), tmp_path)
    early.pretrained.unlink()
    with pytest.raises(RunError, match="run `sluice-train pretrain`"):
        left_out(tiny, early, lambda _: None, epochs=1, dev_rows=6)
