"""A package that writes: its encoder, run once a text, and its step, run once a token for many texts at once.

docs/model-package.md has the form of both graphs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from app.errors import PackageError
from app.modelpack import manifest as schema
from app.modelpack.manifest import Role
from app.modelpack.signs import Signs
from app.modelpack.store import Package
from app.modelpack.summaries import Generation, KindName
from app.runtime.model import TextModel, open_session
from app.runtime.providers import Provider
from app.runtime.session import Array, Session

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_ENCODED = ("memory", "keys", "state")
_STEPPED = ("top_ids", "top_logps", "top_copied", "next_state", "next_coverage")
_INPUTS: dict[Role, tuple[str, ...]] = {
    "encoder": ("ids", "lens", "kinds"),
    "step": ("tokens", "state", "coverage", "memory", "keys", "ids", "lens", "banned", "free", "k"),
}
_OUTPUTS: dict[Role, tuple[str, ...]] = {"encoder": _ENCODED, "step": _STEPPED}
_WARM_UP_TOKENS = (1, 7, 60)
_WARM_UP_BEAMS, _WARM_UP_TOP = 2, 3


class Encoded(NamedTuple):
    """One text as the step reads it: ``memory`` float32[T, M], ``keys`` float32[T, A], ``state`` float32[S]."""

    memory: Floats
    keys: Floats
    state: Floats


class Stepped(NamedTuple):
    """What one step found: ``top_*`` [rows, beams, k], ``state`` [rows, beams, S], ``coverage`` [rows, beams, T]."""

    top_ids: Ids
    top_logps: Floats
    top_copied: Floats
    state: Floats
    coverage: Floats


@dataclass(frozen=True, eq=False)
class Summarizer(TextModel):
    """A package of the task ``summarize``."""

    encoder: Session
    stepper: Session
    pieces: list[str] = field(init=False)
    """Each id's piece, in order."""
    signs: Signs = field(init=False)
    """What each of them is in a numeral."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pieces", self.tokenizer.pieces())
        object.__setattr__(self, "signs", Signs.of(self.pieces))

    @classmethod
    def open(cls, package: Package, provider: Provider, precision: str = "auto") -> Self:
        """Open a verified package and warm it up; ``PackageError`` where its parts do not fit together.

        With precision ``int8`` a graph that has none is fp32, where the other one has it: they are what int8 makes of
        the package.
        """
        manifest = package.manifest
        if precision == "int8" and any(graph.precision == "int8" for graph in manifest.graphs):
            precision = "auto"
        encoder = open_session(package, provider, precision, "encoder")
        stepper = open_session(package, provider, precision, "step")
        model = cls(package, provider, package.tokenizer(), encoder, stepper)
        model.warm_up()
        return model

    @property
    def generation(self) -> Generation:
        """What the package says of how it writes."""
        if self.manifest.generation is None:
            raise TypeError("This is a bug: a package that writes without its section")
        return self.manifest.generation

    @property
    def bos_id(self) -> int:
        """The token that a summary's first step reads."""
        return self.generation.bos_id

    @property
    def eos_id(self) -> int:
        """The token that ends a summary."""
        return self.generation.eos_id

    @property
    def pad_id(self) -> int:
        """The id beyond a source's end."""
        return self.manifest.tokenizer.pad_id

    def encode(self, ids: Ids, kind: KindName) -> Encoded:
        """Read one text, ids int64[T], for a kind of summary.

        One text a run, so that int8, whose scales are a whole run's, reads it alike alone and in company.
        """
        feeds = {
            "ids": ids[None],
            "lens": np.array([len(ids)], np.int64),
            "kinds": np.array([self.generation.kinds[kind].id], np.int64),
        }
        memory, keys, state = self.encoder.run(_ENCODED, feeds)
        return Encoded(memory[0], keys[0], state[0])

    def step(self, feeds: Mapping[str, Array]) -> Stepped:
        """Run one step over ``feeds``, every input of the step graph by name."""
        return Stepped(*self.stepper.run(_STEPPED, feeds))

    def renew(self) -> None:
        """Open new sessions in the place of those of which one hangs."""
        self.encoder.renew()
        self.stepper.renew()

    def warm_up(self) -> None:
        """Read and step through a few lengths; ``PackageError`` where the two graphs do not fit together."""
        for role, session in (("encoder", self.encoder), ("step", self.stepper)):
            self._check_names(role, session)  # type: ignore[arg-type]
        for tokens in sorted({min(tokens, self.manifest.limits.max_tokens) for tokens in _WARM_UP_TOKENS}):
            ids = np.full(tokens, self.manifest.tokenizer.unk_id, np.int64)
            for kind in self.generation.kinds:
                encoded = self.encode(ids, kind)
                self._check_encoded(encoded, tokens)
            self._check_stepped(self._step_alone_and_padded(ids, encoded), encoded, tokens)

    def _step_alone_and_padded(self, ids: Ids, encoded: Encoded) -> Stepped:
        """Step twice the same text, of which the second row reads the first token alone."""
        tokens, rows = len(ids), 2
        lens = np.array([tokens, 1], np.int64)
        beams = (rows, _WARM_UP_BEAMS)
        try:
            return self.step(
                {
                    "tokens": np.full(beams, self.bos_id, np.int64),
                    "state": np.broadcast_to(encoded.state, (*beams, len(encoded.state))).copy(),
                    "coverage": np.zeros((*beams, tokens), np.float32),
                    "memory": np.stack([encoded.memory] * rows),
                    "keys": np.stack([encoded.keys] * rows),
                    "ids": np.where(np.arange(tokens) < lens[:, None], ids, self.pad_id),
                    "lens": lens,
                    "banned": np.full((*beams, 1), -1, np.int64),
                    "free": np.ones(rows, np.float32),
                    "k": np.array([_WARM_UP_TOP], np.int64),
                }
            )
        except Exception as broken:
            raise PackageError(
                self._file("step"),
                f"it fails on what {self._file('encoder')} gives ({broken.__cause__ or broken})"[:500],
                "a step that reads memory, keys and state as the encoder writes them",
            ) from broken

    def _check_names(self, role: Role, session: Session) -> None:
        graph = self.manifest.graph(session.precision, role)
        if graph is None:
            raise TypeError("This is a bug: a session without its graph")
        for side, have, want in (("inputs", graph.inputs, _INPUTS), ("outputs", graph.outputs, _OUTPUTS)):
            names = [tensor.name for tensor in have]
            if sorted(names) != sorted(want[role]):
                raise PackageError(graph.file, f"{side} {names}", f"{side} {list(want[role])} of role {role!r}")

    def _check_encoded(self, found: Encoded, tokens: int) -> None:
        ok = found.memory.ndim == found.keys.ndim == 2 and found.state.ndim == 1  # noqa: PLR2004 - rows and columns
        if not ok or found.memory.shape[0] != tokens or found.keys.shape[0] != tokens:
            shapes = found.memory.shape, found.keys.shape, found.state.shape
            raise PackageError(
                self._file("encoder"),
                f"memory, keys and state of shape {shapes}",
                f"memory and keys of {tokens} tokens",
            )

    def _check_stepped(self, found: Stepped, encoded: Encoded, tokens: int) -> None:
        head = (2, _WARM_UP_BEAMS)
        wanted = [(*head, _WARM_UP_TOP)] * 3 + [(*head, *encoded.state.shape), (*head, tokens)]
        shapes = [found.top_ids.shape, found.top_logps.shape, found.top_copied.shape]
        shapes += [found.state.shape, found.coverage.shape]
        if shapes != wanted:
            names = ", ".join(_STEPPED)
            raise PackageError(self._file("step"), f"{names} of shapes {shapes}", f"shapes {wanted}")
        special = {self.pad_id, self.bos_id}
        special |= {kind.id for kind in self.generation.kinds.values()}
        ids = set(found.top_ids.ravel().tolist())
        if ids & special or min(ids) < 0 or max(ids) >= self.manifest.tokenizer.vocab_size:
            raise PackageError(
                self._file("step"), f"top_ids {sorted(ids)}", f"ids of the vocabulary other than {sorted(special)}"
            )

    def _file(self, role: Role) -> str:
        session = self.encoder if role == "encoder" else self.stepper
        graph = self.manifest.graph(session.precision, role)
        return graph.file if graph is not None else schema.FILE
