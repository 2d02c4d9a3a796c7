"""sluice-train: the verbs that turn labelled text into a model package, one TOML file saying everything about a run."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import training.assess
import training.cells_page
import training.contrast
import training.distill
import training.evaluate
import training.export
import training.holdout
import training.pack
import training.prepare
import training.pretrain
import training.speed
import training.study.compare
import training.study.plan
import training.study.search
import training.study.space
import training.train
from app.errors import SluiceError
from app.modelpack.manifest import Classifying
from training.baselines import summaries as quoting
from training.baselines.kept import FOLDER, Kept
from training.baselines.measure import BASELINES, measure, named
from training.baselines.table import record, table
from training.config import RunConfig, find, load
from training.data import read_split
from training.dispatch import verbs_of
from training.errors import DataError, TrainingError
from training.own.make import Request, make
from training.own.table import Form
from training.pairs import is_summarization
from training.paths import RunPaths
from training.scores import Scores
from training.trainer import Accelerator, Machines, first_process

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

OWN = "A table of your own"
CONFIGS = Path(__file__).parent / "configs"

ConfigPath = Annotated[Path, typer.Argument(help="The run's TOML file.", metavar="CONFIG")]
Data = Annotated[Path, typer.Option("--data-root", envvar="SLUICE_DATA", help="Folder that holds sentiment/<set>/.")]
Runs = Annotated[Path, typer.Option(envvar="SLUICE_RUNS", help="Where runs keep what they make.")]
PackagePath = Annotated[Path, typer.Argument(help="models/<name> or models/<name>/<version>.")]
Precisions = Annotated[Literal["auto", "int8", "fp32"], typer.Option(help="auto takes what the service would.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes what torch takes.")]
Resume = Annotated[bool, typer.Option(help="Go on from the last checkpoint, if there is one.")]
On = Annotated[Accelerator, typer.Option("--accelerator", help="What the recurrent network trains on.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@app.command()
def prepare(config: ConfigPath, data: Data, runs: Runs = Path("runs")) -> None:
    """Train the tokenizer and encode the training and dev splits."""
    with _complaints():
        if verbs := verbs_of(config):
            verbs.prepare(config, data, runs, _say)
            return
    run = _load(config)
    with _complaints():
        training.prepare.prepare(run, data, _paths(run, runs), _say)


@app.command()
def pretrain(
    config: ConfigPath,
    *,
    runs: Runs = Path("runs"),
    threads: Threads = 0,
    resume: Resume = True,
    accelerator: On = "cpu",
) -> None:
    """Fit a language model on all text of the run, for `train` to start from; needs [pretrain] in the config."""
    training.train.prepare_torch(threads)
    with _complaints():
        if verbs := verbs_of(config):
            verbs.pretrain(config, runs, _say, resume=resume, machines=Machines(accelerator))
            return
    run = _load(config)
    with _complaints():
        training.pretrain.pretrain(run, _paths(run, runs), _say, resume=resume, machines=Machines(accelerator))


@app.command()
def distill(config: ConfigPath, *, runs: Runs = Path("runs"), threads: Threads = 0) -> None:
    """Let finished runs, an ensemble, label every training row and the texts without labels; needs [distill]."""
    run = _load(config)
    with _complaints():
        training.train.prepare_torch(threads)
        training.distill.distill(run, _paths(run, runs), runs, _say)


@app.command()
def train(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(help="The run's TOML file; or give --data.", metavar="CONFIG")
    ] = None,
    *,
    runs: Runs = Path("runs"),
    threads: Threads = 0,
    resume: Resume = True,
    accelerator: On = "cpu",
    devices: Annotated[int, typer.Option(min=1, help="Of them on each node, a process each.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines; start the command on each.")] = 1,
    table: Annotated[
        Path | None,
        typer.Option(
            "--data", help="A table of your own: .csv, .tsv, .jsonl (also .gz, .xz), .parquet.", rich_help_panel=OWN
        ),
    ] = None,
    task: Annotated[Classifying, typer.Option(help="What the labels are.", rich_help_panel=OWN)] = "classify",
    text_column: Annotated[str, typer.Option(help="Column of the texts.", rich_help_panel=OWN)] = "text",
    label_column: Annotated[str, typer.Option(help="Column of the classes.", rich_help_panel=OWN)] = "label",
    dev: Annotated[Path | None, typer.Option(help="A table to choose by.", rich_help_panel=OWN)] = None,
    test: Annotated[Path | None, typer.Option(help="A table to report on.", rich_help_panel=OWN)] = None,
    name: Annotated[str | None, typer.Option(help="The package's name, else the file's.", rich_help_panel=OWN)] = None,
    language: Annotated[str | None, typer.Option(help="Such as en or zh, else by script.", rich_help_panel=OWN)] = None,
    separator: Annotated[str | None, typer.Option(help="What parts fields.", rich_help_panel=OWN)] = None,
    quotes: Annotated[bool, typer.Option(help="Double quotes hold a field together.", rich_help_panel=OWN)] = True,
    encoding: Annotated[str, typer.Option(help="Of a text file.", rich_help_panel=OWN)] = "utf-8",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out rows at fault.", rich_help_panel=OWN)] = False,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Time for the recurrent branch.", rich_help_panel=OWN)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split and the training.", rich_help_panel=OWN)] = 13,
    models: Annotated[Path, typer.Option(help="Folder of model packages.", rich_help_panel=OWN)] = Path("models"),
) -> None:
    """Fit a run's branches and blend them on dev; or, with --data, make a package of your own table in one go.

    A killed run goes on where its last checkpoint stands.
    """
    training.train.prepare_torch(threads)
    if (config is None) == (table is None):
        raise typer.BadParameter("give either CONFIG, the TOML file of a run, or --data, a table of your own")
    if config is not None and (other := _own_options(context)):
        raise typer.BadParameter(f"{', '.join(other)}: only with --data; with CONFIG, the file says it")
    with _complaints():
        if table is not None:
            form = Form(text_column, label_column, separator, quotes, encoding)
            request = Request(
                table, form, task, dev, test, name, language, minutes, seed, skip_bad, resume, models, runs
            )
            typer.echo(make(request, _say))
        elif config is not None and (verbs := verbs_of(config)):
            verbs.train(config, runs, _say, resume=resume, machines=Machines(accelerator, devices, nodes))
        elif config is not None:
            run = load(config)
            paths = _paths(run, runs)
            training.train.train(run, paths, _say, resume=resume, machines=Machines(accelerator, devices, nodes))
            if first_process():
                shutil.copyfile(config, paths.config)


@app.command()
def holdout(
    config: ConfigPath,
    *,
    runs: Runs = Path("runs"),
    sets: Annotated[str, typer.Option(help="Sets to hold out, parted by commas; all of them if none is named.")] = "",
    epochs: Annotated[int | None, typer.Option(min=1, help="Fewer than the run's, to be done sooner.")] = None,
    rows: Annotated[float, typer.Option(min=0.001, max=1.0, help="Share of an epoch's rows, likewise.")] = 1.0,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes what torch takes.")] = 0,
    resume: Annotated[bool, typer.Option(help="Take up what is there; otherwise start anew.")] = True,
) -> None:
    """Train without one set at a time and score on that set: how well the model does on text it never saw."""
    run = _load(config)
    with _complaints():
        training.train.prepare_torch(threads)
        paths, names = _paths(run, runs), [name.strip() for name in sets.split(",") if name.strip()]
        training.holdout.hold_out(
            run, paths, sets=names, short=training.holdout.Short(epochs, rows), resume=resume, say=_say
        )
        _say(f"holdout: wrote {paths.heldout} and {paths.heldout.with_suffix('.md').name}")


@app.command()
def export(config: ConfigPath, runs: Runs = Path("runs")) -> None:
    """Write the trained network as ONNX, in fp32 and int8."""
    with _complaints():
        if verbs := verbs_of(config):
            verbs.export(config, runs, _say)
            return
    run = _load(config)
    with _complaints():
        for path in training.export.export(run, _paths(run, runs)):
            _say(f"export: {path}: {path.stat().st_size / 1e6:.2f} MB")


@app.command()
def pack(
    config: ConfigPath,
    *,
    data: Data,
    runs: Runs = Path("runs"),
    models: Annotated[Path, typer.Option(help="Folder of model packages.")] = Path("models"),
    split: Annotated[str, typer.Option(help="Split whose figures the card reports.")] = "test",
) -> None:
    """Check the graphs, score them, and write the package; a graph that fails a check is refused."""
    with _complaints():
        if verbs := verbs_of(config):
            verbs.pack(config, data, runs, models, split=split, say=_say)
            return
    run = _load(config)
    with _complaints():
        _say(f"pack: wrote {training.pack.pack(run, data, _paths(run, runs), models, split=split, say=_say)}")


@app.command()
def evaluate(
    package: PackagePath,
    *,
    data_set: Annotated[str, typer.Option("--data", help="Name of the data set.")],
    data: Data,
    split: Annotated[str, typer.Option(help="Split to score.")] = "dev",
    precision: Precisions = "auto",
    kind: Annotated[
        Literal["headline", "dialogue", "abstract"] | None, typer.Option(help="Of what is written, else the set's own.")
    ] = None,
    sentences: Annotated[int | None, typer.Option(min=1, help="That are quoted, else the set's own number.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Of documents, the first ones; else all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a package on a split, through the code that serves it: its labels, or its summaries by ROUGE.

    `--kind`, `--sentences` and `--rows` are for packages that summarize.
    """
    with _complaints():
        if training.assess.summarizes(package):
            chosen = None if precision == "auto" else precision
            judged = training.assess.assess(
                package, data, data_set, split, precision=chosen, kind=kind, sentences=sentences, rows=rows
            )
            _show(judged, as_json=as_json)
            return
        served = training.evaluate.open_served(package, None if precision == "auto" else precision)
        found = training.evaluate.evaluate(served, read_split(data, data_set, split, served.labels))
        about = {"model": served.package.name, "version": served.package.version, "precision": served.precision}
        _show(
            about
            | {"data": data_set, "split": split}
            | _figures(found.scores, found.rows, found.seconds)
            | {"unanswered": found.unanswered},
            as_json=as_json,
        )


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
    with _complaints():
        served = training.evaluate.open_served(package, None if precision == "auto" else precision)
        manifest = served.package.manifest
        file = pairs or training.contrast.pairs_file(manifest.task, manifest.languages)
        if file is None:
            raise DataError(
                f"no pairs are written for {manifest.task} in {', '.join(manifest.languages)}; name some by --pairs"
            )
        found = training.contrast.contrast(served, file)
        for one in found.failures if verbose else ():
            _say(f"{one.pair.kind}: {one.pair.a} -> {one.a_said} | {one.pair.b} -> {one.b_said}")
        about = {"model": served.package.name, "version": served.package.version, "precision": served.precision}
        _show(about | found.figures(), as_json=as_json)


@app.command()
def speed(package: PackagePath, *, as_json: AsJson = False) -> None:
    """Time a package's graphs on one thread: a text alone, and texts a second in batches of 32."""
    with _complaints():
        opened = training.evaluate.open_served(package).package
        about = {"model": opened.name, "version": opened.version}
        _show(about | asdict(training.speed.measure(opened)), as_json=as_json)


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
    with _complaints():
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
        for found in measure(data, run, one, split or ["dev"], kept=kept, say=_say, baselines=wanted):
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
    with _complaints():
        plan = training.study.plan.load(config)
        training.study.compare.compare(plan, data, runs / plan.name, pages, _say, processes=processes, minutes=minutes)


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
    with _complaints():
        plan = training.study.space.load(config)
        training.study.search.search(
            plan, data, runs / plan.name, pages, _say, processes=processes, trials=trials, minutes=minutes
        )


def _own_options(context: typer.Context) -> list[str]:
    """Return the options given that say something of a table of one's own."""
    return [
        one.opts[0]
        for one in context.command.params
        if getattr(one, "rich_help_panel", None) == OWN
        and one.name is not None
        and (source := context.get_parameter_source(one.name)) is not None
        and source.name == "COMMANDLINE"
    ]


def _load(path: Path) -> RunConfig:
    with _complaints():
        return load(path)


def _paths(run: RunConfig, runs: Path) -> RunPaths:
    return RunPaths(runs / run.name)


def _figures(scores: Scores, rows: int, seconds: float) -> dict[str, Any]:
    return {key: round(value, 6) for key, value in asdict(scores).items()} | {
        "rows": rows,
        "seconds": round(seconds, 3),
    }


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    typer.echo(json.dumps(found) if as_json else "\n".join(f"{key}: {value}" for key, value in found.items()))


def _say(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def _complaints() -> Iterator[None]:
    """Turn what a person can put right into a message and exit status 1."""
    try:
        yield
    except (TrainingError, SluiceError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
