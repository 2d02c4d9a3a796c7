"""What a run says while it goes."""

import io
import re
import sys
from pathlib import Path

import pytest

from tests.training.conftest import copied
from training import train
from training.config import RunConfig
from training.paths import RunPaths
from training.progress import LineProgress


@pytest.fixture
def short(tiny: RunConfig) -> RunConfig:
    """Return the tiny config for 2 epochs of 12 steps."""
    return tiny.model_copy(update={"loop": tiny.loop.model_copy(update={"epochs": 2})})


def test_lines_tell_step_loss_rate_and_time_left(short: RunConfig, prepared: RunPaths, tmp_path: Path) -> None:
    paths, said = copied(prepared, tmp_path), io.StringIO()
    network = train.new_network(short, paths)
    train.fit_recurrent(network, short, paths, resume=False, watchers=[LineProgress(said, every_s=0.0)])
    lines = said.getvalue().splitlines()
    assert len(lines) == 2 * (12 + 1)
    for line in (line for line in lines if "dev" not in line):
        assert re.fullmatch(
            r"epoch [12] batch \d+/12 step \d+ loss \d\.\d{4} [1-9]\d+ tokens/s \d:\d\d:\d\d left", line
        ), line
    assert "batch 12/12 step 24 " in lines[-2]
    assert lines[-2].endswith("0:00:00 left")
    assert lines[-1].startswith("epoch 2 step 24 dev ")


def test_a_bar_on_a_terminal_has_the_rate_in_tokens_and_the_time_left(
    short: RunConfig,
    prepared: RunPaths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = copied(prepared, tmp_path)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    train.fit_recurrent(train.new_network(short, paths), short, paths, resume=False)
    assert re.search(r"tokens/s=\d+, left=0:00:0\d", capsys.readouterr().out)
    assert "epoch 2 step 24 dev" in paths.log.read_text("utf-8")
