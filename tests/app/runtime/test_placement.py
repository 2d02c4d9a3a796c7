"""The way of CUDA, by a fake provider list: what falls back is refused by name, what is bound answers alike."""

import numpy as np
import pytest

from app.errors import PackageError
from app.main import _budget
from app.modelpack.store import open_package
from app.runtime.placement import placed, refuse_fallback
from app.runtime.providers import Provider, choose
from app.runtime.session import Session
from app.settings import Settings
from tests.packages import TINY

NAMES = ["logits", "attribution"]
FEEDS = {"ids": np.array([[5, 7, 9], [6, 0, 0]], np.int64), "lens": np.array([3, 1], np.int64)}
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class CudaOnTheCpu(Provider):
    """A CUDA whose kernels are the CPU's: all of its way through the code, and none of its device."""

    @property
    def onnx_name(self) -> str:
        return CPU


def session(provider: Provider) -> Session:
    package = open_package(TINY)
    graph = package.manifest.graph("fp32")
    assert graph is not None
    return Session(graph, package.graph_bytes(graph), provider)


def test_bound_inputs_and_outputs_give_the_same_answers() -> None:
    bound = session(CudaOnTheCpu("cuda", "fake"))
    for one, other in zip(bound.run(NAMES, FEEDS), session(choose("cpu")).run(NAMES, FEEDS), strict=True):
        assert np.array_equal(one, other)


def test_a_single_output_may_be_asked_for() -> None:
    (logits,) = session(CudaOnTheCpu("cuda", "fake")).run(["logits"], FEEDS)
    assert logits.shape == (2, 3)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_runtime_that_falls_back_to_the_cpu_unasked_is_refused() -> None:
    with pytest.raises(PackageError, match=f"model.onnx: its LSTM runs on {CPU}; expected {CUDA}, which was chosen"):
        session(Provider("cuda", "this runtime has none"))


def test_where_nodes_run_is_told_by_their_kind() -> None:
    opened = session(CudaOnTheCpu("cuda", "fake"))
    assert placed(opened._session)["LSTM"] == {CPU}


def test_shapes_may_be_computed_on_the_cpu() -> None:
    refuse_fallback("x.onnx", {"LSTM": frozenset({CUDA}), "Shape": frozenset({CPU})}, CUDA)


def test_one_layer_of_two_on_the_cpu_is_refused() -> None:
    with pytest.raises(PackageError, match="its GRU runs on CPUExecutionProvider"):
        refuse_fallback("x.onnx", {"GRU": frozenset({CUDA, CPU})}, CUDA)


def test_cuda_has_a_budget_of_its_own() -> None:
    settings = Settings(max_batch_cells=10, max_batch_rows=2, cuda_max_batch_cells=1000, cuda_max_batch_rows=50)
    on_cpu, on_cuda = (_budget(settings, provider) for provider in (choose("cpu"), Provider("cuda", "fake")))
    assert (on_cpu.max_cells, on_cpu.max_rows) == (10, 2)
    assert (on_cuda.max_cells, on_cuda.max_rows) == (1000, 50)
