"""Whether a model hears "not" and "but": written pairs of texts, a small change between them, the label another.

The pairs are ours (tests/fixtures/negation/<language>.jsonl), nothing is trained or chosen on them.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.tasks.classify import classify
from training.errors import DataError
from training.evaluate import Served

PAIRS = Path(__file__).parents[1] / "tests" / "fixtures" / "negation"
TASK = "sentiment"
FIELDS = ("a", "a_label", "b", "b_label", "kind")
# What a text is decided that the service would refuse.
NO_LABEL = "unanswered"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts whose labels differ, and what kind of change turns one into the other."""

    a: str
    a_label: str
    b: str
    b_label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A pair, and what the model said of both."""

    pair: Pair
    a_said: str
    b_said: str

    @property
    def changed(self) -> bool:
        """Whether the two texts got different labels."""
        return self.a_said != self.b_said

    @property
    def both_right(self) -> bool:
        """Whether both texts got their own label."""
        return (self.a_said, self.b_said) == (self.pair.a_label, self.pair.b_label)


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of so many pairs: with different labels, and with both labels right."""

    pairs: int
    changed: float
    both_right: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """What a model made of a file of pairs."""

    file: str
    all: Rates
    by_kind: dict[str, Rates]
    failures: list[Heard]

    def figures(self) -> dict[str, Any]:
        """Return the rates, as JSON has them."""
        return {
            "pairs_file": self.file,
            **asdict(self.all),
            "by_kind": {kind: asdict(rates) for kind, rates in self.by_kind.items()},
        }


def pairs_file(task: str, languages: Sequence[str]) -> Path | None:
    """Return the written pairs for a package, `None` where there are none: another task, language, or no checkout."""
    written = [path for one in languages if (path := PAIRS / f"{one}.jsonl").is_file()]
    return written[0] if task == TASK and written else None


def read_pairs(path: Path) -> list[Pair]:
    """Read JSON lines; `DataError` names the line that is no pair."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    pairs = [_pair(path, number, line) for number, line in enumerate(lines, start=1)]
    if not pairs:
        raise DataError(f"{path}: no pairs")
    return pairs


def contrast(served: Served, path: Path) -> Contrast:
    """Ask the package for the label of every text, with all its labels open.

    A pair with a label that the package lacks is left out; `DataError` where none is left.
    """
    known = set(served.labels)
    pairs = [one for one in read_pairs(path) if {one.a_label, one.b_label} <= known]
    if not pairs:
        raise DataError(f"{path}: no pair has labels among {', '.join(served.labels)}")
    said = labels_of(served, [text for one in pairs for text in (one.a, one.b)])
    heard = [Heard(pair, a, b) for pair, a, b in zip(pairs, said[::2], said[1::2], strict=True)]
    kinds = Counter(pair.kind for pair in pairs)
    return Contrast(
        file=path.name,
        all=_rates(heard),
        by_kind={kind: _rates([one for one in heard if one.pair.kind == kind]) for kind, _ in kinds.most_common()},
        failures=[one for one in heard if not one.both_right],
    )


def labels_of(served: Served, texts: Sequence[str]) -> list[str]:
    """Return the label that the service gives each text."""
    answered, logits = served.answer(texts)
    said = iter(classify(logits, served.labels))
    return [next(said).label if one else NO_LABEL for one in answered]


def _rates(heard: Sequence[Heard]) -> Rates:
    return Rates(
        pairs=len(heard),
        changed=sum(one.changed for one in heard) / len(heard),
        both_right=sum(one.both_right for one in heard) / len(heard),
    )


def _pair(path: Path, number: int, line: str) -> Pair:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: line {number}: not JSON: {error.msg}") from error
    if not isinstance(found, dict) or found.keys() != set(FIELDS):
        raise DataError(f"{path}: line {number}: expected an object of {', '.join(FIELDS)}")
    if not all(isinstance(value, str) and value.strip() for value in found.values()):
        raise DataError(f"{path}: line {number}: expected a text that is not empty in each of {', '.join(FIELDS)}")
    pair = Pair(**found)
    if pair.a_label == pair.b_label:
        raise DataError(f"{path}: line {number}: both labels are {pair.a_label!r}; the label must change")
    return pair
