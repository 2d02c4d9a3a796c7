"""Tasks beside the labels: what they change of a run, and what they leave as it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.training.conftest import DATA, copied
from tests.training.test_train import KillAt, KilledError
from training import auxiliary, checkpoints, tokenizer, train
from training.batches import Source, TrainBatches
from training.config import AuxiliarySet, LoopConfig, RunConfig
from training.corpus import pack
from training.errors import DataError
from training.loop import RecurrentTraining
from training.paths import RunPaths
from training.prepare import prepare

TOPICS = ("world", "sport", "business", "science")


def taught(config: RunConfig, second: AuxiliarySet | None = None, **keys: Any) -> RunConfig:
    """Return the config with other keys in its loop, for one epoch unless they say so, and a second set."""
    loop = LoopConfig(**(config.loop.model_dump() | {"epochs": 1} | keys))
    return config.model_copy(update={"loop": loop, "auxiliary": (second,) if second else ()})


@pytest.fixture(scope="module")
def topics() -> AuxiliarySet:
    return AuxiliarySet(name="tiny-topic", labels=TOPICS, weight=0.5, rows_per_epoch=180)


@pytest.fixture(scope="module")
def both(tiny: RunConfig, topics: AuxiliarySet, tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """Return a run prepared with a second set; read it, and copy it before writing."""
    paths = RunPaths(tmp_path_factory.mktemp("both") / tiny.name)
    prepare(taught(tiny, topics), DATA, paths, lambda _: None)
    return paths


def fitted(config: RunConfig, paths: RunPaths, *watchers: Any) -> RecurrentTraining:
    return train.fit_recurrent(train.new_network(config, paths), config, paths, resume=True, watchers=watchers)


def source(labels: list[int], classes: int, soft: list[list[float]] | None = None) -> Source:
    rows = [np.array([5], dtype=np.int32)] * len(labels)
    corpus = pack(rows, np.array(labels), np.ones(classes, dtype=np.bool_))
    return Source(corpus, 4, np.ones(len(labels), np.float32), None if soft is None else np.array(soft, np.float32))


def test_the_classes_of_second_sets_stand_beside_the_networks_own() -> None:
    own, first, second = source([0, 1], 2, [[0.25, 0.75], [1, 0]]), source([2], 3), source([0, 1], 2)
    found = auxiliary.beside([own, own], [first, second])
    assert [one.corpus.labels.tolist() for one in found] == [[0, 1], [0, 1], [4], [5, 6]]
    opened = [np.flatnonzero(one.corpus.classes).tolist() for one in found]
    assert opened == [[0, 1], [0, 1], [2, 3, 4], [5, 6]]
    assert {len(one.corpus.classes) for one in found} == {7}
    assert found[0].taught(0).tolist() == [0.25, 0.75, 0, 0, 0, 0, 0]
    assert not found[2].taught(0).any()


def test_without_second_sets_the_sources_are_as_they_were() -> None:
    (found,) = auxiliary.beside([source([0, 1], 2)], [])
    assert (found.corpus.labels.tolist(), found.corpus.classes.tolist()) == ([0, 1], [True, True])


def test_nothing_is_made_where_nothing_is_asked_for(tiny: RunConfig, prepared: RunPaths) -> None:
    assert auxiliary.new_auxiliary(tiny, train.new_network(tiny, prepared).recurrent, []) is None


def test_a_second_set_leaves_tokenizer_and_prepared_data_as_they_are(prepared: RunPaths, both: RunPaths) -> None:
    # A word of its texts; with those texts read, the tokenizer would know it whole.
    assert "market" not in tokenizer.load(both.tokenizer).get_vocab()
    assert {one.name for one in both.prepared.glob("*.npz")} == {one.name for one in prepared.prepared.glob("*.npz")}
    assert both.auxiliary("tiny-topic", "train").exists()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (TOPICS[:3], r"tiny-topic.*: label 'science' is none of world, sport, business"),
        ((*TOPICS, "weather"), r"tiny-topic.*: no row has the label 'weather' of \[\[auxiliary\]\]"),
    ],
    ids=["a label unknown", "a label without rows"],
)
def test_a_second_set_of_other_labels_is_refused(
    tiny: RunConfig, tmp_path: Path, labels: tuple[str, ...], message: str
) -> None:
    second = AuxiliarySet(name="tiny-topic", labels=labels, rows_per_epoch=9)
    with pytest.raises(DataError, match=message):
        prepare(taught(tiny, second), DATA, RunPaths(tmp_path / "run"), lambda _: None)
    assert not (tmp_path / "run").exists()


@pytest.mark.timeout(300)  # Three runs.
def test_both_tasks_are_learnt_and_a_killed_run_equals_one_unbroken(
    tiny: RunConfig, topics: AuxiliarySet, both: RunPaths, tmp_path: Path
) -> None:
    config = taught(tiny, topics, epochs=12, checkpoint_every_steps=5, auxiliary_lm=0.2, patience=12)
    unbroken, killed = copied(both, tmp_path / "unbroken"), copied(both, tmp_path / "killed")
    wanted = fitted(config, unbroken)
    with pytest.raises(KilledError):
        fitted(config, killed, KillAt(28))
    resumed = fitted(config, killed)
    state = wanted.state_dict()
    assert {name.split(".")[1] for name in state if name.startswith("auxiliary.")} == {"head", "words"}
    for name, value in checkpoints.load(unbroken.last)["state_dict"].items():
        assert torch.equal(value, checkpoints.load(killed.last)["state_dict"][name]), name
    assert resumed.dev_scores == wanted.dev_scores
    assert wanted.dev_scores["tiny"].accuracy > 0.8
    assert topic_accuracy(wanted, config, unbroken) > 0.8


def topic_accuracy(training: RecurrentTraining, config: RunConfig, paths: RunPaths) -> float:
    """Return how often the second head is right on the rows it was taught."""
    assert training.auxiliary is not None
    training.eval()
    right = []
    for batch in TrainBatches(auxiliary.sources(config, paths), config.loop, 0, config.seed):
        with torch.inference_mode():
            logits, _ = training.auxiliary(training.branch, batch.ids, batch)
        right += (logits[:, len(config.labels) :].argmax(dim=1) == batch.labels).tolist()
    return float(np.mean(right))


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("fgm_epsilon", [0.0, 0.5])
def test_the_language_model_moves_the_branch_and_is_no_part_of_what_is_saved(
    tiny: RunConfig, prepared: RunPaths, tmp_path: Path, *, bidirectional: bool, fgm_epsilon: float
) -> None:
    model = tiny.model.model_copy(update={"bidirectional": bidirectional, "ngrams": False})
    base = tiny.model_copy(update={"model": model})
    plain, told = copied(prepared, tmp_path / "plain"), copied(prepared, tmp_path / "told")
    train.train(taught(base, fgm_epsilon=fgm_epsilon), plain, lambda _: None)
    train.train(taught(base, fgm_epsilon=fgm_epsilon, auxiliary_lm=0.5), told, lambda _: None)
    wanted, found = load_file(plain.network), load_file(told.network)
    assert found.keys() == wanted.keys()
    assert not torch.equal(
        found["recurrent.encoder.cells.weight_ih_l0"], wanted["recurrent.encoder.cells.weight_ih_l0"]
    )
    kept = checkpoints.load(told.last)["state_dict"]
    assert f"auxiliary.words.projections.{int(bidirectional)}.weight" in kept
    assert json.loads(told.settings.read_text("utf-8"))["loop"]["auxiliary_lm"] == 0.5
