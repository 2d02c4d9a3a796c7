"""What a package takes and gives under the protocol: texts, and the same as token ids; or what its graph does.

A package that reads text has several signatures. A request keeps to one of them, told by the names of its inputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.api.oip.tensor import BYTES, Tensor, datatype_of
from app.errors import InvalidInference
from app.modelpack.manifest import Manifest
from app.modelpack.tensors import Tensor as Spec
from app.runtime.classifier import Classifier
from app.runtime.extractor import Extractor
from app.runtime.model import Model
from app.runtime.summarizer import Summarizer
from app.runtime.tensors import TensorModel

ANY = -1
"""A size that varies."""

TEXT, IDS, LENS = "text", "ids", "lens"
ERRORS = "errors"
"""The output that holds, for each text, the code of its error, or nothing."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False

    def check(self, tensor: Tensor) -> None:
        """Raise ``InvalidInference`` where a tensor does not fit."""
        if tensor.datatype != self.datatype:
            raise InvalidInference(f"input {self.name!r} is {tensor.datatype}; expected {self.datatype}")
        have = tensor.array.shape
        if self.datatype == BYTES and have[1:] == (1,):
            have = have[:1]  # one text a row, as some clients write it
        if len(have) != len(self.shape) or any(
            want not in (ANY, size) for want, size in zip(self.shape, have, strict=True)
        ):
            raise InvalidInference(
                f"input {self.name!r} has shape {list(tensor.array.shape)}; expected {list(self.shape)}, "
                "where -1 is any size"
            )


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs that go together, and the outputs they give."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def bind(self, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the tensors by name; ``InvalidInference`` where one is missing, or does not fit."""
        given = {tensor.name: tensor for tensor in tensors}
        for port in self.inputs:
            if port.name in given:
                port.check(given[port.name])
            elif not port.optional:
                raise InvalidInference(f"input {port.name!r} is missing; expected {port.datatype}{list(port.shape)}")
        return given

    def select(self, outputs: Sequence[str] | None) -> list[str]:
        """Return the names of the outputs that are wanted, all of them for ``None``."""
        known = [port.name for port in self.outputs]
        for name in outputs or ():
            if name not in known:
                raise InvalidInference(f"output {name!r} is not given for these inputs; expected some of {known}")
        return list(outputs) if outputs else known


def signatures(model: Model) -> tuple[Signature, ...]:
    """Return what a package can be asked."""
    match model:
        case Classifier():
            return _classifying(model.manifest)
        case Extractor():
            return _QUOTING
        case Summarizer():
            return _WRITING
        case TensorModel():
            return (Signature("tensors", _ports(model.inputs), _ports(model.outputs)),)
        case _:
            raise TypeError(f"This is a bug: no signature for {type(model).__name__}")


def signature_for(model: Model, inputs: Sequence[Tensor]) -> Signature:
    """Return the signature that has all of these inputs; ``InvalidInference`` names those there are."""
    names = [tensor.name for tensor in inputs]
    if len(set(names)) != len(names):
        raise InvalidInference(f"inputs are {names}; expected each name once")
    known = signatures(model)
    for one in known:
        if set(names) <= {port.name for port in one.inputs}:
            return one
    expected = " or ".join(str([port.name for port in one.inputs]) for one in known)
    raise InvalidInference(f"inputs are {names}; expected {expected} for model {model.name!r}")


def _ports(tensors: Sequence[Spec]) -> tuple[Port, ...]:
    return tuple(
        Port(one.name, datatype_of(one.dtype), tuple(ANY if isinstance(axis, str) else axis for axis in one.axes))
        for one in tensors
    )


_TEXTS = (Port(TEXT, BYTES, (ANY,)),)
_ROWS = (Port(IDS, "INT64", (ANY, ANY)), Port(LENS, "INT64", (ANY,), optional=True))
_OF_EACH_TEXT = (Port("truncated", "BOOL", (ANY,)), Port(ERRORS, BYTES, (ANY,)))


def _classifying(manifest: Manifest) -> tuple[Signature, ...]:
    labels = len(manifest.labels)
    scores = (Port("labels", BYTES, (ANY,)), Port("scores", "FP32", (ANY, labels)))
    return (
        Signature("text", _TEXTS, (*scores, *_OF_EACH_TEXT)),
        Signature("ids", _ROWS, (Port("logits", "FP32", (ANY, labels)),)),
    )


_QUOTING = (
    Signature(
        "text",
        _TEXTS,
        (
            Port("summaries", BYTES, (ANY,)),
            Port("sentences", BYTES, (ANY, ANY)),
            Port("sentence_scores", "FP32", (ANY, ANY)),
            Port("sentence_spans", "INT64", (ANY, ANY, 2)),
            *_OF_EACH_TEXT,
        ),
    ),
    Signature("ids", _ROWS, (Port("scores", "FP32", (ANY,)), Port("vectors", "FP32", (ANY, ANY)))),
)
"""The token ids are the sentences of one text, a row each."""

_WRITING = (
    Signature(
        "text", _TEXTS, (Port("summaries", BYTES, (ANY,)), Port("finish_reasons", BYTES, (ANY,)), *_OF_EACH_TEXT)
    ),
    Signature(
        "ids",
        _ROWS,
        (
            Port("summary_ids", "INT64", (ANY, ANY)),
            Port("summary_lens", "INT64", (ANY,)),
            Port("logprobs", "FP32", (ANY, ANY)),
        ),
    ),
)
