"""An extractor goes the whole way, and what misses a gate is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from training.errors import PackRefusedError, RunError
from training.extractive import pack, train
from training.extractive.config import ExtractConfig
from training.extractive.quotes import open_extractor, quote, quotes, read
from training.paths import RunPaths

from .conftest import DATA, QuotingRun

TEXT = "It rained for 5 days. In Oslo, Ann opens the old bridge. The mayor said little."


def test_the_package_quotes_one_of_a_texts_own_sentences_and_nothing_of_none(quoting_run: QuotingRun) -> None:
    model = open_extractor(quoting_run.package)

    (quoted, nothing), _ = quotes(model, [TEXT, ""], 1)
    assert quoted in {"It rained for 5 days.", "In Oslo, Ann opens the old bridge.", "The mayor said little."}
    assert nothing == ""
    assert model.manifest.extraction is not None
    assert model.manifest.schema_version == 4


def test_a_summary_is_in_the_documents_order(quoting_run: QuotingRun) -> None:
    found = read(open_extractor(quoting_run.package), TEXT)

    assert quote(found, 9, 0.0, "en") == TEXT
    assert found.scored.scores.shape == (3,)


def test_int8_and_fp32_are_one_network(quoting_run: QuotingRun) -> None:
    plain, small = (read(open_extractor(quoting_run.package, one), TEXT).scored for one in ("fp32", "int8"))

    np.testing.assert_allclose(plain.scores, small.scores, atol=0.1)
    np.testing.assert_allclose(np.linalg.norm(small.vectors, axis=1), 1.0, atol=1e-3)


def test_the_card_tells_the_figures_beside_the_baselines(quoting_run: QuotingRun) -> None:
    card = (quoting_run.package / "README.md").read_text(encoding="utf-8")
    manifest = json.loads((quoting_run.package / "manifest.json").read_text(encoding="utf-8"))

    (figures,) = manifest["evaluation"]
    assert figures["metrics"]["rouge1"] > figures["baselines"]["textrank"]["rouge1"]
    # Of all twelve it quotes the sentence in which something happens, or all but one.
    oracle = figures["baselines"]["oracle"]["rouge1"]
    assert 0.9 * oracle < figures["metrics"]["rouge1"] <= oracle
    assert f"| tiny-news | test | 12 | 1 | **{100 * figures['metrics']['rouge1']:.1f} / " in card
    assert "sluice-train train training/configs/tiny-quotes.toml" in card


def test_a_gate_that_is_missed_leaves_no_package(quoting_run: QuotingRun, tmp_path: Path) -> None:
    strict = quoting_run.config.model_copy(
        update={"gates": quoting_run.config.gates.model_copy(update={"parity": 1e-12})}
    )

    with pytest.raises(PackRefusedError, match=r"scores differ by .* between torch and the fp32 graph; at most 1e-12"):
        pack.pack(strict, DATA, quoting_run.paths, tmp_path, split="test", say=lambda _: None)
    assert not list(tmp_path.iterdir())


def test_a_run_begun_with_other_settings_is_not_taken_up(quoting_run: QuotingRun) -> None:
    other: ExtractConfig = quoting_run.config.model_copy(update={"seed": 14})

    with pytest.raises(RunError, match=r"begun with another \[seed\]"):
        train.train(other, quoting_run.paths, lambda _: None)


def test_a_run_that_the_clock_ended_goes_on_where_there_is_more_time(
    quoting: ExtractConfig, quoting_prepared: RunPaths, tmp_path: Path
) -> None:
    paths = RunPaths(Path(shutil.copytree(quoting_prepared.prepared.parent, tmp_path / quoting.name)))
    shutil.rmtree(paths.checkpoints, ignore_errors=True)
    paths.settings.unlink(missing_ok=True)
    steps = []
    for minutes in (1e-4, 2e-4, 5.0):
        longer = quoting.model_copy(update={"loop": quoting.loop.model_copy(update={"minutes": minutes})})
        train.train(longer, paths, lambda _: None)
        steps.append(json.loads(paths.report.read_text(encoding="utf-8"))["steps"])

    assert 0 < steps[0] <= steps[1] < steps[2]


def test_what_is_not_prepared_says_so(quoting: ExtractConfig, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="run `sluice-train prepare`"):
        train.train(quoting, RunPaths(tmp_path), lambda _: None)
