"""A table's rows as examples, a text and its class; and whether the whole can be learnt from."""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from training.own.faults import Faults, Place
from training.own.table import Form, Record

MIN_ROWS = 50
MIN_TEXTS = 5
"""Distinct texts of a class: three parts of the data need one each, and one of a kind teaches nothing."""
MAX_NUMBERS = 100
"""More distinct numbers than a scale of points has are measurements."""
SHOWN_CHARS = 40
NO_TOKEN = {"Cc", "Cf", "Zs", "Zl", "Zp"}
"""Unicode categories that normalization drops or turns into spaces."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row: its place in the file, the text as it stands there, the label without spaces around it."""

    place: Place
    text: str
    label: str

    @property
    def key(self) -> str:
        """What two texts that say the same share: letters and digits, in one case and one width."""
        plain = unicodedata.normalize("NFKC", self.text).casefold()
        return "".join(sign for sign in plain if sign.isalnum()) or " ".join(plain.split())


def examples(records: Iterable[Record], form: Form, faults: Faults) -> list[Example]:
    """Return the rows that are examples; the others' faults, and rows that contradict each other, are noted."""
    found = [one for record in records if (one := _example(record, form, faults))]
    return _consistent(found, faults)


def check_whole(found: Sequence[Example], form: Form, faults: Faults) -> None:
    """Note what no single row is to blame for: too few rows, classes that are none, one class alone, small classes."""
    counts = Counter(one.label for one in found)
    if len(found) < MIN_ROWS:
        faults.file(f"{len(found)} usable rows; expected at least {MIN_ROWS}, and hundreds for a model of use")
    if not counts:
        return
    column, distinct = repr(form.label_column), len(counts)
    if distinct == 1:
        faults.file(f"{column} holds one class alone, {next(iter(counts))!r}; expected at least two")
    elif numbers := _measurements(counts):
        faults.file(
            f"{column} holds {distinct} distinct numbers from {min(numbers):g} to {max(numbers):g}, a measurement and "
            "no classes; put them into ranges with names first"
        )
    elif distinct * MIN_TEXTS > len(found):
        faults.file(f"{column} holds {distinct} distinct values in {len(found)} rows; is it the column of classes?")
    else:
        _check_classes(found, faults)


def ordered(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct labels, numbers by value before names by letter."""
    return tuple(sorted(set(labels), key=lambda one: (0, _number(one), one) if _is_number(one) else (1, 0.0, one)))


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Return the groups of labels that differ only in case."""
    groups = defaultdict(list)
    for label in ordered(labels):
        groups[label.casefold()].append(label)
    return [group for group in groups.values() if len(group) > 1]


def _example(record: Record, form: Form, faults: Faults) -> Example | None:
    text, label = record.text, _label(record.label)
    column, of_label = repr(form.text_column), repr(form.label_column)
    if text is None or (isinstance(text, str) and _is_empty(text)):
        both = "" if label else f", and so is {of_label}"
        faults.row(record.place, "empty text", f"{column} is empty{both}")
    elif not isinstance(text, str):
        faults.row(record.place, "no text", f"{column} is {_shown(text)}; expected a text")
    elif not text.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in text):
        faults.row(record.place, "no text", f"{column} holds half of a surrogate pair, which is no character")
    elif label is None:
        faults.row(record.place, "no label", f"{of_label} is {_shown(record.label)}; expected a name or a whole number")
    elif not label:
        faults.row(record.place, "no label", f"{of_label} is empty")
    else:
        return Example(record.place, text, label)
    return None


def _is_empty(text: str) -> bool:
    return all(unicodedata.category(sign) in NO_TOKEN for sign in text)


def _label(value: Any) -> str | None:
    """Return the class as a string, the empty one where there is none, None where it cannot be a class."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # whole numbers become floats where one of their column was missing
    return str(value).strip() if isinstance(value, str | int | float) else None


def _consistent(found: Sequence[Example], faults: Faults) -> list[Example]:
    """Return the rows whose text has one label everywhere; both sides of a contradiction are at fault."""
    same = defaultdict(list)
    for one in found:
        same[" ".join(one.text.split())].append(one)
    kept = []
    for one in found:
        group = same[" ".join(one.text.split())]
        other = next((each for each in group if each.label != one.label), None)
        if other is None:
            kept.append(one)
        else:
            reason = f"{_shown(one.text)} is {one.label!r} here and {other.label!r} in {other.place}"
            faults.row(one.place, "contradiction", reason)
    return kept


def _check_classes(found: Sequence[Example], faults: Faults) -> None:
    texts = defaultdict(set)
    for one in found:
        texts[one.label].add(one.key)
    for label in ordered(texts):
        if len(texts[label]) < MIN_TEXTS:
            has = f"{len(texts[label])} distinct text{'s' if len(texts[label]) > 1 else ''}"
            faults.file(f"class {label!r}: {has}, expected at least {MIN_TEXTS}; add more, or merge it with another")


def _measurements(counts: Counter[str]) -> list[float]:
    """Return the numbers where the labels are all numbers, and too many, or too uneven, to be points on a scale."""
    if not all(map(_is_number, counts)):
        return []
    numbers = [_number(label) for label in counts]
    whole = all(number.is_integer() for number in numbers)
    return numbers if len(numbers) > (MAX_NUMBERS if whole else MAX_NUMBERS // 5) else []


def _is_number(label: str) -> bool:
    return math.isfinite(_number(label))


def _number(label: str) -> float:
    try:
        return float(label)
    except ValueError:
        return math.nan


def _shown(value: Any) -> str:
    text = repr(value)
    return (
        text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 4]}...{text[0] if isinstance(value, str) else ''}"
    )
