"""How a model does on text of a kind it never saw: the run again with one training set left out, each in its turn.

The tokenizer and any pre-trained weights are those of the full run: a network without a set may have read that set's
text, and has seen none of its labels, neither in training nor in what is chosen on dev.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from training.batches import DevBatches
from training.blend import run
from training.config import DataSet, RunConfig
from training.errors import ConfigError, RunError
from training.markdown import table as markdown
from training.paths import RunPaths
from training.prepare import dev as open_dev
from training.scores import decide, score
from training.tokenizer import PAD_ID
from training.train import SETTINGS, load_network, train

Say = Callable[[str], None]
# The reference, which leaves nothing out, stands beside the sets under a name that no set can have.
NOTHING = "_none"


@dataclass(frozen=True, slots=True)
class Short:
    """How much of the run each network gets: so many epochs, the run's if `None`, each of this share of its rows.

    A shortened network's n-grams are fitted at the one strength that the full run chose.
    """

    epochs: int | None = None
    rows: float = 1.0

    def of(self, config: RunConfig, l2: float) -> RunConfig:
        """Return the shortened run; the run itself where nothing is shortened."""
        if self in (Short(), Short(config.loop.epochs)):
            return config
        return config.model_copy(
            update={
                "loop": config.loop.model_copy(update={"epochs": self.epochs or config.loop.epochs}),
                "ngrams": config.ngrams.model_copy(update={"l2": (l2,)}),
                "sets": tuple(self._of_set(one) for one in config.sets),
            }
        )

    def _of_set(self, one: DataSet) -> DataSet:
        parts = [
            part.model_copy(update={"rows_per_epoch": max(1, round(part.rows_per_epoch * self.rows))})
            for part in one.train
        ]
        return one.model_copy(update={"train": tuple(parts)})


WHOLE = Short()


@dataclass(frozen=True, slots=True)
class Unseen:
    """One set on dev by its own metric: by a network that was trained on it among others, and by one that was not.

    `others` is how far the mean of the other sets' figures moves when this one is left out.
    """

    name: str
    metric: str
    rows: int
    seen: float
    unseen: float
    others: float
    seconds: float


def hold_out(
    config: RunConfig,
    paths: RunPaths,
    *,
    sets: Sequence[str] = (),
    short: Short = WHOLE,
    resume: bool = True,
    say: Say,
) -> list[Unseen]:
    """Train without each of `sets` (all, if none is named) and write what was found to the run's holdout folder.

    `short` makes it cheaper: then the network that saw everything is trained again as short, so that the two compare;
    otherwise the full run is the reference. A killed call goes on where it stopped, within a set and between them.
    """
    chosen = _chosen(config, sets)
    fitted = json.loads(paths.need(paths.report, "train").read_text(encoding="utf-8"))["ngrams"]
    less = short.of(config, fitted["l2"] if fitted else config.ngrams.l2[0])
    reference = _reference(config, less, paths, resume=resume, say=say)
    found = []
    for one in chosen:
        found.append(_without(less, one, paths, reference, resume=resume, say=say))
        _write(config, paths, found, short)
    return found


def table(found: Mapping[str, Any]) -> str:
    """Return what `hold_out` wrote as Markdown."""
    rows = [
        [
            one["name"],
            f"{100 * one['seen']:.1f}",
            f"{100 * one['unseen']:.1f}",
            f"{100 * (one['unseen'] - one['seen']):+.1f}",
            f"{100 * one['others']:+.1f}",
        ]
        for one in found["sets"]
    ]
    told = (
        "Trained without one set at a time and scored on that set's dev split, beside a network of the same settings "
        f"that was trained on it too. Epochs: {found['epochs']}, each of {found['rows']:.0%} of the run's rows; "
        "tokenizer and pre-training are those of the "
        "full run, on all text and no label. In per cent by "
        "each set's own figure; the last column is the change of the other sets' mean."
    )
    head = ["held out", "trained on it", "never saw it", "difference", "others"]
    return f"{told}\n\n{markdown(head, rows)}"


def _chosen(config: RunConfig, names: Sequence[str]) -> list[DataSet]:
    known = {one.name: one for one in config.sets}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"{unknown[0]!r}: not among the run's sets: {', '.join(known)}")
    if len(known) == 1:
        raise ConfigError(f"{config.name}: one set alone, so that none can be held out; expected two or more")
    return [known[name] for name in names] if names else list(config.sets)


def _reference(config: RunConfig, less: RunConfig, paths: RunPaths, *, resume: bool, say: Say) -> dict[str, float]:
    """Return each set's dev figure by the network that was trained on all of them."""
    if less != config:
        paths = paths.below("holdout", NOTHING)
        if not (resume and _finished(less, paths)):
            say(f"holdout: nothing left out, {less.loop.epochs} epochs, for reference")
            _train(less, paths, resume=resume, say=say)
    report = json.loads(paths.need(paths.report, "train").read_text(encoding="utf-8"))
    figures: dict[str, float] = report["blend"]["figures"]
    return figures


def _without(
    config: RunConfig,
    one: DataSet,
    paths: RunPaths,
    reference: Mapping[str, float],
    *,
    resume: bool,
    say: Say,
) -> Unseen:
    started = time.monotonic()
    below = paths.below("holdout", one.name)
    less = config.model_copy(update={"sets": tuple(each for each in config.sets if each.name != one.name)})
    if not (resume and _finished(less, below)):
        say(f"holdout: without {one.name}")
        _train(less, below, resume=resume, say=say)
    corpus = open_dev(config, paths)[one.name]
    batches = DevBatches(corpus, config.loop, PAD_ID)
    decided = decide(run(load_network(less, below), batches), corpus.classes)
    unseen = score(corpus.labels[np.concatenate(batches.order)], decided, corpus.classes).of(one.metric)
    figures = json.loads(below.report.read_text(encoding="utf-8"))["blend"]["figures"]
    found = Unseen(
        name=one.name,
        metric=one.metric,
        rows=len(corpus),
        seen=reference[one.name],
        unseen=unseen,
        others=float(np.mean([figures[name] - reference[name] for name in figures])),
        seconds=round(time.monotonic() - started, 1),
    )
    say(f"holdout: {one.name}: {one.metric} {found.seen:.4f} trained on it, {found.unseen:.4f} without")
    return found


def _train(config: RunConfig, paths: RunPaths, *, resume: bool, say: Say) -> None:
    paths.root.mkdir(parents=True, exist_ok=True)
    paths.report.unlink(missing_ok=True)
    train(config, paths, say, resume=resume)


def _finished(config: RunConfig, paths: RunPaths) -> bool:
    """Return whether a run of these settings ended here; `RunError` where one of others did."""
    if not paths.report.exists():
        return False
    begun = json.loads(paths.settings.read_text(encoding="utf-8"))
    if begun != config.model_dump(mode="json", include=SETTINGS):
        raise RunError(f"{paths.root}: this was held out under other settings; start anew with --no-resume")
    return True


def _write(config: RunConfig, paths: RunPaths, found: Sequence[Unseen], short: Short) -> None:
    told = {"epochs": short.epochs or config.loop.epochs, "rows": short.rows, "sets": [asdict(one) for one in found]}
    if paths.heldout.exists():
        before = json.loads(paths.heldout.read_text(encoding="utf-8"))
        if (before["epochs"], before["rows"]) == (told["epochs"], told["rows"]):
            # Another call held out other sets under the same settings: its lines stay.
            fresh = {one.name for one in found}
            kept = {one["name"]: one for one in before["sets"] if one["name"] not in fresh}
            lines = kept | {one.name: asdict(one) for one in found}
            told["sets"] = [lines[one.name] for one in config.sets if one.name in lines]
    paths.heldout.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    paths.heldout.with_suffix(".md").write_text(table(told) + "\n", encoding="utf-8")
