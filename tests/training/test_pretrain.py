"""Language-model pre-training on the tiny run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.training.conftest import TinyRun, copied
from training import pretrain, train
from training.config import PretrainConfig, RunConfig
from training.corpus import Corpus, pack
from training.errors import RunError
from training.models.recurrent import RecurrentBranch
from training.paths import RunPaths
from training.pretrain import Windows, stream

SETTINGS = PretrainConfig(epochs=2, window=12, rows=4, negatives=20, precision="32", checkpoint_every_steps=3)


def corpus(*rows: list[int]) -> Corpus:
    return pack([np.array(row, dtype=np.int32) for row in rows], np.zeros(len(rows), dtype=np.int64), np.ones(1, bool))


def test_a_stream_holds_every_row_once_with_an_end_after_each() -> None:
    laid = stream([corpus([5, 6], [7]), corpus([8, 9, 9])], seed=1)
    assert laid.dtype == np.int32
    assert sorted("".join(map(str, laid)).strip("0").split("0")) == ["56", "7", "899"]
    assert laid[-1] == 0


def test_an_epoch_of_windows_walks_once_through_the_stream() -> None:
    tokens = np.arange(200, dtype=np.int32)
    windows = Windows(tokens, SETTINGS.model_copy(update={"rows": 3}), seed=2)
    seen = torch.cat(list(windows)).flatten()
    assert len(windows) == 5
    assert len(set(seen.tolist())) == len(seen) == 5 * 3 * 12


def test_windows_go_on_where_their_state_was_taken() -> None:
    tokens = np.arange(300, dtype=np.int32)
    unbroken = Windows(tokens, SETTINGS, seed=2)
    whole = [*unbroken, *unbroken]
    begun = Windows(tokens, SETTINGS, seed=2)
    walk = iter(begun)
    first = [next(walk) for _ in range(3)]
    resumed = Windows(tokens, SETTINGS, seed=2)
    resumed.load_state_dict(begun.state_dict())
    rest = [*resumed, *resumed]
    assert len(first) + len(rest) == len(whole)
    assert all(torch.equal(one, other) for one, other in zip([*first, *rest], whole, strict=True))


def test_text_shorter_than_one_batch_is_refused() -> None:
    with pytest.raises(RunError, match="40 tokens are fewer than one batch of 4 x 12"):
        Windows(np.arange(40, dtype=np.int32), SETTINGS, seed=2)


@pytest.fixture
def begun(run: TinyRun, tmp_path: Path) -> tuple[RunConfig, RunPaths]:
    paths = copied(run.paths, tmp_path)
    paths.settings.unlink()
    return run.config.model_copy(update={"pretrain": SETTINGS}), paths


def test_pretraining_changes_the_encoder_and_the_classifier_starts_from_it(
    begun: tuple[RunConfig, RunPaths],
) -> None:
    config, paths = begun
    said: list[str] = []
    found = pretrain.pretrain(config, paths, said.append)
    fresh = pretrain.new_branch(config, paths)
    written = load_file(str(paths.pretrained))
    assert len(found.perplexities) == 2
    assert all(1 < one < fresh.embedding.num_embeddings for one in found.perplexities)
    network = train.new_network(config, paths)
    pretrain.load_encoder(network.recurrent, paths.pretrained)
    for name, weight in written.items():
        assert torch.equal(network.recurrent.state_dict()[name], weight)
        assert not torch.equal(fresh.state_dict()[name], weight)


def test_a_killed_pretraining_ends_as_an_unbroken_one(
    begun: tuple[RunConfig, RunPaths], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, paths = begun
    pretrain.pretrain(config, paths, lambda _: None)
    unbroken = load_file(str(paths.pretrained))
    step = pretrain.Pretraining.training_step
    paths.pretraining.unlink()

    def killed(self: pretrain.Pretraining, batch: torch.Tensor, index: int) -> torch.Tensor:
        if self.global_step == 5:
            raise KeyboardInterrupt
        return step(self, batch, index)

    monkeypatch.setattr(pretrain.Pretraining, "training_step", killed)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        pretrain.pretrain(config, paths, lambda _: None)
    monkeypatch.setattr(pretrain.Pretraining, "training_step", step)
    pretrain.pretrain(config, paths, lambda _: None)
    resumed = load_file(str(paths.pretrained))
    assert all(torch.equal(resumed[name], weight) for name, weight in unbroken.items())


def test_weights_of_another_size_are_refused_by_name(begun: tuple[RunConfig, RunPaths]) -> None:
    config, paths = begun
    pretrain.pretrain(config, paths, lambda _: None)
    wider = config.model.model_copy(update={"hidden": config.model.hidden + 1})
    with pytest.raises(RunError, match=r"the branch has .*; pretrain this config"):
        pretrain.load_encoder(RecurrentBranch(wider, 228, 3, 0), paths.pretrained)


def test_a_config_without_pretraining_is_told_so(run: TinyRun) -> None:
    with pytest.raises(RunError, match=r"no \[pretrain\] section"):
        pretrain.pretrain(run.config, run.paths, lambda _: None)


def test_training_asks_for_the_pretraining_first(begun: tuple[RunConfig, RunPaths]) -> None:
    config, paths = begun
    with pytest.raises(RunError, match="run `sluice-train pretrain`"):
        train.train(config, paths, lambda _: None)
