"""The verbs of `sluice-train` that ask and compare, and make no package."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import training.cells_page
import training.contrast
import training.evaluate
import training.holdout
import training.speed
import training.study.compare
import training.study.plan
import training.study.search
import training.study.space
import training.summarize.config
import training.summarize.left_out
import training.train
from training.baselines import summaries as quoting
from training.baselines.kept import FOLDER, Kept
from training.baselines.measure import BASELINES, measure, named
from training.baselines.table import record, table
from training.config import find, load
from training.console import (
    AsJson,
    ConfigPath,
    Data,
    On,
    PackagePath,
    Precisions,
    Resume,
    Runs,
    Threads,
    complaints,
    load_run,
    paths_of,
    say,
    show,
)
from training.dispatch import refuse_other
from training.errors import DataError
from training.pairs import is_summarization
from training.paths import RunPaths
from training.trainer import Machines

CONFIGS = Path(__file__).parent / "configs"

app = typer.Typer()


@app.command()
def holdout(
    config: ConfigPath,
    *,
    runs: Runs = Path("runs"),
    sets: Annotated[str, typer.Option(help="Sets to hold out, parted by commas; all of them if none is named.")] = "",
    epochs: Annotated[int | None, typer.Option(min=1, help="Fewer than the run's, to be done sooner.")] = None,
    rows: Annotated[float, typer.Option(min=0.001, max=1.0, help="Share of an epoch's rows, likewise.")] = 1.0,
    threads: Threads = 0,
    resume: Annotated[bool, typer.Option(help="Take up what is there; otherwise start anew.")] = True,
) -> None:
    """Train without one set at a time and score on that set: how well the model does on text it never saw."""
    run = load_run(config)
    with complaints():
        training.train.prepare_torch(threads)
        paths, names = paths_of(run, runs), [name.strip() for name in sets.split(",") if name.strip()]
        training.holdout.hold_out(
            run, paths, sets=names, short=training.holdout.Short(epochs, rows), resume=resume, say=say
        )
        say(f"holdout: wrote {paths.heldout} and {paths.heldout.with_suffix('.md').name}")


@app.command()
def stages(
    config: ConfigPath,
    *,
    runs: Runs = Path("runs"),
    epochs: Annotated[int, typer.Option(min=1, help="Of each fit, over the run's rows.")] = 1,
    dev_rows: Annotated[int, typer.Option(min=1, help="Of each dev set, the first ones.")] = 400,
    threads: Threads = 0,
    resume: Resume = True,
    accelerator: On = "cpu",
    as_json: AsJson = False,
) -> None:
    """Fit a summarizer shortly from an untrained network and from each stage before: what each stage brings."""
    with complaints():
        training.train.prepare_torch(threads)
        refuse_other(config, "summarize")
        run = training.summarize.config.load(config)
        found = training.summarize.left_out.left_out(
            run,
            RunPaths(runs / run.name),
            say,
            epochs=epochs,
            dev_rows=dev_rows,
            resume=resume,
            machines=Machines(accelerator),
        )
        show(found, as_json=as_json)


@app.command()
def contrast(
    package: PackagePath,
    *,
    pairs: Annotated[
        Path | None, typer.Option(help="JSON lines of a, a_label, b, b_label, kind; else the written ones.")
    ] = None,
    precision: Precisions = "auto",
    verbose: Annotated[bool, typer.Option(help="List the pairs that were not both right.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count how often a package's label changes between two texts that differ by a negation or a "but"."""
    with complaints():
        served = training.evaluate.open_served(package, None if precision == "auto" else precision)
        manifest = served.package.manifest
        file = pairs or training.contrast.pairs_file(manifest.task, manifest.languages)
        if file is None:
            raise DataError(
                f"no pairs are written for {manifest.task} in {', '.join(manifest.languages)}; name some by --pairs"
            )
        found = training.contrast.contrast(served, file)
        for one in found.failures if verbose else ():
            say(f"{one.pair.kind}: {one.pair.a} -> {one.a_said} | {one.pair.b} -> {one.b_said}")
        about = {"model": served.package.name, "version": served.package.version, "precision": served.precision}
        show(about | found.figures(), as_json=as_json)


@app.command()
def speed(package: PackagePath, *, as_json: AsJson = False) -> None:
    """Time a package's graphs on one thread: a text alone, and texts a second in batches of 32."""
    with complaints():
        opened = training.evaluate.open_served(package).package
        about = {"model": opened.name, "version": opened.version}
        show(about | asdict(training.speed.measure(opened)), as_json=as_json)


@app.command()
def baseline(
    data_set: Annotated[str, typer.Option("--data", help="Name of the data set.")],
    *,
    data: Data,
    split: Annotated[
        list[str] | None, typer.Option(help="Split to score, dev if none is named; repeat it for more.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="The run whose training splits of the set they train on; found by the set if not given."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Names of baselines, with commas: lr,nbsvm,fasttext,vader,snownlp; or lead-3,textrank,oracle."
        ),
    ] = None,
    runs: Runs = Path("runs"),
    reuse: Annotated[
        bool, typer.Option(help="Take figures kept below runs/baselines where nothing has changed.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Train, on one set's own rows, what its figures are held against, and score it; choices are made on dev.

    For a set of summaries: quote each document in ways that need no training, and score that by ROUGE.
    """
    with complaints():
        if is_summarization(data, data_set):
            for one_split in split or ["dev"]:
                quoted = quoting.measure(data, data_set, one_split, only=only.split(",") if only else ())
                typer.echo(json.dumps(quoting.record(quoted)) if as_json else quoting.table(quoted))
            return
        run = load(config or find(CONFIGS, data_set))
        one = next((one for one in run.sets if one.name == data_set), None)
        if one is None:
            raise DataError(f"{data_set!r}: not in {config}; it has {', '.join(one.name for one in run.sets)}")
        wanted = named(only.split(",")) if only else BASELINES
        kept = Kept(runs / FOLDER, reuse=reuse)
        for found in measure(data, run, one, split or ["dev"], kept=kept, say=say, baselines=wanted):
            typer.echo(json.dumps(record(found)) if as_json else table(found))


@app.command()
def cells(
    out: Annotated[Path, typer.Option(help="Folder for the plot and its figures.")] = Path("docs/cells"),
) -> None:
    """Print a sentence's run through RNN, LSTM and GRU step by step, and plot how far gradients reach in them."""
    training.cells_page.write(out, typer.echo)


@app.command()
def compare(
    config: Annotated[Path, typer.Argument(help="The comparison's TOML file.", metavar="CONFIG")],
    *,
    data: Data,
    runs: Runs = Path("runs"),
    pages: Annotated[Path, typer.Option(help="Where pages, pictures and raw figures go.")] = Path("docs"),
    processes: Annotated[int, typer.Option(min=1, help="Runs at once, one thread each.")] = 2,
    minutes: Annotated[float, typer.Option(min=0.0, help="Begin no run after this; 0 only writes the pages.")] = 60.0,
) -> None:
    """Train with each technique on and off, by several seeds, and write what each is worth; resumes by itself."""
    with complaints():
        plan = training.study.plan.load(config)
        training.study.compare.compare(plan, data, runs / plan.name, pages, say, processes=processes, minutes=minutes)


@app.command()
def search(
    config: Annotated[Path, typer.Argument(help="The search's TOML file.", metavar="CONFIG")],
    *,
    data: Data,
    runs: Runs = Path("runs"),
    pages: Annotated[Path, typer.Option(help="Where the page, its pictures and raw figures go.")] = Path("docs"),
    processes: Annotated[int, typer.Option(min=1, help="Trials at once, one thread each.")] = 2,
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, those of earlier calls among them.")] = 50,
    minutes: Annotated[float, typer.Option(min=0.0, help="Begin no trial after this.")] = 12.0,
) -> None:
    """Search the settings of a declared space with Optuna, try the best again beside the base; resumes by itself."""
    with complaints():
        plan = training.study.space.load(config)
        training.study.search.search(
            plan, data, runs / plan.name, pages, say, processes=processes, trials=trials, minutes=minutes
        )
