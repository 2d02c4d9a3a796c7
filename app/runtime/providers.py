"""Which execution provider runs the graphs, chosen once at start."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import onnxruntime

from app.errors import ProviderError
from app.modelpack.manifest import Precision

Choice = Literal["auto", "cpu", "cuda"]
Device = Literal["cpu", "cuda"]

_NAMES: dict[Device, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

IDENTITY = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a02"
    "0801620f0a0179120a0a08080112040a02080142040a001011"
)
"""One Identity node from x to y, float32[1], opset 17: the smallest graph that runs."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The device that was chosen, and what to say of the choice."""

    device: Device
    note: str

    @property
    def onnx_name(self) -> str:
        """ONNX Runtime's own name of it."""
        return _NAMES[self.device]

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions it runs, best first: CUDA has no kernel for the int8 LSTM."""
        return ("fp32",) if self.device == "cuda" else ("int8", "fp32")


def may_use_cuda() -> bool:
    """Tell whether this ONNX Runtime has the provider of CUDA; touches no device."""
    return _NAMES["cuda"] in onnxruntime.get_available_providers()


def cuda_trouble() -> str | None:
    """Return why CUDA cannot be used here, or ``None`` where it can.

    An installed provider is not enough: without a driver or a device ONNX Runtime quietly opens graphs on the CPU.
    """
    if not may_use_cuda():
        return f"this ONNX Runtime has no CUDA provider (it has {', '.join(onnxruntime.get_available_providers())})"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(IDENTITY, options, providers=[_NAMES["cuda"], _NAMES["cpu"]])
    except Exception:  # noqa: BLE001 - ONNX Runtime's exceptions share no base class
        return "its CUDA provider does not start"
    return None if _NAMES["cuda"] in session.get_providers() else "its CUDA provider finds no usable device or driver"


def choose(choice: Choice, trouble: Callable[[], str | None] = cuda_trouble) -> Provider:
    """Return the provider for ``choice``; ``ProviderError`` where CUDA was asked for and cannot be used.

    ``trouble`` says why CUDA cannot be used.
    """
    if choice == "cpu":
        return Provider("cpu", "asked for")
    reason = trouble()
    if reason is None:
        return Provider("cuda", "asked for" if choice == "cuda" else "found")
    if choice == "cuda":
        raise ProviderError(
            f"SLUICE_PROVIDER is 'cuda', but {reason}; expected a working one: replace onnxruntime with "
            "`pip install onnxruntime-gpu` and see that nvidia-smi lists a device, or use the image's gpu target, or "
            "set SLUICE_PROVIDER=cpu"
        )
    return Provider("cpu", f"fell back: {reason}")
