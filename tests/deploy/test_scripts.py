"""The shell scripts of deployment are sound, and the container check says so where it cannot check."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ("scripts/check-container", "deploy/seal-environment")


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing(script: str) -> None:
    shellcheck = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([str(shellcheck), str(ROOT / script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_may_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_without_an_engine_the_check_says_loudly_that_nothing_was_checked(tmp_path: Path) -> None:
    dead = tmp_path / "docker"
    dead.write_text("#!/bin/sh\nexit 1\n", "ascii")
    dead.chmod(0o755)
    done = subprocess.run(
        [str(ROOT / "scripts" / "check-container")],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "nothing was checked" in done.stdout


def test_an_unknown_option_explains_the_check() -> None:
    done = subprocess.run(
        [str(ROOT / "scripts" / "check-container"), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "scripts/check-container [--gpu]" in done.stdout
