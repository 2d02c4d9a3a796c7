"""One run on one process and on two."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.conftest import FIXTURES, TINY, copied
from training import checkpoints, train
from training import config as configs
from training.paths import RunPaths
from training.trainer import Machines, first_process

ROOT = FIXTURES.parents[1]


def curve(paths: RunPaths, name: str) -> list[tuple[int, float]]:
    """Return a figure's values by step."""
    with next(paths.logs.rglob("metrics.csv")).open(encoding="utf-8", newline="") as lines:
        return [(int(row["step"]), float(row[name])) for row in csv.DictReader(lines) if row.get(name)]


def ended(command: list[str]) -> str:
    """Return what a command said that ended well; where it does not end, it goes with all that it started."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, said
    return said


@pytest.mark.timeout(300)  # Two processes start, each importing torch.
def test_two_processes_reach_the_loss_curve_of_one(prepared: RunPaths, tmp_path: Path) -> None:
    text = TINY.read_text("utf-8").replace("epochs = 30", "epochs = 4").replace("_dropout = 0.1", "_dropout = 0.0")
    file = tmp_path / "short.toml"
    file.write_text(text, "utf-8")
    config = configs.load(file)
    alone, shared = copied(prepared, tmp_path / "alone"), copied(prepared, tmp_path / "shared")
    train.fit_recurrent(train.new_network(config, alone), config, alone, resume=False)

    command = [sys.executable, "-m", "training.cli", "train", str(file), "--runs", str(shared.root.parent)]
    said = ended([*command, "--threads", "1", "--devices", "2"])
    assert "GLOBAL_RANK: 1, MEMBER: 2/2" in said
    assert shared.network.exists()

    assert len(curve(alone, "train/loss")) == 4
    for name in ("train/loss", "dev/score"):
        wanted, found = curve(alone, name), curve(shared, name)
        assert [step for step, _ in found] == [step for step, _ in wanted]
        assert [value for _, value in found] == pytest.approx([value for _, value in wanted], abs=1e-5)
    one, two = (checkpoints.load(paths.last)["state_dict"] for paths in (alone, shared))
    torch.testing.assert_close(two["branch.head.weight"], one["branch.head.weight"], rtol=0, atol=1e-3)


def test_one_process_needs_no_strategy_and_weights_frozen_for_a_time_are_looked_for() -> None:
    assert Machines().strategy(freezes=True) == "auto"
    assert Machines(devices=2).strategy(freezes=False) == "ddp"
    assert Machines(nodes=2).strategy(freezes=True) == "ddp_find_unused_parameters_true"


def test_of_several_machines_only_the_first_keeps_the_runs_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_RANK", raising=False)
    assert first_process()
    monkeypatch.setenv("NODE_RANK", "1")
    assert not first_process()
