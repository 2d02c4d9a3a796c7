"""Imports that no garbage collection walks."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unwalked() -> Iterator[None]:
    """Collect no garbage while modules are imported within, and never walk what they made.

    What is imported stays for good. Walking it again and again while more is imported, and while schemas are made of
    it, was a tenth of the CPU of a start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
