"""The checks that guard a package."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch

from app.runtime.providers import choose
from app.runtime.session import Array, Session
from tests.training.conftest import TinyRun
from training import parity, prepare
from training.errors import PackRefusedError
from training.export import graph_spec
from training.train import load_network

Sessions = tuple[Session, Session]


@pytest.fixture
def sessions(run: TinyRun) -> Sessions:
    fp32 = Session(graph_spec("model.onnx", "fp32", 3), run.paths.fp32.read_bytes(), choose("cpu"))
    int8 = Session(graph_spec("model.int8.onnx", "int8", 3), run.paths.int8.read_bytes(), choose("cpu"))
    return fp32, int8


def answers(run: TinyRun, sessions: Sessions) -> dict[str, parity.Answers]:
    return parity.answers(*sessions, prepare.dev(run.config, run.paths))


def test_a_faithful_export_passes(run: TinyRun, sessions: Sessions) -> None:
    found = parity.check(load_network(run.config, run.paths), *sessions, answers(run, sessions), run.config)
    assert found.torch_difference <= 1e-4
    assert found.padding_difference <= 1e-4
    assert found.attribution_difference <= 1e-4
    assert found.int8_company <= 1e-4
    assert found.int8_agreement >= 0.99
    assert found.int8_agreement_by_set.keys() == {"tiny"}
    assert found.int8_points == {"tiny": 0.0}


def test_a_network_unlike_its_graph_is_refused(run: TinyRun, sessions: Sessions) -> None:
    network = load_network(run.config, run.paths)
    with torch.no_grad():
        network.recurrent.head.bias.add_(0.01)
    with pytest.raises(PackRefusedError, match="between torch and the fp32 graph; at most 1e-04"):
        parity.check(network, *sessions, answers(run, sessions), run.config)


class Flipped(Session):
    """An int8 graph that decides the other way round."""

    def __init__(self, session: Session) -> None:
        self._inner = session

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        return [-one for one in self._inner.run(outputs, feeds)]


def test_an_int8_graph_that_decides_otherwise_is_refused(run: TinyRun, sessions: Sessions) -> None:
    fp32, int8 = sessions
    with pytest.raises(PackRefusedError, match="int8 and fp32 give the same label on 0"):
        parity.check(load_network(run.config, run.paths), fp32, int8, answers(run, (fp32, Flipped(int8))), run.config)


def test_an_int8_graph_that_costs_more_than_the_gate_is_refused(run: TinyRun, sessions: Sessions) -> None:
    lax = run.config.model_copy(update={"gates": run.config.gates.model_copy(update={"int8_agreement": 0.0})})
    dev = answers(run, (sessions[0], Flipped(sessions[1])))
    assert parity.cost(dev["tiny"], "accuracy") == pytest.approx(100.0)
    with pytest.raises(PackRefusedError, match=r"int8 costs 100\.00 points on tiny; at most 0\.3"):
        parity.check(load_network(run.config, run.paths), *sessions, dev, lax)


class Leaking(Flipped):
    """A graph whose answers depend on the padding."""

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        return [one + np.float32(feeds["ids"].shape[1]) for one in self._inner.run(outputs, feeds)]


def test_an_int8_graph_whose_answers_move_with_their_batch_is_refused(run: TinyRun, sessions: Sessions) -> None:
    fp32, int8 = sessions
    with pytest.raises(PackRefusedError, match="between an int8 row alone and the same row padded in a batch"):
        parity.check(load_network(run.config, run.paths), fp32, Leaking(int8), answers(run, sessions), run.config)


def test_padding_that_moves_an_answer_is_measured(sessions: Sessions) -> None:
    rows = [np.array([3, 4, 5]), np.array([6])]
    assert parity.padding_difference(sessions[0], rows) <= 1e-4
    assert parity.padding_difference(Leaking(sessions[0]), rows) > 1
