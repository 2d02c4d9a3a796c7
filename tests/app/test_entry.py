"""The command's process runs over frozen modules, and collects garbage like any other."""

import json
import subprocess
import sys

from tests.packages import PACKAGES
from tests.server import ROOT

PROGRAM = """
import gc, sys
from app.__main__ import main
sys.argv = ["sluice", "models", "--models-dir", sys.argv[1]]
try:
    main()
finally:
    print(gc.isenabled(), gc.get_freeze_count() > 10_000, file=sys.stderr)
"""


def test_the_command_runs_over_frozen_modules_and_collects_what_it_makes_itself() -> None:
    command = [sys.executable, "-c", PROGRAM, str(PACKAGES)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert json.loads(ended.stdout)["models"]
    assert ended.stderr.split()[-2:] == ["True", "True"]


def test_the_module_and_the_command_are_one() -> None:
    command = [sys.executable, "-m", "app", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "serve" in shown
