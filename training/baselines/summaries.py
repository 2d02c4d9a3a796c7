"""Measures every quoting baseline of a summarization set by ROUGE, and tells the figures as table or JSON."""

import time
from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.modelpack.manifest import Evaluation
from training.baselines.quoting import Document, Quoting, quotings
from training.conventions import Convention, convention
from training.errors import DataError
from training.judged import named
from training.pairs import Pairs, read_pairs
from training.rouge import NAME, References, Rouge, scorer

HEAD = ("baseline", "ROUGE-1", "ROUGE-2", "ROUGE-L", "tokens", "CPU s")


@dataclass(frozen=True, slots=True)
class Figures:
    """One baseline's ROUGE on every row, in the rows' order, its mean length in tokens, and the CPU seconds it took."""

    name: str
    title: str
    rows: list[Rouge]
    tokens: float
    seconds: float

    @property
    def rouge(self) -> Rouge:
        """The mean over rows."""
        return Rouge.average(self.rows)


@dataclass(frozen=True, slots=True)
class Measured:
    """All baselines of one split."""

    data: str
    split: str
    references: References
    about: Convention
    figures: list[Figures]

    def of(self, name: str) -> Figures:
        """Return a baseline's figures."""
        return next(one for one in self.figures if one.name == name)

    @property
    def lead(self) -> Figures:
        """The baseline that the set is held against."""
        return self.of(self.about.lead)

    def beside(self, metrics: dict[str, float], rows: int) -> Evaluation:
        """Return what a manifest says of a package's figures on the split, as int8: they stand beside these."""
        return Evaluation(
            data=self.data,
            split=self.split,
            rows=rows,
            precision="int8",
            labels=[],
            metrics=metrics,
            baseline=named(self.lead.rouge),
            baselines={each.name: named(each.rouge) for each in self.figures},
            measured_on=datetime.now(tz=UTC).date(),
        )


def measure(
    data: Path,
    name: str,
    split: str,
    *,
    only: Collection[str] = (),
    references: References = "mean",
    rows: int | None = None,
    sentences: int | None = None,
) -> Measured:
    """Return the figures of a split's baselines, or of those named in `only`; `DataError` names an unknown one.

    `sentences` are quoted by those that choose, where another number than the set's own is wanted.
    """
    pairs = read_pairs(data, name, split).head(rows)
    about = convention(name, pairs.documents)
    about = replace(about, sentences=sentences or about.sentences)
    wanted = quotings(about)
    if unknown := sorted(set(only) - {one.name for one in wanted}):
        raise DataError(f"no baseline {unknown[0]!r} for {name}; there are {', '.join(one.name for one in wanted)}")
    documents = [Document(text, refs, about.language, about.dialogue) for text, refs in _rows(pairs)]
    found = [_measured(one, documents, references) for one in wanted if not only or one.name in only]
    return Measured(name, split, references, about, found)


def record(found: Measured) -> dict[str, Any]:
    """Return the JSON object of one split."""
    return {
        "data": found.data,
        "split": found.split,
        "rows": len(found.figures[0].rows),
        "rouge": NAME,
        "references": found.references,
        "baselines": [
            {"name": one.name, **per_cent(one.rouge), "tokens": round(one.tokens, 1), "seconds": round(one.seconds, 2)}
            for one in found.figures
        ],
    }


def table(found: Measured) -> str:
    """Return the figures of one split in per cent, a line a baseline."""
    lines: list[tuple[str, ...]] = [HEAD]
    lines += [
        (one.title, *(f"{100 * value:.2f}" for value in astuple(one.rouge)), f"{one.tokens:.1f}", f"{one.seconds:.1f}")
        for one in found.figures
    ]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
    rows = len(found.figures[0].rows)
    shown = ["  ".join([line[0].ljust(widths[0]), *_right(line[1:], widths[1:])]) for line in lines]
    return "\n".join([f"{found.data}, {found.split}: {rows} rows, F in per cent by {NAME}", *shown])


def per_cent(rouge: Rouge) -> dict[str, float]:
    """Return the three figures by name, in per cent."""
    return {key: round(100 * value, 2) for key, value in zip(("r1", "r2", "rl"), astuple(rouge), strict=True)}


def _measured(one: Quoting, documents: Sequence[Document], references: References) -> Figures:
    started = time.process_time()
    about = scorer(documents[0].language)
    said = [one.quote(document) for document in documents]
    rows = [about.score(text, document.references, references) for text, document in zip(said, documents, strict=True)]
    tokens = sum(len(about.tokenizer.tokenize(text)) for text in said) / len(said)
    return Figures(one.name, one.title, rows, tokens, time.process_time() - started)


def _rows(pairs: Pairs) -> "zip[tuple[str, tuple[str, ...]]]":
    return zip(pairs.documents, pairs.references, strict=True)


def _right(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
