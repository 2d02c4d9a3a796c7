"""Logs: one JSON object a line from us and from uvicorn alike, and no local variables in a trace."""

import json
import logging

import pytest
import structlog

from app import logs


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_our_lines_and_those_of_libraries_have_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    structlog.get_logger("sluice").info("ready", models=2)
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    ours, theirs = (json.loads(line) for line in lines(capsys))
    assert (ours["event"], ours["models"], ours["level"]) == ("ready", 2, "info")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == (
        "Started server process [7]",
        "uvicorn.error",
        "info",
    )
    assert ours["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "error")
    structlog.get_logger("sluice").info("ready")
    logging.getLogger("uvicorn.error").warning("no")
    assert lines(capsys) == []


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_trace_is_logged_without_the_values_of_variables(
    capsys: pytest.CaptureFixture[str], form: logs.Format
) -> None:
    logs.configure(form, "info")
    text = "private" * 2  # doubled, so that the source line in the trace does not show it
    try:
        int(text[:1])
    except ValueError:
        structlog.get_logger("sluice").exception("failed")
    out = "\n".join(lines(capsys))
    assert "Traceback" in out
    assert "privateprivate" not in out
