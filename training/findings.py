"""What pack measures beside the figures: calibration, certainty, negation, speed; and what a run's folder adds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.modelpack.manifest import Calibration
from training import bootstrap, calibration
from training.baselines.measure import Measured
from training.bootstrap import Interval
from training.calibration import Judged
from training.config import Metric, RunConfig
from training.contrast import Contrast, contrast, pairs_file
from training.errors import RunError
from training.evaluate import Evaluated, Served
from training.parity import Answers, Checks
from training.paths import RunPaths
from training.speed import Speed, measure

DEV = "dev"
NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Errors:
    """Expected calibration errors of one split: over its own classes before and after, and after over all as served."""

    before: float
    after: float
    served: float


@dataclass(frozen=True, slots=True)
class SetFindings:
    """What was found of one set on the reported split, and its calibration errors by split.

    `intervals` has the network's own figure under `network`, and its lead over each baseline under the baseline's name.
    """

    unanswered: int
    errors: dict[str, Errors]
    intervals: dict[str, Interval]


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that the card tells and the manifest has no field for."""

    checks: Checks
    speed: Speed
    contrast: Contrast | None
    sets: dict[str, SetFindings] = field(default_factory=dict)
    heldout: dict[str, Any] | None = None
    seeds: dict[str, Any] | None = None

    def provenance(self) -> dict[str, Any]:
        """Return what the manifest keeps under `provenance`, as JSON has it; the checks stand there by themselves."""
        return {
            "sets": {name: asdict(one) for name, one in self.sets.items()},
            "speed": asdict(self.speed),
            "contrast": self.contrast.figures() if self.contrast else None,
            "heldout": self.heldout,
            "seeds": self.seeds,
        }


def gather(
    config: RunConfig,
    paths: RunPaths,
    served: Served,
    *,
    checks: Checks,
    dev: Mapping[str, Answers],
    evaluated: Mapping[str, Evaluated],
    baselines: Mapping[str, Measured],
    split: str,
) -> Findings:
    """Measure what is left to measure of a staged package, and read what the run's folder adds."""
    manifest = served.package.manifest
    pairs = pairs_file(manifest.task, manifest.languages)
    sets = {}
    for one in config.sets:
        found = evaluated[one.name]
        judged = {DEV: dev[one.name].int8} | {split: found.judged}
        sets[one.name] = SetFindings(
            unanswered=found.unanswered,
            errors={name: errors(rows, manifest.temperature) for name, rows in judged.items()},
            intervals=intervals(found, one.metric, _decisions(baselines[one.name], config.labels)),
        )
    return Findings(
        checks=checks,
        speed=measure(served.package),
        contrast=contrast(served, pairs) if pairs else None,
        sets=sets,
        heldout=_json(paths.heldout),
        seeds=_seeds(paths),
    )


def calibrate(dev: Mapping[str, Answers]) -> Calibration:
    """Fit the temperature on the dev answers of the int8 graph, the one that is served on a CPU."""
    judged = {name: one.int8 for name, one in dev.items()}
    temperature = calibration.fit_temperature(judged)
    before, after = (
        float(np.mean([calibration.ece(one, value) for one in judged.values()])) for value in (1.0, temperature)
    )
    return Calibration(
        temperature=temperature, data=[f"{name}/{DEV}" for name in judged], ece_before=before, ece_after=after
    )


def errors(judged: Judged, temperature: float) -> Errors:
    """Return the calibration errors of one split."""
    return Errors(
        before=calibration.ece(judged),
        after=calibration.ece(judged, temperature),
        served=calibration.ece(judged.open(), temperature),
    )


def intervals(found: Evaluated, metric: Metric, baselines: Mapping[str, NDArray[np.int64]]) -> dict[str, Interval]:
    """Return the network's interval, and that of its lead over each baseline of the decisions int64[rows]."""
    classes = found.judged.classes
    against = {
        name: bootstrap.difference(found.truth, found.decided, decided, classes, metric)
        for name, decided in baselines.items()
    }
    return {NETWORK: bootstrap.alone(found.truth, found.decided, classes, metric)} | against


def _decisions(measured: Measured, labels: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Return each baseline's decisions int64[rows] as columns of `labels`."""
    column = {label: at for at, label in enumerate(labels)}
    return {one.name: np.array([column[label] for label in one.decided]) for one in measured.baselines}


def _seeds(paths: RunPaths) -> dict[str, Any] | None:
    """Return the figures of other seeds, if someone put them into the run's folder.

    seeds.json has `seeds`, a list of them, and `dev`: for each set its figures, one a seed, in that order.
    """
    found = _json(paths.seeds)
    if found is not None and any(len(figures) != len(found["seeds"]) for figures in found["dev"].values()):
        raise RunError(f"{paths.seeds}: expected as many figures for each set as there are seeds")
    return found


def _json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RunError(f"{path}: not JSON: {error}") from error
    return found
