"""Logs: one JSON object a line from us and from uvicorn alike, and no local variables in a trace."""

import asyncio
import io
import json
import logging
import subprocess
import sys

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


async def test_lines_by_the_thousand_have_the_same_form_and_keep_their_order(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    logs.configure("json", "info")
    quick = logs.request_lines()
    assert quick is not None
    quick.write(logging.INFO, "request", {"route": "/v1/sentiment"})
    quick.write(logging.DEBUG, "request", {"route": "below the level"})
    structlog.get_logger("sluice").info("next")
    written = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [line["event"] for line in written] == ["request", "next"]
    assert written[0].keys() - {"route"} == written[1].keys()
    assert written[0]["level"] == "info"
    assert len(written[0]["timestamp"]) == len(written[1]["timestamp"])


async def test_a_line_is_written_in_a_moment_and_many_at_once() -> None:
    stream = io.BytesIO()
    quick = logs.Lines(logging.INFO, stream)
    quick.write(logging.INFO, "request", {})
    assert not stream.getvalue()
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.06, later.set)
    await later.wait()
    assert stream.getvalue().count(b"\n") == 1
    for _ in range(64):
        quick.write(logging.INFO, "request", {})
    assert stream.getvalue().count(b"\n") == 65


def test_on_a_console_structlog_writes_every_line() -> None:
    logs.configure("console", "info")
    assert logs.request_lines() is None


_CLOSES = """
import asyncio, logging, sys
from app import logs

async def main():
    logs.configure("json", "info")
    logs.request_lines().write(logging.INFO, "request", {})
    sys.stdout.close()

asyncio.run(main())
"""


def test_a_line_that_waits_when_the_stream_is_closed_is_lost_without_a_word() -> None:
    ended = subprocess.run([sys.executable, "-c", _CLOSES], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")
