"""Keeps back the warnings of libraries that nobody here can act on."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what Lightning warns of and nobody here can act on."""
    with warnings.catch_warnings():
        # Lightning asks torch's tree utilities in a way that torch has deprecated since.
        warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
        # Resuming is meant to find the folder of checkpoints full, and batches keep their own state.
        warnings.filterwarnings("ignore", message=r"Checkpoint directory .* exists and is not empty")
        # Steps are logged by their number in the run, so that short epochs are logged too.
        warnings.filterwarnings("ignore", message=r"The number of training batches .* is smaller than the logging")
        # It tells of accelerators that are not there, and advertises.
        messages = logging.getLogger("lightning.pytorch")
        level = messages.level
        messages.setLevel(logging.WARNING)
        try:
            yield
        finally:
            messages.setLevel(level)
