"""What a search found: the JSON that is kept, the page made of it, and the best settings as TOML."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.trial import TrialState

from training.fields import validated
from training.study.material import Strict
from training.study.paired import CONFIDENCE, paired
from training.study.results import Run, machine
from training.study.space import Search, Value
from training.study.tables import METRICS, scores, show_paired, show_spread, table

# Trials in the page's table; results.json has them all.
SHOWN = 10


class TrialRow(Strict):
    """One trial: its settings, the dev score after each epoch, and how it ended."""

    number: int
    state: str
    settings: dict[str, Value]
    score: float | None
    by_epoch: tuple[float, ...]
    seconds: float
    reason: str = ""


class SearchResults(Strict):
    """A whole search as measured; `importances` say how much of the scores' variance each setting explains (fANOVA)."""

    date: str
    machine: dict[str, str]
    plan: Search
    trials: tuple[TrialRow, ...]
    best: dict[str, Value]
    importances: dict[str, float]
    confirmed: dict[str, tuple[Run, ...]]

    def write(self, path: Path) -> None:
        """Write as JSON, one that a person can read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> SearchResults:
    """Read what `SearchResults.write` wrote."""
    return validated(SearchResults, json.loads(path.read_text(encoding="utf-8")), str(path))


def collect(plan: Search, study: optuna.Study, confirmed: Mapping[str, tuple[Run, ...]]) -> SearchResults:
    """Gather the ended trials of a study."""
    return SearchResults(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine(),
        plan=plan,
        trials=tuple(_row(trial) for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()),
        best=study.best_params,
        importances=_importances(study, plan.seed),
        confirmed=dict(confirmed),
    )


def page(found: SearchResults) -> str:
    """Return docs/search.md."""
    plan, one = found.plan, found.plan.set
    states = [trial.state for trial in found.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    machine_facts = ", ".join(f"{key} {value}" for key, value in found.machine.items())
    intro = (
        f"Made by `sluice-train search training/configs/{plan.name}.toml` on {found.date}; the raw figures are in "
        f"[results.json](search/results.json). Set: {one.name} ({one.language}, {METRICS[one.metric]} on dev, "
        f"{one.train_rows:,} training rows, {one.dev_rows:,} of dev; test was not read). {len(found.trials)} trials: "
        f"{counts}; {sum(trial.seconds for trial in found.trials) / 60:.0f} minutes of trials in all, one thread each. "
        f"Measured with: {machine_facts}. Every trial has seed {plan.seed}; which trials run side by side is up to the "
        "clock, so a repeated search finds its own way."
    )
    space = table(["setting", "space"], [[f"`{key}`", _space(plan, key)] for key in plan.space])
    return (
        "\n\n".join(
            [
                "# A search for settings",
                intro,
                "## The space",
                space,
                "## What it found",
                _confirmed(found),
                f"```toml\n{fragment(found)}```",
                "## The trials",
                "![Scores in the order of trials](search/history.png)",
                _trials(found),
                "## What matters",
                _matters(found),
                "![Importances](search/importances.png)",
            ]
        )
        + "\n"
    )


def fragment(found: SearchResults) -> str:
    """Return the best settings as lines for a run's TOML file."""
    best = max(trial.score for trial in found.trials if trial.score is not None)
    head = (
        f"# The best of {len(found.trials)} trials on {found.plan.set.name}: {100 * best:.1f} on dev ({found.date}).\n"
    )
    # JSON's scalars are TOML's.
    return head + "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in found.best.items())


def _confirmed(found: SearchResults) -> str:
    base, best = (scores(found.confirmed[side]) for side in ("base", "best"))
    seeds = ", ".join(map(str, found.plan.confirm_seeds))
    said = (
        f"The best of many trials is best by luck too, so it was trained again beside the base, with seeds {seeds}; "
        f"the difference is paired by seed, with a {CONFIDENCE:.0%} t-interval."
    )
    lines = [[show_spread(base.values()), show_spread(best.values()), show_paired(paired(base, best))]]
    return f"{said}\n\n{table(['base', 'best', 'difference'], lines)}"


def _trials(found: SearchResults) -> str:
    ended = sorted((one for one in found.trials if one.score is not None), key=lambda one: -(one.score or 0.0))
    keys = list(found.plan.space)
    lines = [
        [str(one.number), f"{100 * (one.score or 0.0):.1f}", *(_value(one.settings[key]) for key in keys)]
        for one in ended[:SHOWN]
    ]
    failed = [f"- trial {one.number} failed: {one.reason}" for one in found.trials if one.reason]
    head = ["trial", "dev", *(f"`{key}`" for key in keys)]
    return "\n\n".join([table(head, lines), *(["\n".join(failed)] if failed else [])])


def _matters(found: SearchResults) -> str:
    if not found.importances:
        return "Too few trials to tell the settings' shares apart."
    lines = [[f"`{key}`", f"{value:.2f}"] for key, value in found.importances.items()]
    said = (
        "The share of the scores' variance that each setting explains (fANOVA, Hutter et al. 2014), over whole trials."
    )
    return f"{said}\n\n{table(['setting', 'share'], lines)}"


def _row(trial: optuna.trial.FrozenTrial) -> TrialRow:
    return TrialRow(
        number=trial.number,
        state=trial.state.name.lower(),
        settings=trial.params,
        score=trial.value if trial.state == TrialState.COMPLETE else None,
        by_epoch=tuple(round(value, 6) for _, value in sorted(trial.intermediate_values.items())),
        seconds=round(trial.duration.total_seconds(), 1) if trial.duration else 0.0,
        reason=trial.user_attrs.get("reason", ""),
    )


def _importances(study: optuna.Study, seed: int) -> dict[str, float]:
    whole = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(whole) < 2 or len({trial.value for trial in whole}) < 2:  # noqa: PLR2004 - variance needs two
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: round(value, 4) for key, value in shares.items()}


def _space(plan: Search, key: str) -> str:
    one = plan.space[key]
    if one.kind == "choice":
        return ", ".join(map(_value, one.values))
    return f"{one.low:g} to {one.high:g}{', logarithmic' if one.log else ''}"


def _value(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
