"""The end of a process whose event loop no longer turns: it would neither answer, nor drain, nor be restarted."""

import os
import sys
import traceback

import structlog

log = structlog.get_logger("sluice")

STUCK_EXIT = 70


def end_process(thread: int, silent_s: float) -> None:
    """Log what the event loop's thread is at, and end the process at once; called from another thread."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented
    stack = "".join(traceback.format_stack(frame)) if frame else ""
    log.critical("event_loop_stuck", silent_s=round(silent_s, 1), stack=stack)
    os._exit(STUCK_EXIT)
