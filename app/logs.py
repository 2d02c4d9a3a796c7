"""Structured logs: one JSON object a line, or a readable line on a terminal. Never a caller's text."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Literal

import orjson
import structlog

Format = Literal["auto", "json", "console"]


def configure(form: Format, level: str) -> None:
    """Send this process's logs, uvicorn's among them, to standard output in one form."""
    console = form == "console" or (form == "auto" and sys.stdout.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, *_rendering(console, orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout) if console else structlog.BytesLoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(console, json.dumps)],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.INFO), force=True)


def _rendering(console: bool, dumps: Callable[..., str | bytes]) -> list[structlog.typing.Processor]:  # noqa: FBT001 - private
    if console:
        return [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ]  # rich would show locals
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(dumps)]
