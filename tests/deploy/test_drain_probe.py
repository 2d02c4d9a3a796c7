"""The probe's verdict on a drain: answered, lost, or nothing seen at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.drain_probe import Outcome, verdict

SIGNALLED = 10.0
BEFORE = Outcome(8.0, 9.0, "200")
UNDER_WAY = Outcome(9.5, 10.5, "200")
LATER = Outcome(10.1, 10.2, "503")
GONE = Outcome(10.6, 10.6, "ConnectionRefusedError: refused")


def test_a_drain_is_clean_when_every_request_under_way_was_answered() -> None:
    assert verdict([BEFORE, UNDER_WAY, UNDER_WAY, LATER, GONE], SIGNALLED) == (
        True,
        "2 requests under way at the signal, 0 lost, 0 later ones answered",
    )


@pytest.mark.parametrize("status", ["503", "500", "ConnectionResetError: reset", "TimeoutError: timed out"])
def test_one_request_under_way_without_its_answer_makes_a_drain_unclean(status: str) -> None:
    clean, told = verdict([UNDER_WAY, Outcome(9.6, 10.4, status), GONE], SIGNALLED)
    assert not clean
    assert told.startswith("2 requests under way at the signal, 1 lost")
    assert status in told


def test_a_drain_with_nothing_under_way_shows_nothing_and_is_not_called_clean() -> None:
    clean, told = verdict([BEFORE, LATER, GONE], SIGNALLED)
    assert not clean
    assert told.startswith("0 requests under way")


def test_a_request_that_began_just_before_the_signal_may_be_refused() -> None:
    assert verdict([UNDER_WAY, Outcome(9.99, 10.01, "ConnectionResetError: reset")], SIGNALLED)[0]


def test_a_call_without_a_command_explains_itself() -> None:
    script = Path(__file__).parents[2] / "deploy" / "drain_probe.py"
    asked = subprocess.run([sys.executable, str(script), "http://x"], capture_output=True, text=True, check=False)
    assert asked.returncode == 2
    assert "COMMAND" in asked.stderr
