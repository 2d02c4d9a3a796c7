"""A tiny run of a summarizer through every verb: what it writes down, how it resumes, what its package does."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from app.runtime.summarizer import Summarizer
from app.tasks.generate import Options
from tests.packages import PACKAGES
from tests.training.conftest import copied
from tests.training.summarize.conftest import TinyRun
from training import checkpoints
from training.errors import DataError, PackRefusedError, RunError
from training.models.pointer_step import PointerStep
from training.paths import RunPaths
from training.summarize import parity, prepare, stages, tune, vocabulary
from training.summarize.config import Kind, SummarizeConfig
from training.summarize.export import FILES
from training.summarize.greedy import step_of
from training.summarize.loop import PointerTraining
from training.summarize.pairs import Pair
from training.summarize.parity import DevDocuments
from training.summarize.written import Written, habits, open_writer, options_of, write

NEWS = "People came to look. In Oslo, Greta repairs the old bridge. It rained for 12 days."
CHAT = "Ann: hi :)\r\nHugo: Shall we swim in Lima?\r\nAnn: why not, at 7!\r\nHugo: great"


@pytest.fixture(scope="module")
def step(run: TinyRun) -> PointerStep:
    tokenizer = vocabulary.load(run.paths.tokenizer)
    return step_of(stages.load_network(run.config, run.paths), tokenizer).eval()


@pytest.fixture(scope="module")
def writers(run: TinyRun) -> dict[str, Summarizer]:
    return {"fp32": open_writer(run.package, "fp32"), "int8": open_writer(run.package, "int8")}


def test_prepare_keeps_the_kind_the_end_and_the_limits(tiny: SummarizeConfig, prepared: RunPaths) -> None:
    for (pairs, wanted), one in zip(prepare.training_pairs(tiny, prepared), tiny.sets, strict=True):
        assert wanted == one.rows_per_epoch
        assert set(pairs.kinds) == {vocabulary.KIND_IDS[one.kind]}
        assert pairs.sources.lens.max() <= tiny.vocabulary.max_tokens[one.kind]
        assert pairs.targets.row(0)[-1] == vocabulary.EOS_ID
    dev = prepare.dev_pairs(tiny, prepared, 5)
    pairs, summaries = dev["tiny-news"]
    tokenizer = vocabulary.load(prepared.tokenizer)
    assert [vocabulary.text_of(tokenizer, pairs.targets.row(at)) for at in range(5)] == [
        summary.lower() for summary in summaries
    ]


def test_a_stage_needs_what_stands_before_it(tiny: SummarizeConfig, run: TinyRun, tmp_path: Path) -> None:
    early = copied(RunPaths(run.paths.tokenizer.parent), tmp_path)
    early.pretrained.unlink()
    with pytest.raises(RunError, match="run `sluice-train pretrain`"):
        stages.train(tiny, early, lambda _: None)


def test_each_stage_reports_loss_and_rouge_of_every_dev_set(run: TinyRun) -> None:
    for file in (run.paths.report, run.paths.below(stages.RESTORED).report):
        report = json.loads(file.read_text("utf-8"))
        assert set(report["dev"]) == {"tiny-news", "tiny-chats"}
        assert all(set(one["rouge"]) == {"r1", "r2", "rl"} and one["loss"] > 0 for one in report["dev"].values())
    assert len(json.loads(run.paths.pretrain_report.read_text("utf-8"))["perplexities"]) == 2


def test_training_learns_what_restoring_did_not(run: TinyRun) -> None:
    reports = [
        json.loads(one.read_text("utf-8"))["dev"] for one in (run.paths.below(stages.RESTORED).report, run.paths.report)
    ]
    assert reports[1]["tiny-chats"]["rouge"]["r1"] > reports[0]["tiny-chats"]["rouge"]["r1"] + 0.3


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(
    tiny: SummarizeConfig, prepared: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tiny.model_copy(update={"loop": tiny.loop.model_copy(update={"epochs": 1}), "pretrain": None})
    whole, broken = prepared.below("unbroken"), prepared.below("broken")
    stages.train(short, whole, lambda _: None)

    def killed(self: PointerTraining, *_: object) -> None:
        if self.global_step == 8:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PointerTraining, "on_train_batch_end", killed)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            stages.train(short, broken, lambda _: None)
    assert checkpoints.load(broken.last)["global_step"] == 5
    stages.train(short, broken, lambda _: None)
    first, second = load_file(whole.network), load_file(broken.network)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_begun_with_other_settings_is_not_taken_up(run: TinyRun) -> None:
    other = run.config.model_copy(update={"seed": 14})
    with pytest.raises(RunError, match=r"begun with another \[seed\]"):
        stages.train(other, run.paths, lambda _: None)


def test_more_minutes_and_a_set_that_is_only_tested_make_no_other_run(run: TinyRun, tmp_path: Path) -> None:
    paths = copied(RunPaths(run.paths.tokenizer.parent), tmp_path).below("whole")
    tested = run.config.sets[0].model_copy(
        update={"name": "another", "rows_per_epoch": 0, "scored": False, "tested": True}
    )
    loop = run.config.loop.model_copy(update={"minutes": 60.0})
    stages.take_up(run.config.model_copy(update={"loop": loop, "sets": (*run.config.sets, tested)}), paths)
    trained = tested.model_copy(update={"rows_per_epoch": 3})
    with pytest.raises(RunError, match=r"begun with another \[sets\]"):
        stages.take_up(run.config.model_copy(update={"sets": (*run.config.sets, trained)}), paths)


def test_the_schedule_goes_by_the_clock_where_that_is_ahead(run: TinyRun) -> None:
    stage = run.config.loop.model_copy(update={"minutes": 1.0, "warmup": 0.0})
    network = stages.load_network(run.config, run.paths)
    tokenizer = vocabulary.load(run.paths.tokenizer)
    training = PointerTraining(network, stage, {}, tokenizer, language="en", steps=100, seed=1, max_summary_tokens=8)
    assert training.past() == 0.0
    training.seconds = 30.0
    assert training.past() == 0.5
    assert training._rate(10) == pytest.approx(0.02 + 0.98 * 0.5)


@pytest.mark.parametrize(("kind", "text"), [("headline", NEWS), ("dialogue", CHAT)])
def test_the_graphs_write_what_torch_writes(
    step: PointerStep, writers: Mapping[str, Summarizer], kind: Kind, text: str
) -> None:
    options = Options(max_tokens=16)
    (found,) = write(writers["fp32"], [text], kind, options, free=True)
    assert parity.greedy_ids(step, writers["fp32"], [text], kind, 16) == [found.ids]
    assert found.ids


def test_the_tiny_package_sums_up_a_chat_in_the_callers_spelling(writers: Mapping[str, Summarizer]) -> None:
    (found,) = write(writers["int8"], [CHAT], "dialogue")
    assert found.text.rstrip(".") == "Ann and Hugo will swim in Lima"
    assert found.ended
    assert any(found.copied)
    assert not all(found.copied)


def test_a_kinds_options_are_the_manifests_and_its_length_penalty_the_best_on_dev(
    run: TinyRun, writers: Mapping[str, Summarizer]
) -> None:
    tried = json.loads((run.package / "manifest.json").read_text("utf-8"))["provenance"]["length_penalties"]
    assert set(tried) == {"headline", "dialogue"}
    best = max(tried["dialogue"], key=tried["dialogue"].__getitem__)
    assert options_of(writers["int8"], "dialogue") == Options(
        max_tokens=16, min_tokens=1, beams=3, length_penalty=float(best), block_ngram=3
    )
    assert options_of(writers["int8"], "abstract").length_penalty == 0.6


def test_the_first_of_equal_penalties_is_taken() -> None:
    assert tune.best({"headline": {0.5: 0.3, 1.0: 0.4, 1.5: 0.4}, "dialogue": {}}) == {"headline": 1.0}


def test_a_batch_writes_what_each_text_alone_does(writers: Mapping[str, Summarizer]) -> None:
    texts = [CHAT, NEWS, CHAT.replace("Lima", "Oslo"), "Bob: hi", ""]
    for model in writers.values():
        together = write(model, texts, "dialogue")
        assert [write(model, [text], "dialogue")[0].ids for text in texts] == [one.ids for one in together]
        assert together[-1].text == ""


def feeds(model: Summarizer, texts: list[str], width: int) -> dict[str, np.ndarray]:
    """Return a step's inputs for texts that were just read, two beams each, padded to ``width``."""
    tokens = [one.ids for one in model.tokenizer.encode(texts)]
    encoded = [model.encode(ids, "headline") for ids in tokens]
    beams = (len(texts), 2)

    def padded(parts: list[np.ndarray]) -> np.ndarray:
        return np.stack([np.pad(one, [(0, width - len(one))] + [(0, 0)] * (one.ndim - 1)) for one in parts])

    return {
        "tokens": np.array([[2, 9]] * len(texts)),
        "state": np.stack([np.stack([one.state] * 2) for one in encoded]),
        "coverage": np.zeros((*beams, width), np.float32),
        "memory": padded([one.memory for one in encoded]),
        "keys": padded([one.keys for one in encoded]),
        "ids": padded(tokens),
        "lens": np.array([len(one) for one in tokens]),
        "banned": np.full((*beams, 1), -1),
        "free": np.zeros(len(texts), np.float32),
        "k": np.array([6]),
    }


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_step_of_a_row_does_not_know_its_neighbours(writers: Mapping[str, Summarizer], precision: str) -> None:
    model, texts = writers[precision], [NEWS, CHAT]
    lens = [len(one.ids) for one in model.tokenizer.encode(texts)]
    both = model.step(feeds(model, texts, max(lens) + 3))
    for row, (text, length) in enumerate(zip(texts, lens, strict=True)):
        alone = model.step(feeds(model, [text], length))
        assert np.array_equal(alone.top_ids[0], both.top_ids[row])
        assert np.allclose(alone.top_logps[0], both.top_logps[row], atol=1e-5)
        assert np.allclose(alone.coverage[0], both.coverage[row, :, :length], atol=1e-5)


def test_the_package_says_what_it_is(run: TinyRun) -> None:
    manifest = json.loads((run.package / "manifest.json").read_text("utf-8"))
    assert manifest["schema_version"] == 4
    assert {graph["file"] for graph in manifest["graphs"]} == set(FILES.values())
    assert manifest["generation"]["kinds"]["dialogue"]["id"] == vocabulary.KIND_IDS["dialogue"]
    assert [one["data"] for one in manifest["evaluation"]] == ["tiny-news", "tiny-chats"]
    assert manifest["provenance"]["checks"]["fp32_equal"] == 1.0
    assert set(manifest["provenance"]["training"]) == {"summaries", "restored", "read"}
    card = (run.package / "README.md").read_text("utf-8")
    for title in (
        "Figures",
        "Certainty",
        "What it writes",
        "Stages",
        "Checks at pack time",
        "Data",
        "Limits",
        "Rebuild",
    ):
        assert f"## {title}\n" in card


def test_a_graph_that_writes_something_else_is_refused(
    run: TinyRun, step: PointerStep, writers: Mapping[str, Summarizer]
) -> None:
    dev = {"tiny-chats": DevDocuments("dialogue", [Pair(CHAT, "Ann and Hugo will swim in Lima.")] * 4)}
    other = step_of(stages.new_network(run.config, run.paths), vocabulary.load(run.paths.tokenizer)).eval()
    assert parity.check(step, writers["fp32"], writers["int8"], dev, run.config).fp32_equal == 1.0
    with pytest.raises(PackRefusedError, match=r"torch and the fp32 graphs write the same on 0\.0000 of 4"):
        parity.check(other, writers["fp32"], writers["int8"], dev, run.config)


def test_habits_are_shares_of_tokens_and_of_summaries() -> None:
    written = [
        Written("a b", [8, 9], [True, False], ended=True),
        Written("c", [10, 11], [True, True], ended=False),
        Written("", [], [], ended=False),
    ]
    assert habits(written) == {"copied": 0.75, "ended": pytest.approx(1 / 3, abs=1e-6)}


def test_a_package_that_does_not_write_is_refused() -> None:
    with pytest.raises(DataError, match="task 'sentiment', expected a package that writes"):
        open_writer(PACKAGES / "tiny" / "1")
