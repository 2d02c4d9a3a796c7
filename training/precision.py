"""The precision that a run trains in: what its config asks for, where this processor has it."""

import logging
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch
from torch import nn

Asked = Literal["32", "bf16"]
Trained = Literal["32-true", "bf16-mixed"]

logger = logging.getLogger(__name__)


@cache
def has_bf16_lstm() -> bool:
    """Return whether torch can take an LSTM forth and back in bfloat16 on this processor.

    Tried rather than read from the processor's flags: which of them oneDNN wants is its own affair, and it says no only
    when it is asked for the kernel.
    """
    cells = nn.LSTM(8, 8, batch_first=True)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = cells(torch.zeros(2, 3, 8))[0]  # [2, 3, 8]
        found.float().sum().backward()
    except RuntimeError:
        return False
    return True


def precision_for(asked: Asked, accelerator: str = "cpu", can: Callable[[], bool] = has_bf16_lstm) -> Trained:
    """Return Lightning's name of the precision to train in; 32 bits, and a line in the log, where bf16 cannot be had.

    Only a processor's own LSTM is asked for: an accelerator has its kernels, or says itself what it lacks.
    """
    if asked == "32":
        return "32-true"
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed"
    if can():
        return "bf16-mixed"
    logger.warning("this processor has no LSTM in bf16 (it wants AVX-512): training in 32 bits, slower and no worse")
    return "32-true"
