"""The provider is what was asked for, or an error that says how to install it."""

import onnxruntime
import pytest

from app.errors import ProviderError
from app.runtime.providers import IDENTITY, choose, cuda_trouble


def absent() -> str | None:
    return "there is none"


def present() -> str | None:
    return None


def test_cuda_asked_for_and_absent_is_an_error_that_says_how_to_install_it() -> None:
    with pytest.raises(
        ProviderError, match=r"SLUICE_PROVIDER is 'cuda', but there is none;.*pip install onnxruntime-gpu"
    ):
        choose("cuda", absent)


def test_auto_without_cuda_falls_back_and_says_why() -> None:
    chosen = choose("auto", absent)
    assert (chosen.device, chosen.note) == ("cpu", "fell back: there is none")


def test_auto_takes_cuda_where_it_works() -> None:
    assert choose("auto", present).device == "cuda"


def test_cpu_is_taken_even_where_cuda_works() -> None:
    assert choose("cpu", present).device == "cpu"


def test_cuda_runs_the_fp32_file_and_the_cpu_prefers_int8() -> None:
    assert choose("cuda", present).precisions == ("fp32",)
    assert choose("cpu", present).precisions == ("int8", "fp32")


def test_this_runtime_says_what_is_wrong_with_its_cuda() -> None:
    trouble = cuda_trouble()
    has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    assert has_cuda or (trouble is not None and "has no CUDA provider" in trouble)


def test_an_installed_provider_that_opens_on_the_cpu_is_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    opened = onnxruntime.InferenceSession(IDENTITY, providers=["CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: opened)
    assert cuda_trouble() == "its CUDA provider finds no usable device or driver"
