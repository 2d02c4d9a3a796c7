"""Structured logs: one JSON object a line, or a readable line on a terminal. Never a caller's text."""

import asyncio
import atexit
import contextlib
import json
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal, TextIO, cast

import orjson
import structlog

_GATHER_S = 0.05
_GATHERED = 64

_LEVELS = {number: logging.getLevelName(number).lower() for number in logging.getLevelNamesMapping().values()}
"""Each level as a line names it."""

_LINE = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE

_lines: "Lines | None" = None
"""Where ``configure`` said JSON: the writer of the lines that come by the thousand."""

Format = Literal["auto", "json", "console"]


def configure(form: Format, level: str) -> None:
    """Send this process's logs, uvicorn's among them, to standard output in one form."""
    console = form == "console" or (form == "auto" and sys.stdout.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    global _lines  # noqa: PLW0603 - as structlog's own configuration is the process's
    _lines = None if console else Lines(number, cast("BinaryIO", _Lossy(sys.stdout.buffer)))
    atexit.register(_flush_at_exit)
    structlog.configure(
        processors=[_flushing, *shared, *_rendering(console, orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lossy(sys.stdout)))
        if console
        else structlog.BytesLoggerFactory(cast("BinaryIO", _Lossy(sys.stdout.buffer))),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(console, json.dumps)],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.INFO), force=True)


class Lines:
    """Writes JSON lines several at a time, past structlog's processors; lines are logged on an event loop alone.

    A line is written a moment after it was logged, or with the next line that anybody else logs, so that lines stay in
    their order.
    """

    def __init__(self, number: int, stream: BinaryIO) -> None:
        """Write to ``stream`` what is of level ``number`` or above, as the standard library counts."""
        self.number = number
        """The lowest level that is written."""
        self._stream = stream
        self._waiting: deque[bytes] = deque()
        self._flushing = threading.Lock()

    def write(self, number: int, event: str, fields: dict[str, Any]) -> None:
        """Log an event of level ``number``; ``fields`` is the writer's from now on."""
        if number < self.number:
            return
        fields["event"] = event
        fields["level"] = _LEVELS[number]
        fields["timestamp"] = datetime.now(UTC)
        self._waiting.append(orjson.dumps(fields, option=_LINE))
        waiting = len(self._waiting)
        if waiting >= _GATHERED:
            self.flush()
        elif waiting == 1:
            asyncio.get_running_loop().call_later(_GATHER_S, self.flush)

    def flush(self) -> None:
        """Write what waits; from any thread."""
        with self._flushing:
            if waiting := len(self._waiting):
                self._stream.write(b"".join([self._waiting.popleft() for _ in range(waiting)]))
                self._stream.flush()


def request_lines() -> Lines | None:
    """Return the writer of the lines that come by the thousand, ``None`` where structlog must do."""
    return _lines


def _flush_at_exit() -> None:
    if _lines is not None:
        _lines.flush()


def _flushing(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if _lines is not None:
        _lines.flush()
    return event


def let_go() -> None:
    """Forget what could not be written, which would otherwise make a clean exit look like a failure."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Lossy:
    """A stream that loses what it cannot write: a full disk is to cost the log, and no caller's answer.

    At the end of a process somebody may have closed it.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, message: Any) -> None:
        if not self._stream.closed:
            with contextlib.suppress(OSError):
                self._stream.write(message)

    def flush(self) -> None:
        if not self._stream.closed:
            with contextlib.suppress(OSError):
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _rendering(console: bool, dumps: Callable[..., str | bytes]) -> list[structlog.typing.Processor]:  # noqa: FBT001 - private
    if console:
        return [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ]  # rich would show locals
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(dumps)]
