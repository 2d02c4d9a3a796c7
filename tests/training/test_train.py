"""Training, and resuming it."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import load_file

from tests.training.conftest import FIXTURES, TINY, TinyRun, copied
from training import checkpoints, train
from training import config as configs
from training.config import RunConfig
from training.errors import RunError
from training.loop import RecurrentTraining
from training.paths import RunPaths

ROOT = FIXTURES.parents[1]


class KilledError(Exception):
    """Stands for the machine going down."""


class KillAt(Callback):
    """Ends a run in the middle of an epoch, without the chance to save anything."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == self._step:
            raise KilledError


def weights(training: RecurrentTraining) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training.averaged.state_dict().items()}


def test_the_model_learns_the_tiny_set(run: TinyRun) -> None:
    report = run.paths.report.read_text("utf-8")
    assert '"tiny": 1.0' in report


def test_a_run_resumed_after_a_kill_equals_one_unbroken(tiny: RunConfig, prepared: RunPaths, tmp_path: Path) -> None:
    loop = tiny.loop.model_copy(update={"epochs": 3, "checkpoint_every_steps": 5})
    config = tiny.model_copy(update={"loop": loop})
    unbroken, killed = copied(prepared, tmp_path / "unbroken"), copied(prepared, tmp_path / "killed")
    wanted = train.fit_recurrent(train.new_network(config, unbroken), config, unbroken, resume=True)

    # Epochs have 12 batches: step 18 is inside the second, and the last checkpoint is that of step 15.
    with pytest.raises(KilledError):
        train.fit_recurrent(train.new_network(config, killed), config, killed, resume=True, watchers=[KillAt(18)])
    resumed = train.fit_recurrent(train.new_network(config, killed), config, killed, resume=True)

    assert resumed.dev_scores == wanted.dev_scores
    for name, value in weights(wanted).items():
        assert torch.equal(value, weights(resumed)[name]), name


@pytest.mark.timeout(300)  # Three runs, one of them with the start of a process.
def test_a_process_killed_in_the_middle_ends_on_a_second_try_with_the_network_of_one_unbroken(
    prepared: RunPaths, tmp_path: Path
) -> None:
    file = tmp_path / "short.toml"
    text = TINY.read_text("utf-8").replace("epochs = 30", "epochs = 12")
    file.write_text(text.replace("checkpoint_every_steps = 20", "checkpoint_every_steps = 5"), "utf-8")
    config = configs.load(file)
    unbroken, killed = copied(prepared, tmp_path / "unbroken"), copied(prepared, tmp_path / "killed")
    train.train(config, unbroken, lambda _: None)

    command = [sys.executable, "-m", "training.cli", "train", str(file), "--runs", str(killed.root.parent)]
    with subprocess.Popen(
        [*command, "--threads", "1"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not killed.last.exists():
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert 5 <= checkpoints.load(killed.last)["global_step"] < 144
    assert not killed.network.exists()

    train.train(config, killed, lambda _: None)
    wanted, found = load_file(unbroken.network), load_file(killed.network)
    for name, value in wanted.items():
        assert torch.equal(value, found[name]), name


def test_a_runs_folder_holds_its_log_metrics_checkpoints_and_plots_without_pickle(run: TinyRun) -> None:
    files = {path.relative_to(run.paths.root).as_posix() for path in run.paths.root.rglob("*") if path.is_file()}
    assert {"log.txt", "settings.json", "logs/csv/version_0/metrics.csv", "plots/learning-curves.png"} <= files
    assert {"checkpoints/best.safetensors", "checkpoints/last.safetensors", "network.safetensors"} <= files
    assert any("tfevents" in name for name in files)
    assert not {name for name in files if name.endswith((".ckpt", ".pt", ".pkl"))}
    log = run.paths.log.read_text("utf-8")
    assert re.search(r"^epoch 30 step 360 dev 1\.0000 tiny 1\.0000$", log, re.MULTILINE)
    assert "blend: n-grams 0.30 short, 0.30 long: dev 1.0000" in log


def test_a_finished_run_has_nothing_left_to_do(run: TinyRun) -> None:
    before = run.paths.network.read_bytes()
    started = time.monotonic()
    train.train(run.config, run.paths, lambda _: None)
    assert run.paths.network.read_bytes() == before
    assert time.monotonic() - started < json.loads(run.paths.report.read_text("utf-8"))["seconds"]["recurrent"]


def test_a_run_begun_with_other_settings_is_not_taken_up(run: TinyRun, tmp_path: Path) -> None:
    changed = run.config.model_copy(update={"model": run.config.model.model_copy(update={"hidden": 9})})
    with pytest.raises(RunError, match=r"another \[model\]; start anew with --no-resume"):
        train.train(changed, copied(run.paths, tmp_path), lambda _: None)


def test_starting_anew_forgets_the_run_that_is_there(run: TinyRun, tmp_path: Path) -> None:
    paths = copied(run.paths, tmp_path)
    quick = run.config.model_copy(update={"loop": run.config.loop.model_copy(update={"epochs": 1})})
    train.train(quick, paths, lambda _: None, resume=False)
    assert json.loads(paths.report.read_text("utf-8"))["steps"] == 12
