"""The provider is what was asked for, or an error that says how to install it."""

import pytest

from app.errors import ProviderError
from app.runtime.providers import choose

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def test_cuda_asked_for_and_absent_is_an_error_that_says_how_to_install_it() -> None:
    with pytest.raises(ProviderError, match=r"SLUICE_PROVIDER is 'cuda'.*pip install onnxruntime-gpu"):
        choose("cuda", [CPU])


def test_auto_without_cuda_falls_back_and_says_so() -> None:
    chosen = choose("auto", [CPU])
    assert chosen.device == "cpu"
    assert "fell back" in chosen.note


def test_auto_takes_cuda_where_it_is() -> None:
    assert choose("auto", [CUDA, CPU]).device == "cuda"


def test_cpu_is_taken_even_where_cuda_is() -> None:
    assert choose("cpu", [CUDA, CPU]).device == "cpu"


def test_cuda_runs_the_fp32_file_and_the_cpu_prefers_int8() -> None:
    assert choose("cuda", [CUDA, CPU]).precisions == ("fp32",)
    assert choose("cpu", [CPU]).precisions == ("int8", "fp32")
