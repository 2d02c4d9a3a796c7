"""`sluice-train search`: Optuna over a declared space, trials in parallel on one SQLite file, poor ones given up early.

The sampler is TPE (Bergstra et al. 2011), the pruner the median rule of Golovin et al. 2017.
"""

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from pathlib import Path

import lightning as pl
import numpy as np
import optuna
from lightning.pytorch.callbacks import Callback
from optuna.trial import TrialState

from training.errors import RunError
from training.loop import DEV_SCORE
from training.study import pictures
from training.study.ledger import Ledger
from training.study.material import Material, fingerprint, lay_out
from training.study.plan import Job, Overrides
from training.study.pool import pool, run_all
from training.study.results import run_of
from training.study.runner import run
from training.study.search_page import SearchResults, collect, fragment, page
from training.study.space import Search
from training.train import Say

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
FOLDER = "search"
LOOK_EVERY_S = 2.0


def search(
    plan: Search, data: Path, root: Path, pages: Path, say: Say, *, processes: int, trials: int, minutes: float
) -> SearchResults:
    """Search until there are `trials` ended trials or time is up, try the best again, and write what was found.

    The same command goes on with the trials that are there. `RunError` where no trial was ended with a figure.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    material = lay_out([plan.set], plan.extra, data, root)
    study = open_study(plan, material)
    begin(study, plan)
    until = time.time() + 60 * minutes
    _drive(study, plan, material, say, processes=processes, trials=trials, until=until)
    if not study.get_trials(states=[TrialState.COMPLETE]):
        raise RunError(f"{root}: no trial was ended with a figure yet; give the search more --minutes")
    ledger = Ledger(root / "runs.jsonl")
    again = {side: _jobs(plan, material, changed) for side, changed in (("base", {}), ("best", study.best_params))}
    # Trying the best again is what the figures rest on, so it is not cut short.
    jobs = [job for one in again.values() for job in one]
    run_all(jobs, material, ledger, say, processes=processes, minutes=float("inf"))
    confirmed = {
        side: tuple(run_of(job.config.seed, ledger.get(job.key)) for job in one) for side, one in again.items()
    }
    found = collect(plan, study, confirmed)
    write(found, pages)
    say(f"search: wrote {pages / 'search.md'} and {pages / FOLDER}")
    return found


def open_study(plan: Search, material: Material, worker: int = 0) -> optuna.Study:
    """Open or begin the study of a plan; another space, base or set is another study in the same file.

    Each worker draws by a seed of its own, another one each time the search is taken up, since the same seed would
    propose the same settings again.
    """
    plain = plan.model_dump(mode="json", exclude={"confirm_seeds"})
    study = optuna.create_study(
        study_name=fingerprint({"plan": plain, "data": material.digest}),
        storage=f"sqlite:///{material.root / 'trials.db'}",
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(plan.pruning.startup_trials, plan.pruning.warmup_epochs),
    )
    begun = len(study.get_trials(deepcopy=False))
    seed = int(np.random.SeedSequence([plan.seed, worker, begun]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    return study


def begin(study: optuna.Study, plan: Search) -> None:
    """Put in line what a killed search had begun, or the base where nothing was begun yet."""
    before = study.get_trials(deepcopy=False)
    for trial in before:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                study.enqueue_trial(trial.params)
    start = plan.start()
    if not before and start is not None:
        study.enqueue_trial(start)


def work(plan: Search, material: Material, worker: int, trials: int, until: float) -> None:
    """Run trials until there are enough or time is up; what one worker does."""
    study = open_study(plan, material, worker)
    limit = optuna.study.MaxTrialsCallback(trials, states=ENDED)
    while time.time() < until and len(study.get_trials(deepcopy=False, states=ENDED)) < trials:
        # One at a time, so that the clock is looked at between trials; what fails is kept with its reason.
        study.optimize(
            lambda trial: _objective(trial, plan, material), n_trials=1, callbacks=[limit], catch=(Exception,)
        )


class Watch(Callback):
    """Tells a trial the dev score of each epoch, and ends the run where the pruner gives the trial up."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def on_validation_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Report one epoch."""
        self._trial.report(float(trainer.callback_metrics[DEV_SCORE]), trainer.current_epoch + 1)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def write(found: SearchResults, pages: Path) -> None:
    """Write results, page, pictures, and the best settings as TOML."""
    folder = pages / FOLDER
    found.write(folder / "results.json")
    (pages / "search.md").write_text(page(found), encoding="utf-8")
    (folder / "best.toml").write_text(fragment(found), encoding="utf-8")
    pictures.history(found, folder / "history.png")
    pictures.importances(found, folder / "importances.png")


def _objective(trial: optuna.Trial, plan: Search, material: Material) -> float:
    changed = {key: dimension.suggest(trial, key) for key, dimension in plan.space.items()}
    try:
        config = plan.config(plan.seed, changed)
        outcome = run(config, material.prepare(config), material.root, [Watch(trial)])
    except optuna.TrialPruned:
        raise
    except Exception as error:
        trial.set_user_attr("reason", f"{type(error).__name__}: {error}".splitlines()[0])
        raise
    return outcome.score


def _drive(
    study: optuna.Study, plan: Search, material: Material, say: Say, *, processes: int, trials: int, until: float
) -> None:
    """Start the workers and say how each trial ends."""
    said = {trial.number for trial in study.get_trials(deepcopy=False) if trial.state in ENDED}
    say(f"search: {len(said)} trials of {trials} were there before")
    if len(said) >= trials or time.time() >= until:
        return
    with pool(processes, material.root / "workers.log") as workers:
        futures = [workers.submit(work, plan, material, worker, trials, until) for worker in range(processes)]
        running = set(futures)
        while running:
            running = set(wait(running, timeout=LOOK_EVERY_S, return_when=FIRST_EXCEPTION).not_done)
            _say_ended(study, said, trials, say)
    for future in futures:
        if error := future.exception():
            say(f"search: a worker ended early: {type(error).__name__}: {error}")


def _say_ended(study: optuna.Study, said: set[int], trials: int, say: Say) -> None:
    for trial in study.get_trials(deepcopy=False):
        if trial.state in ENDED and trial.number not in said:
            said.add(trial.number)
            figure = trial.user_attrs.get("reason") or (f"{trial.value:.4f}" if trial.value is not None else "")
            say(f"search: {len(said)}/{trials} trial {trial.number} {trial.state.name.lower()} {figure} {trial.params}")


def _jobs(plan: Search, material: Material, changed: Overrides) -> Sequence[Job]:
    configs = [plan.config(seed, changed) for seed in plan.confirm_seeds]
    return [Job(material.key(config), config) for config in configs]
