"""A package that writes, in numpy: a tiny recurrent pointer-generator with random weights and independent rows."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from app.modelpack.summaries import KindName
from app.runtime.roster import Floats, Ids
from app.runtime.session import Array

PAD, UNK, BOS, EOS = 0, 1, 2, 3
Stepped = tuple[Ids, Floats, Floats, Floats, Floats]
FIRST = 4
"""The first id that is a word."""


@dataclass(eq=False)
class Scribe:
    """Fails to read a source that holds ``unreadable``, and to step one that holds ``poison``; waits at its gate."""

    seed: int = 0
    vocabulary: int = 23
    eos_bias: float = 3.0
    unreadable: int = -1
    poison: int = -1
    name: str = "scribe"
    version: str = "1"
    bos_id: int = BOS
    eos_id: int = EOS
    pad_id: int = PAD
    steps: list[tuple[int, ...]] = field(default_factory=list)
    """The shape of each step's memory and the beams: rows, width, beams."""
    renewals: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    stepping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()
        numbers = np.random.default_rng(self.seed)
        size = self.size = 6
        self.embedding = _normal(numbers, self.vocabulary, size)
        self.read, self.key, self.write, self.ask = (_normal(numbers, size, size) for _ in range(4))
        self.out = _normal(numbers, 2 * size, self.vocabulary)

    def encode(self, ids: Ids, kind: KindName) -> tuple[Floats, Floats, Floats]:
        """Read by a running state; the kind is its first value."""
        if self.unreadable in ids:
            raise RuntimeError("unreadable")
        state = np.full(self.size, len(kind) / 10, np.float32)
        memory = np.zeros((len(ids), self.size), np.float32)
        for at, token in enumerate(ids.tolist()):
            state = np.tanh(state @ self.read + self.embedding[token])
            memory[at] = state
        return memory, memory @ self.key, state

    def step(self, feeds: Mapping[str, Array]) -> Stepped:
        """Attend, mix copying and generating, and take the k best, as the contract of step.onnx says."""
        rows, width, _ = feeds["memory"].shape
        beams = feeds["tokens"].shape[1]
        self.steps.append((rows, width, beams))
        self.stepping.set()
        if not self.gate.wait(10):
            raise TimeoutError("the test never opened the gate")
        if (feeds["ids"] == self.poison).any():
            raise RuntimeError("poisoned")
        state = np.tanh(feeds["state"] @ self.write + self.embedding[feeds["tokens"]])  # [rows, beams, S]
        scores = np.einsum("rbs,rts->rbt", state @ self.ask, feeds["keys"]) - feeds["coverage"]  # [rows, beams, T]
        real = np.arange(width) < feeds["lens"][:, None]  # [rows, T]
        attention = _softmax(np.where(real[:, None], 3 * scores, -1e9))  # [rows, beams, T]
        context = np.einsum("rbt,rts->rbs", attention, feeds["memory"])  # [rows, beams, M]
        state = np.tanh(state + context)
        logits = np.concatenate([state, context], -1) @ self.out  # [rows, beams, V]
        logits[..., [PAD, UNK, BOS]] = -1e9
        logits[..., EOS] += self.eos_bias
        generated = 0.5 * _softmax(logits)  # [rows, beams, V]
        copied = np.zeros_like(generated)
        for row, ids in enumerate(feeds["ids"]):
            np.add.at(copied[row].T, ids, 0.5 * attention[row].T)
        copied[..., [PAD, BOS]] = 0
        return _top(generated, copied, feeds, state, attention)

    def renew(self) -> None:
        """Count that a new session was asked for."""
        self.renewals += 1


def _top(generated: Floats, copied: Floats, feeds: Mapping[str, Array], state: Floats, attention: Floats) -> Stepped:
    both = generated + copied
    logps = np.where(both > 1e-9, np.log(np.maximum(both, 1e-9)), -np.inf).astype(np.float32)  # [rows, beams, V]
    for row, beam, at in np.argwhere(feeds["banned"] >= 0):
        logps[row, beam, feeds["banned"][row, beam, at]] = -np.inf
    best = np.argsort(-logps, axis=-1, kind="stable")[..., : int(feeds["k"][0])]
    share = copied / np.maximum(both, 1e-9)
    return (
        best,
        np.take_along_axis(logps, best, -1),
        np.take_along_axis(share, best, -1),
        state.astype(np.float32),
        (feeds["coverage"] + attention).astype(np.float32),
    )


def _softmax(values: npt.NDArray[Any]) -> Floats:
    shifted = np.exp(values - values.max(-1, keepdims=True))
    found: Floats = (shifted / shifted.sum(-1, keepdims=True)).astype(np.float32)
    return found


def _normal(numbers: np.random.Generator, *shape: int) -> Floats:
    return numbers.normal(size=shape).astype(np.float32)
