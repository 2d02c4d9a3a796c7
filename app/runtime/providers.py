"""Which execution provider runs the graphs, chosen once at start."""

from dataclasses import dataclass
from typing import Literal

import onnxruntime

from app.errors import ProviderError
from app.modelpack.manifest import Precision

Choice = Literal["auto", "cpu", "cuda"]
Device = Literal["cpu", "cuda"]

_NAMES: dict[Device, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


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


def choose(choice: Choice, available: list[str] | None = None) -> Provider:
    """Return the provider for ``choice``; ``ProviderError`` where CUDA was asked for and is not installed.

    ``available`` stands in for ONNX Runtime's own list.
    """
    onnxruntime.disable_telemetry_events()  # official builds report usage to their maker unless told otherwise
    installed = onnxruntime.get_available_providers() if available is None else available
    has_cuda = _NAMES["cuda"] in installed
    if choice == "cuda" and not has_cuda:
        raise ProviderError(
            "SLUICE_PROVIDER is 'cuda', but this ONNX Runtime has no CUDA provider (it has "
            f"{', '.join(installed)}); expected one that has: replace onnxruntime with "
            "`pip install onnxruntime-gpu`, or use the image's gpu target, or set SLUICE_PROVIDER=cpu"
        )
    if choice == "cpu":
        return Provider("cpu", "asked for")
    if has_cuda:
        return Provider("cuda", "asked for" if choice == "cuda" else "found")
    return Provider("cpu", "fell back: no CUDA provider is installed")
