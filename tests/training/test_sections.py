"""The card's sections on findings, and where those come from."""

import json

import numpy as np
import pytest

from app.modelpack.manifest import Calibration, Evaluation
from app.modelpack.store import open_package
from tests.training.conftest import TinyRun, copied
from training import findings, sections
from training.bootstrap import Interval
from training.calibration import Judged
from training.contrast import Contrast, Rates
from training.errors import RunError
from training.findings import NETWORK, Errors, Findings, SetFindings
from training.markdown import table
from training.parity import Answers, Checks
from training.speed import Speed, Timing

CHECKS = Checks(1e-7, 1e-7, 1e-7, 1e-7, 0.999, {"tiny": 0.999}, {"tiny": -0.125})
SET = SetFindings(
    unanswered=2,
    errors={"dev": Errors(0.052, 0.011, 0.013), "test": Errors(0.061, 0.02, 0.03)},
    intervals={NETWORK: Interval(0.9, 0.88, 0.915), "lr": Interval(0.02, -0.004, 0.041)},
)
FOUND = Findings(
    checks=CHECKS,
    speed=Speed("Example 3000", [Timing("int8", 25, 0.5, 32, 4321.4)]),
    contrast=Contrast("en.jsonl", Rates(4, 0.75, 0.25), {"negation": Rates(4, 0.75, 0.25)}, []),
    sets={"tiny": SET},
    seeds={"seeds": [1, 2, 3], "dev": {"tiny": [0.8, 0.82, 0.84]}},
)


def last(text: str | None) -> str:
    return (text or "").splitlines()[-1]


def test_goals_say_what_was_beaten_and_what_is_missing(run: TinyRun) -> None:
    one = run.config.sets[0].model_copy(update={"must_beat": {"LR own": 88.0, "published": 90.5}, "goal": 92.5})
    config = run.config.model_copy(update={"sets": (one,)})
    manifest = open_package(run.package).manifest
    evaluation: Evaluation = manifest.evaluation[0].model_copy(update={"metrics": {"accuracy": 0.9}})
    manifest = manifest.model_copy(update={"evaluation": [evaluation]})
    assert (
        last(sections.goals(manifest, config))
        == "| tiny | 90.0 | **published 90.5**, LR own 88.0 | 92.5, short by 2.5 |"
    )
    assert sections.goals(manifest, run.config) is None


def test_certainty_shows_the_figures_interval_and_the_leads() -> None:
    assert (
        last(sections.certainty(FOUND, {"lr": "LR", "nbsvm": "NBSVM"})) == "| tiny | 88.0 to 91.5 | +2.0 [-0.4, +4.1] |"
    )
    assert last(sections.certainty(FOUND, {})) == "| tiny | 88.0 to 91.5 |"


def test_calibration_shows_both_splits() -> None:
    calibration = Calibration(temperature=1.25, data=["tiny/dev"], ece_before=0.052, ece_after=0.011)
    text = sections.calibrated(calibration, FOUND, "test")
    assert "divided by 1.250" in text
    assert "| tiny | 5.2 | 1.1 | 1.3 | 6.1 | 2.0 | 3.0 |" in text
    assert "| tiny | 5.2 | 1.1 | 1.3 |\n" in sections.calibrated(calibration, FOUND, "dev")


def test_what_int8_costs_negation_seeds_and_speed_are_tables(run: TinyRun) -> None:
    manifest = open_package(run.package).manifest
    assert last(sections.int8(manifest, run.config, FOUND)) == "| tiny | 99.90% | -0.12 |"
    assert last(sections.seeds(FOUND)) == "| tiny | 82.0 | 2.00 |"
    assert last(sections.speed(FOUND.speed)) == "| int8 | 25 | 0.50 | 4,321 |"
    assert FOUND.contrast is not None
    assert last(sections.negation(FOUND.contrast)) == "| negation | 4 | 75 | 25 |"


def test_the_temperature_is_that_of_the_graph_that_is_served() -> None:
    logits = np.log(np.array([[0.7, 0.3], [0.7, 0.3], [0.3, 0.7], [0.3, 0.7], [0.7, 0.3]], dtype=np.float32))
    labels, classes = np.array([0, 0, 1, 1, 1]), np.array([True, True])
    int8, fp32 = Judged(logits, labels, classes), Judged(9 * logits, labels, classes)
    found = findings.calibrate({"a": Answers(fp32=fp32, int8=int8)})
    assert found.data == ["a/dev"]
    # Four of five are right at one confidence: the best temperature makes that confidence 0.8.
    assert found.temperature == pytest.approx(np.log(0.7 / 0.3) / np.log(0.8 / 0.2), rel=1e-3)
    assert found.ece_before == pytest.approx(0.1, abs=1e-6)
    assert found.ece_after == pytest.approx(0.0, abs=1e-3)


def test_a_package_holds_calibration_and_findings(run: TinyRun) -> None:
    manifest = open_package(run.package).manifest
    assert manifest.calibration is not None
    assert manifest.calibration.data == ["tiny/dev"]
    assert manifest.calibration.ece_after <= manifest.calibration.ece_before
    found = manifest.provenance["findings"]
    assert found["sets"]["tiny"]["errors"].keys() == {"dev", "test"}
    assert found["sets"]["tiny"]["intervals"][NETWORK] == {"value": 1.0, "low": 1.0, "high": 1.0}
    leads = found["sets"]["tiny"]["intervals"]
    assert leads.keys() == {NETWORK, *manifest.evaluation[0].baselines}
    for name, figures in manifest.evaluation[0].baselines.items():
        assert leads[name]["value"] == pytest.approx(1.0 - figures["accuracy"])
        assert leads[name]["low"] <= leads[name]["value"] <= leads[name]["high"]
    assert found["contrast"]["pairs"] == 100
    assert [one["precision"] for one in found["speed"]["timings"]] == ["fp32", "int8"]
    text = (run.package / "README.md").read_text("utf-8")
    for title in ("Figures", "Certainty", "Calibration", "8 bits", "Negation and contrast", "Speed", "Limits"):
        assert f"\n## {title}\n" in text
    assert "## Goals" not in text
    assert "## Text it never saw" not in text


def test_seeds_must_be_as_many_as_their_figures(run: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> None:
    paths = copied(run.paths, tmp_path_factory.mktemp("seeds"))
    paths.seeds.write_text(json.dumps({"seeds": [1, 2], "dev": {"tiny": [0.5]}}), "utf-8")
    with pytest.raises(RunError, match="as many figures for each set as there are seeds"):
        findings._seeds(paths)
    paths.seeds.write_text("{", "utf-8")
    with pytest.raises(RunError, match="not JSON"):
        findings._seeds(paths)


def test_a_bar_in_a_cell_is_escaped_and_a_short_row_is_a_bug() -> None:
    assert table(["a", "b"], [["x|y", ""]]) == "| a | b |\n| --- | --- |\n| x\\|y |  |"
    with pytest.raises(ValueError, match="This is a bug"):
        table(["a", "b"], [["x"]])
