"""Scores a package that summarizes, by quoting or by writing, on a split, through the code that serves it."""

import time
from pathlib import Path
from typing import Any

from app.modelpack.manifest import Precision
from app.modelpack.store import latest, open_package
from app.runtime.extractor import Extractor
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.summarizer import Summarizer
from training.baselines import summaries
from training.conventions import convention
from training.errors import DataError
from training.extractive.quotes import quotes
from training.judged import judge, named, told
from training.pairs import Pairs, read_pairs
from training.rouge import NAME
from training.summarize.config import Kind
from training.summarize.written import write


def summarizes(path: Path) -> bool:
    """Whether the package, models/<name> or models/<name>/<version>, is one that summarizes."""
    return open_package(_folder(path)).manifest.task in {"extract", "summarize"}


def assess(
    path: Path,
    data: Path,
    name: str,
    split: str,
    *,
    precision: Precision | None = None,
    kind: Kind | None = None,
    sentences: int | None = None,
    rows: int | None = None,
) -> dict[str, Any]:
    """Return a split's figures beside those of Lead, TextRank and the oracle; shares are between 0 and 1.

    Quoted are as many `sentences` as is usual for the set, written is the `kind` that the package was trained to write
    for it. Where there are several references, `best_reference` has the figures against the best of them.
    """
    model = open_model(open_package(_folder(path)), choose("cpu"), precision or "auto")
    pairs = read_pairs(data, name, split).head(rows)
    about = convention(name, pairs.documents)
    language = model.manifest.languages[0]
    started = time.monotonic()
    if isinstance(model, Extractor):
        how: dict[str, Any] = {"sentences": sentences or about.sentences}
        said, _ = quotes(model, pairs.documents, how["sentences"])
    elif isinstance(model, Summarizer):
        how = {"kind": kind or _kind_of(model, name)}
        said = [one.text for one in write(model, pairs.documents, how["kind"])]
    else:
        raise DataError(f"{path}: task {model.manifest.task!r}, expected a package that summarizes")
    seconds = time.monotonic() - started
    found = judge(said, pairs, language)
    baselines = (about.lead, "textrank", "oracle")
    measured = summaries.measure(data, name, split, only=baselines, rows=rows, sentences=sentences)
    return {
        "model": model.package.name,
        "version": model.package.version,
        "precision": model.precision,
        "data": name,
        "split": split,
        **how,
        "rouge": NAME,
        **found.figures(),
        **_best_reference(said, pairs, language),
        "baselines": {one: named(measured.of(one).rouge) for one in baselines},
        "leads_in_points": {one: told(found.lead(measured.of(one).rows)) for one in baselines[:2]},
        "rows": len(pairs),
        "seconds": round(seconds, 3),
    }


def _best_reference(said: list[str], pairs: Pairs, language: str) -> dict[str, Any]:
    if max(map(len, pairs.references)) == 1:
        return {}
    return {"best_reference": named(judge(said, pairs, language, "max").rouge)}


def _kind_of(model: Summarizer, name: str) -> Kind:
    """Return the kind that the package wrote for the set in training; `DataError` where it knows nothing of the set."""
    sets = model.manifest.provenance.get("config", {}).get("sets", [])
    kind = next((one["kind"] for one in sets if one["name"] == name), None)
    if kind is None:
        kinds = ", ".join(model.generation.kinds)
        raise DataError(f"{name}: {model.name} was not made with this set; name one of its kinds by --kind: {kinds}")
    found: Kind = kind
    return found


def _folder(path: Path) -> Path:
    folder = path.resolve()
    return folder if folder.name.isdigit() else latest(folder)
