"""sluice-train: the verbs that turn labelled text into a model package, one TOML file saying everything about a run."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import training.assess
import training.distill
import training.evaluate
import training.export
import training.inquiries
import training.pack
import training.prepare
import training.pretrain
import training.train
from app.modelpack.manifest import Classifying
from training.config import load
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
from training.data import read_split
from training.dispatch import verbs_of
from training.own.make import Request, make
from training.own.table import Form
from training.scores import Scores
from training.trainer import Machines, first_process

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

OWN = "A table of your own"


@app.command()
def prepare(config: ConfigPath, data: Data, runs: Runs = Path("runs")) -> None:
    """Train the tokenizer and encode the training and dev splits."""
    with complaints():
        if verbs := verbs_of(config):
            verbs.prepare(config, data, runs, say)
            return
    run = load_run(config)
    with complaints():
        training.prepare.prepare(run, data, paths_of(run, runs), say)


@app.command()
def pretrain(
    config: ConfigPath,
    *,
    runs: Runs = Path("runs"),
    threads: Threads = 0,
    resume: Resume = True,
    accelerator: On = "cpu",
) -> None:
    """Fit a language model on all text of the run, for `train` to start from; the config has it as `pretrain`."""
    training.train.prepare_torch(threads)
    with complaints():
        if verbs := verbs_of(config):
            verbs.pretrain(config, runs, say, resume=resume, machines=Machines(accelerator))
            return
    run = load_run(config)
    with complaints():
        training.pretrain.pretrain(run, paths_of(run, runs), say, resume=resume, machines=Machines(accelerator))


@app.command()
def distill(config: ConfigPath, *, runs: Runs = Path("runs"), threads: Threads = 0) -> None:
    """Let finished runs, an ensemble, label every training row and the texts without labels; the config says which."""
    run = load_run(config)
    with complaints():
        training.train.prepare_torch(threads)
        training.distill.distill(run, paths_of(run, runs), runs, say)


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
    with complaints():
        if table is not None:
            form = Form(text_column, label_column, separator, quotes, encoding)
            request = Request(
                table, form, task, dev, test, name, language, minutes, seed, skip_bad, resume, models, runs
            )
            typer.echo(make(request, say))
        elif config is not None and (verbs := verbs_of(config)):
            verbs.train(config, runs, say, resume=resume, machines=Machines(accelerator, devices, nodes))
        elif config is not None:
            run = load(config)
            paths = paths_of(run, runs)
            training.train.train(run, paths, say, resume=resume, machines=Machines(accelerator, devices, nodes))
            if first_process():
                shutil.copyfile(config, paths.config)


@app.command()
def export(config: ConfigPath, runs: Runs = Path("runs")) -> None:
    """Write the trained network as ONNX, in fp32 and int8."""
    with complaints():
        if verbs := verbs_of(config):
            verbs.export(config, runs, say)
            return
    run = load_run(config)
    with complaints():
        for path in training.export.export(run, paths_of(run, runs)):
            say(f"export: {path}: {path.stat().st_size / 1e6:.2f} MB")


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
    with complaints():
        if verbs := verbs_of(config):
            verbs.pack(config, data, runs, models, split=split, say=say)
            return
    run = load_run(config)
    with complaints():
        say(f"pack: wrote {training.pack.pack(run, data, paths_of(run, runs), models, split=split, say=say)}")


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
    with complaints():
        if training.assess.summarizes(package):
            chosen = None if precision == "auto" else precision
            judged = training.assess.assess(
                package, data, data_set, split, precision=chosen, kind=kind, sentences=sentences, rows=rows
            )
            show(judged, as_json=as_json)
            return
        served = training.evaluate.open_served(package, None if precision == "auto" else precision)
        found = training.evaluate.evaluate(served, read_split(data, data_set, split, served.labels))
        about = {"model": served.package.name, "version": served.package.version, "precision": served.precision}
        show(
            about
            | {"data": data_set, "split": split}
            | _figures(found.scores, found.rows, found.seconds)
            | {"unanswered": found.unanswered},
            as_json=as_json,
        )


app.add_typer(training.inquiries.app)


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


def _figures(scores: Scores, rows: int, seconds: float) -> dict[str, Any]:
    return {key: round(value, 6) for key, value in asdict(scores).items()} | {
        "rows": rows,
        "seconds": round(seconds, 3),
    }


if __name__ == "__main__":
    app()
