"""The sections of a model card that tell findings: goals, certainty, calibration, int8, negation, speed."""

import statistics
from collections.abc import Mapping, Sequence

from app.modelpack.manifest import Calibration, Manifest
from training.config import DataSet, RunConfig
from training.contrast import Contrast, Rates
from training.findings import DEV, NETWORK, Findings
from training.holdout import table as heldout_table
from training.markdown import table
from training.speed import Speed


def goals(manifest: Manifest, config: RunConfig) -> str | None:
    """Return how the figures stand to those that were to be beaten and aimed at, `None` where the run names none."""
    rows = []
    for one in config.sets:
        found = next((each for each in manifest.evaluation if each.data == one.name), None)
        if found is not None and (one.must_beat or one.goal is not None):
            ours = 100 * found.metrics[one.metric]
            rows.append([one.name, f"{ours:.1f}", _rivals(one, ours), _goal(one, ours)])
    if not rows:
        return None
    told = "In per cent. Other figures are as their sources give them; a figure that ours does not beat is in bold."
    return f"{told}\n\n{table(['data set', 'network', 'to beat', 'goal'], rows)}"


def _rivals(one: DataSet, ours: float) -> str:
    told = (f"{name} {figure:.1f}" for name, figure in one.must_beat.items() if figure < ours)
    ahead = (f"**{name} {figure:.1f}**" for name, figure in one.must_beat.items() if figure >= ours)
    return ", ".join([*ahead, *told])


def _goal(one: DataSet, ours: float) -> str:
    if one.goal is None:
        return ""
    return f"{one.goal:.1f}, {'reached' if ours >= one.goal else f'short by {one.goal - ours:.1f}'}"


def certainty(findings: Findings, titles: Mapping[str, str]) -> str:
    """Return each figure's interval and those of its leads; `titles` names the baselines."""
    names = [name for name in titles if any(name in one.intervals for one in findings.sets.values())]
    rows = []
    for name, one in findings.sets.items():
        own = one.intervals[NETWORK]
        leads = [one.intervals.get(rival) for rival in names]
        shown = [f"{_points(lead.value)} [{_points(lead.low)}, {_points(lead.high)}]" if lead else "" for lead in leads]
        rows.append([name, f"{100 * own.low:.1f} to {100 * own.high:.1f}", *shown])
    told = (
        "Where 95% of 1,000 resamples of the rows lie (bootstrap): of the network's figure"
        + (", and in points of its lead over each baseline on the same rows (paired)." if names else ".")
        + " A lead whose interval holds 0 may be chance."
    )
    return f"{told}\n\n{table(['data set', 'network', *(f'lead over {titles[name]}' for name in names)], rows)}"


def calibrated(found: Calibration, findings: Findings, split: str) -> str:
    """Return the calibration errors of dev and the reported split, before and after the temperature."""
    splits = [DEV] if split == DEV else [DEV, split]
    head = ["data set", *(f"{one}: {what}" for one in splits for what in ("before", "after", "as served"))]
    rows = [
        [name, *(f"{100 * error:.1f}" for one in splits for error in _errors(each.errors[one]))]
        for name, each in findings.sets.items()
    ]
    told = (
        f"Logits are divided by {found.temperature:.3f} before they become probabilities: the temperature with the "
        "least loss on dev, every set counting alike (Guo et al. 2017). Expected calibration error in per cent, 15 "
        f"bins; its mean on dev goes from {100 * found.ece_before:.1f} to {100 * found.ece_after:.1f}. Before and "
        "after look at a set's own labels; as served, all labels are open, also to a text of a set that lacks one."
    )
    return f"{told}\n\n{table(head, rows)}\n\n![reliability, {split} split](report/calibration.png)"


def _errors(one: object) -> Sequence[float]:
    return [getattr(one, name) for name in ("before", "after", "served")]


def int8(manifest: Manifest, config: RunConfig, findings: Findings) -> str:
    """Return what int8 costs each set on dev, and how often its label is that of fp32."""
    checks = findings.checks
    rows = [
        [one.name, f"{checks.int8_agreement_by_set[one.name]:.2%}", _points(checks.int8_points[one.name] / 100, 2)]
        for one in config.sets
    ]
    served = next((one.precision for one in manifest.evaluation), "int8")
    told = (
        f"The {served} graph is the one that is scored above. Pack refuses a package that loses more than "
        f"{config.gates.int8_points:g} points on any set's dev split by it; below zero int8 did better."
    )
    return f"{told}\n\n{table(['data set', 'same label as fp32', 'points lost on dev'], rows)}"


def negation(found: Contrast) -> str:
    """Return the rates of the written pairs, by kind."""
    rows = [_rates("all", found.all), *(_rates(kind, rates) for kind, rates in found.by_kind.items())]
    told = (
        "Written pairs of texts that differ by little and whose labels differ; nothing was trained or chosen on them. "
        "In per cent of the pairs."
    )
    return f"{told}\n\n{table(['kind', 'pairs', 'label changes', 'both right'], rows)}"


def _rates(name: str, one: Rates) -> list[str]:
    return [name, str(one.pairs), f"{100 * one.changed:.0f}", f"{100 * one.both_right:.0f}"]


def unseen(findings: Findings) -> str | None:
    """Return how the model does on a set that it was not trained on, `None` where that was not tried."""
    return heldout_table(findings.heldout) if findings.heldout else None


def seeds(findings: Findings) -> str | None:
    """Return the spread over seeds, `None` where there was one alone."""
    if not findings.seeds:
        return None
    rows = [
        [name, f"{100 * statistics.mean(figures):.1f}", f"{100 * statistics.stdev(figures):.2f}"]
        for name, figures in findings.seeds["dev"].items()
    ]
    told = f"The same run with the seeds {', '.join(map(str, findings.seeds['seeds']))}, on dev, in per cent."
    return f"{told}\n\n{table(['data set', 'mean', 'standard deviation'], rows)}"


def speed(found: Speed) -> str:
    """Return the timings."""
    rows = [[one.precision, str(one.tokens), f"{one.alone_ms:.2f}", f"{one.texts_per_s:,.0f}"] for one in found.timings]
    batch = found.timings[0].batch if found.timings else 0
    told = f"One thread of {found.processor}, medians, the graph alone: tokenizing and HTTP come on top."
    return f"{told}\n\n{table(['graph', 'tokens', 'ms alone', f'texts/s in batches of {batch}'], rows)}"


def _points(share: float, digits: int = 1) -> str:
    return f"{100 * share:+.{digits}f}"
