"""What a graph is asked when its cost is measured: short and long texts, as serving asks it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.modelpack.manifest import Role
from app.modelpack.store import Package
from app.runtime.providers import choose
from app.runtime.session import Array, padded
from app.runtime.summarizer import Summarizer
from benchmarks.texts import CHINESE, texts

Feeds = dict[str, Array]
_LONG_CHINESE = 12
"""How many of the sentences a long text has."""
_SHORT_TEXTS, _LONG_TEXTS = 96, 24
_SHORT_ROWS, _LONG_ROWS = 16, 4
"""Of a batch, as the scheduler mostly cuts them."""
_SHORT_SENTENCES, _LONG_SENTENCES = 3, 20
_READ = ("memory", "keys", "state")
_BEAMS, _TOP, _STEP_ROWS = 4, 5, 16


@dataclass(frozen=True)
class Work:
    """The runs of a graph over short and over long texts, and what its outputs decide."""

    outputs: tuple[str, ...]
    short: list[Feeds]
    long: list[Feeds]
    judge: Callable[[Feeds, list[Array]], Array]
    """A run's decisions, int64: labels, the best sentence, the next token."""
    alone: bool = False
    """Whether a run is one text, whatever its rows."""

    def texts_of(self, feeds: Feeds) -> int:
        """Return how many texts one run has."""
        return 1 if self.alone else len(feeds["lens"])

    def decisions(self, session: Any) -> Array:
        """Return what an opened graph decides on every run, in order."""
        found = [self.judge(feeds, session.run(list(self.outputs), feeds)) for feeds in (*self.short, *self.long)]
        return np.concatenate([one.ravel() for one in found])


def work_of(package: Package, role: Role) -> Work:
    """Return what the graph of a package is asked."""
    short, long = _rows(package, "short", _SHORT_TEXTS), _rows(package, "long", _LONG_TEXTS)
    if role != "model":
        return _of_writer(Summarizer.open(package, choose("cpu"), "fp32"), role, short, long)
    pad_id = package.manifest.tokenizer.pad_id
    if package.manifest.extraction is not None:
        cut = [row[: package.manifest.extraction.max_sentence_tokens] for row in short]
        few, many = (_documents(cut, count, pad_id) for count in (_SHORT_SENTENCES, _LONG_SENTENCES))
        return Work(("scores", "vectors"), few, many, lambda _, found: np.atleast_1d(found[0].argmax()), alone=True)
    few, many = _batches(short, _SHORT_ROWS, pad_id), _batches(long, _LONG_ROWS, pad_id)
    return Work(("logits",), few, many, lambda _, found: found[0].argmax(1))


def _rows(package: Package, kind: str, count: int) -> list[Array]:
    """Return the ids of so many texts in the package's language, int64[T] each, the shortest first."""
    asked = texts(kind, count)
    if "zh" in package.manifest.languages:
        sentences = 1 if kind == "short" else _LONG_CHINESE
        asked = ["".join(CHINESE[(at + one) % len(CHINESE)] for one in range(sentences)) for at in range(count)]
    return sorted((tokens.ids for tokens in package.tokenizer().encode(asked)), key=len)


def _batches(rows: Sequence[Array], size: int, pad_id: int) -> list[Feeds]:
    return [padded(rows[at : at + size], pad_id) for at in range(0, len(rows) - size + 1, size)]


def _documents(sentences: Sequence[Array], count: int, pad_id: int) -> list[Feeds]:
    """Return documents of so many sentences, taken from all lengths in turn."""
    found = len(sentences) // count
    return [padded(sentences[at::found][:count], pad_id) for at in range(found)]


def _of_writer(writer: Summarizer, role: Role, short: list[Array], long: list[Array]) -> Work:
    """Return the work of an encoder, which reads one text a run, or of a step, which takes many a token further."""
    if role == "encoder":
        few, many = ([_reading(writer, row) for row in rows[:_SHORT_TEXTS:4]] for rows in (short, long))
        return Work(_READ, few, many, lambda feeds, found: _first_token(writer, feeds, found))
    few, many = ([_stepping(writer, rows[len(rows) // 2])] for rows in (short, long))
    return Work(("top_ids", "top_logps", "next_state"), few, many, lambda _, found: found[0][:, :, 0])


def _reading(writer: Summarizer, ids: Array) -> Feeds:
    kind = next(iter(writer.generation.kinds.values())).id
    return {"ids": ids[None], "lens": np.array([len(ids)]), "kinds": np.array([kind])}


def _stepping(writer: Summarizer, ids: Array) -> Feeds:
    """Return the first step of a full batch over texts that begin alike and end at different tokens."""
    reading = _reading(writer, ids)
    found = writer.encoder.run(_READ, reading)
    many = [np.repeat(array, _STEP_ROWS, 0) for array in (reading["ids"], *found)]
    feeds = _step(writer, *many)
    feeds["lens"] = np.linspace(max(1, len(ids) // 2), len(ids), _STEP_ROWS).astype(np.int64)
    return feeds


def _first_token(writer: Summarizer, feeds: Feeds, found: list[Array]) -> Array:
    """Return the token that the fp32 step writes first after what an encoder has read."""
    (top_ids,) = writer.stepper.run(("top_ids",), _step(writer, feeds["ids"], *found))
    return top_ids[:, 0, 0]


def _step(writer: Summarizer, ids: Array, memory: Array, keys: Array, state: Array) -> Feeds:
    rows, tokens = ids.shape
    return {
        "tokens": np.full((rows, _BEAMS), writer.bos_id, np.int64),
        "state": np.repeat(state[:, None], _BEAMS, axis=1),
        "coverage": np.zeros((rows, _BEAMS, tokens), np.float32),
        "memory": memory,
        "keys": keys,
        "ids": ids,
        "lens": np.full(rows, tokens, np.int64),
        "banned": np.full((rows, _BEAMS, 1), -1, np.int64),
        "free": np.zeros(rows, np.float32),
        "k": np.array([_TOP], np.int64),
    }
