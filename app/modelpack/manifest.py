"""manifest.json: what a package says of itself, as a strict schema.

Schema version 4, which brought numbers to numbers (app.modelpack.tensors); version 3, which brought summaries
(app.modelpack.summaries), version 2, which knew classifiers alone, and version 1, which knew sentiment alone and no
calibration, are read too. Every field is checked, an unknown field is an error, and what can be checked against another
field is (labels against the task, graphs and tokenizer against the file table).
"""

from collections.abc import Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import ConfigDict, Field, StringConstraints, ValidationError, model_validator

from app.errors import PackageError
from app.modelpack.strict import Strict
from app.modelpack.summaries import Extraction, Generation
from app.modelpack.tensors import TEXT_DTYPES, Tensor, Tensors

SCHEMA_VERSION: Literal[4] = 4
FILE = "manifest.json"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Classifying = Literal["sentiment", "topic", "classify"]
Summarizing = Literal["extract", "summarize"]
Task = Literal[Classifying, Summarizing, "tensor"]
Role = Literal["model", "encoder", "step"]
Precision = Literal["fp32", "int8"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]

TASKS: tuple[Task, ...] = get_args(Task)
CLASSIFYING: tuple[Classifying, ...] = get_args(Classifying)
"""The tasks whose packages have labels."""
SUMMARIZING: tuple[Summarizing, ...] = get_args(Summarizing)
"""The tasks whose packages write or quote text."""
SENTIMENT_LABELS = frozenset({"negative", "neutral", "positive"})
"""The labels of sentiment mean the same in every package; those of the other tasks are the package's own."""
MIN_LABELS = 2
MAX_LABELS = 1000
MAX_LABEL_CHARS = 100

_ROLES: dict[Task, tuple[Role, ...]] = {"summarize": ("encoder", "step")}
"""What a task's graphs are for; a task that is not here has graphs of the role ``model`` alone."""
_SECTIONS: dict[Task, str] = {"extract": "extraction", "summarize": "generation", "tensor": "tensors"}
_SINCE: dict[Task, int] = {"sentiment": 1, "extract": 3, "summarize": 3, "tensor": 4}
"""The schema version that brought a task; those that are not here came with version 2."""
_OF_TEXT = ("languages", "labels", "tokenizer", "limits")
"""What a package has that reads text, and one of numbers has not."""


class File(Strict):
    """One file of the package: its size and SHA-256, checked before anything reads it."""

    bytes: int = Field(ge=0)
    sha256: Sha256


class Graph(Strict):
    """One ONNX graph at one precision.

    A summarizer is an ``encoder``, run once a text, and a ``step``, run once a token; every other package is one graph,
    of the role ``model``.
    """

    file: str
    precision: Precision
    role: Role = "model"
    inputs: list[Tensor] = Field(min_length=1)
    outputs: list[Tensor] = Field(min_length=1)


class Tokenizer(Strict):
    """Where the tokenizer is, which normalization it carries, and the ids that mean something special."""

    file: str
    normalization: int = Field(ge=1)
    vocab_size: int = Field(ge=2)
    pad_id: int = Field(ge=0)
    unk_id: int = Field(ge=0)


class Limits(Strict):
    """What the model was made for; a longer text is cut and its answer says so."""

    max_tokens: int = Field(ge=1)


class Calibration(Strict):
    """What makes a probability mean what it says (Guo et al. 2017): the logits are divided by ``temperature``.

    Beyond a hundredfold it is a mistake. ``data`` names the splits that it was chosen on; the expected calibration
    errors are of those, before and after.
    """

    temperature: float = Field(ge=0.01, le=100.0)
    data: list[str] = Field(min_length=1)
    ece_before: float = Field(ge=0.0, le=1.0)
    ece_after: float = Field(ge=0.0, le=1.0)


class Evaluation(Strict):
    """Figures of one data set, measured on the packed graph through the serving code.

    ``baseline`` is the one that the model is held against; ``baselines`` has all that were measured, by name.
    """

    data: str
    split: str
    rows: int = Field(ge=1)
    precision: Precision
    labels: list[str]
    metrics: dict[str, float]
    baseline: dict[str, float] = Field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = Field(default_factory=dict)
    measured_on: Annotated[date, Field(strict=False)]


class Manifest(Strict):
    """The whole of manifest.json; what only a package has that reads text is asked for by the properties."""

    model_config = ConfigDict(serialize_by_alias=True)

    schema_version: Literal[1, 2, 3, 4]
    name: Name
    version: int = Field(ge=1)
    task: Task
    description: str
    languages: list[Language] = Field(default_factory=list)
    labels: list[str] = Field(default_factory=list)
    its_tokenizer: Tokenizer | None = Field(None, alias="tokenizer")
    its_limits: Limits | None = Field(None, alias="limits")
    graphs: list[Graph] = Field(min_length=1)
    files: dict[str, File] = Field(min_length=1)
    calibration: Calibration | None = None
    generation: Generation | None = None
    extraction: Extraction | None = None
    tensors: Tensors | None = None
    evaluation: list[Evaluation] = Field(default_factory=list)
    provenance: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        self._keeps_to_its_schema()
        self._has_what_text_needs()
        check_labels(self.task, self.labels)
        for name in self.files:
            if not _stays_inside(name):
                raise ValueError(f"files: {name!r} leaves the package; expected a relative path inside it")
        tokenizer = [self.its_tokenizer.file] if self.its_tokenizer is not None else []
        for name in [*tokenizer, *(graph.file for graph in self.graphs)]:
            if name not in self.files:
                raise ValueError(f"files: {name!r} is missing; expected an entry with its size and sha256")
        self._has_the_graphs_of_its_task()
        self._has_the_sections_of_its_task()
        self._has_the_tensors_of_its_task()
        return self

    def _keeps_to_its_schema(self) -> None:
        since = _SINCE.get(self.task, 2)
        if self.schema_version < since:
            known = " or ".join(repr(task) for task in TASKS if _SINCE.get(task, 2) <= self.schema_version)
            raise ValueError(
                f"task: {self.task!r} under schema version {self.schema_version}; "
                f"expected {known}, or schema version {since}"
            )
        if self.schema_version == 1 and self.calibration is not None:
            raise ValueError("calibration: present under schema version 1; expected schema version 2")
        if self.schema_version == 1 and any(one.baselines for one in self.evaluation):
            raise ValueError("evaluation: baselines under schema version 1; expected schema version 2")

    def _has_what_text_needs(self) -> None:
        """Hold what reads text to all of its fields, and numbers to none; an empty list of labels is a field, too."""
        for name in _OF_TEXT:
            attribute = name if name in type(self).model_fields else f"its_{name}"
            value = getattr(self, attribute)
            if self.task == "tensor" and value:
                raise ValueError(f"{name}: present under task 'tensor'; expected it to be absent")
            if self.task != "tensor" and attribute not in self.model_fields_set:
                raise ValueError(f"{name} is absent; expected field required under task {self.task!r}")
            if self.task != "tensor" and name != "labels" and not value:
                raise ValueError(f"{name}: {value!r}; expected one at least")

    def _has_the_graphs_of_its_task(self) -> None:
        wanted = _ROLES.get(self.task, ("model",))
        have = {graph.role for graph in self.graphs}
        for role in sorted(have - set(wanted)):
            raise ValueError(f"graphs: role {role!r} under task {self.task!r}; expected {' and '.join(wanted)} alone")
        for role in wanted:
            if role not in have:
                raise ValueError(f"graphs: role {role!r} is missing; expected one under task {self.task!r}")
            precisions = [graph.precision for graph in self.graphs if graph.role == role]
            if len(set(precisions)) != len(precisions):
                raise ValueError(f"graphs: precisions {precisions} repeat; expected one graph a precision and role")

    def _has_the_sections_of_its_task(self) -> None:
        for task, section in _SECTIONS.items():
            present = getattr(self, section) is not None
            if present != (task == self.task):
                found, expected = ("present", "it to be absent") if present else ("absent", "that section")
                raise ValueError(f"{section}: {found} under task {self.task!r}; expected {expected}")
        if self.calibration is not None and self.task not in CLASSIFYING:
            raise ValueError(f"calibration: present under task {self.task!r}; expected it to be absent")
        if self.generation is not None:
            self.generation.check_ids(self.tokenizer.vocab_size, self.tokenizer.pad_id, self.tokenizer.unk_id)

    def _has_the_tensors_of_its_task(self) -> None:
        first = self.graphs[0]
        for graph in self.graphs:
            for tensor in (*graph.inputs, *graph.outputs):
                if self.task != "tensor" and tensor.dtype not in TEXT_DTYPES:
                    raise ValueError(f"graphs: {tensor} under task {self.task!r}; expected {sorted(TEXT_DTYPES)}")
            if self.tensors is not None and (graph.inputs, graph.outputs) != (first.inputs, first.outputs):
                raise ValueError(f"graphs: {graph.file!r} differs from {first.file!r}; expected the same tensors")
        if self.tensors is not None:
            self.tensors.check(first.inputs, first.outputs)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of a package that reads text."""
        if self.its_tokenizer is None:
            raise TypeError("This is a bug: a package of numbers has no tokenizer")
        return self.its_tokenizer

    @property
    def limits(self) -> Limits:
        """The limits of a package that reads text."""
        if self.its_limits is None:
            raise TypeError("This is a bug: a package of numbers has no limits")
        return self.its_limits

    @property
    def temperature(self) -> float:
        """What logits are divided by before they become probabilities; 1 where the package is not calibrated."""
        return self.calibration.temperature if self.calibration is not None else 1.0

    def graph(self, precision: Precision, role: Role = "model") -> Graph | None:
        """Return the graph of ``precision`` and ``role``, or ``None`` where the package has none."""
        return next((one for one in self.graphs if (one.precision, one.role) == (precision, role)), None)


def check_labels(task: Task, labels: Sequence[str]) -> None:
    """Raise ``ValueError``, of the form "found; expected form", where ``labels`` cannot be those of a ``task``."""
    if task not in CLASSIFYING:
        if labels:
            raise ValueError(f"labels: {len(labels)} of them under task {task!r}; expected none")
        return
    if len(labels) < MIN_LABELS:
        raise ValueError(f"labels: {_shown(list(labels))}; expected at least {MIN_LABELS}")
    for at, label in enumerate(labels):
        if task == "sentiment" and label not in SENTIMENT_LABELS:
            known = sorted(SENTIMENT_LABELS)
            raise ValueError(f"labels[{at}]: {label!r} is no label of sentiment; expected one of {known}")
        if not label.strip() or len(label) > MAX_LABEL_CHARS or label.splitlines() != [label]:
            raise ValueError(f"labels[{at}]: {_shown(label)}; expected one line of 1 to {MAX_LABEL_CHARS} characters")
    if len(set(labels)) != len(labels):
        repeated = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"labels: {_shown(repeated)} repeats; expected distinct labels")
    if len(labels) > MAX_LABELS:
        raise ValueError(f"labels: {len(labels)} of them; expected at most {MAX_LABELS}")


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name


def parse(raw: bytes) -> Manifest:
    """Return the manifest in ``raw``; ``PackageError`` names the first field that is wrong, its value and the form."""
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as broken:
        first = broken.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        if first["type"] == "json_invalid":
            raise PackageError(FILE, f"not JSON ({first['ctx']['error']})", "one JSON object") from broken
        if first["type"] == "value_error":
            found, _, expected = str(first["ctx"]["error"]).partition("; expected ")
            raise PackageError(FILE, f"{where}.{found}" if first["loc"] else found, expected) from broken
        value = "absent" if first["type"] == "missing" else _shown(first["input"])
        raise PackageError(FILE, f"{where} is {value}", _form(where, first["msg"])) from broken


def _form(where: str, message: str) -> str:
    if where == "schema_version":
        return f"schema version {SCHEMA_VERSION} or an earlier one, which this release reads"
    return message[:1].lower() + message[1:]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - one line of a log
