"""What the verbs of `sluice-train` share: options, and how they answer and complain."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from app.errors import SluiceError
from app.modelpack.manifest import CLASSIFYING
from training.config import RunConfig, load
from training.dispatch import refuse_other
from training.errors import TrainingError
from training.paths import RunPaths
from training.trainer import Accelerator

ConfigPath = Annotated[Path, typer.Argument(help="The run's TOML file.", metavar="CONFIG")]
Data = Annotated[Path, typer.Option("--data-root", envvar="SLUICE_DATA", help="Folder that holds sentiment/<set>/.")]
Runs = Annotated[Path, typer.Option(envvar="SLUICE_RUNS", help="Where runs keep what they make.")]
PackagePath = Annotated[Path, typer.Argument(help="models/<name> or models/<name>/<version>.")]
Precisions = Annotated[Literal["auto", "int8", "fp32"], typer.Option(help="auto takes what the service would.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes what torch takes.")]
Resume = Annotated[bool, typer.Option(help="Go on from the last checkpoint, if there is one.")]
On = Annotated[Accelerator, typer.Option("--accelerator", help="What the recurrent network trains on.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def load_run(path: Path) -> RunConfig:
    """Read the TOML file of a run that classifies; a fault in it ends the command."""
    with complaints():
        refuse_other(path, *CLASSIFYING)
        return load(path)


def paths_of(run: RunConfig, runs: Path) -> RunPaths:
    """Return where a run keeps what it makes."""
    return RunPaths(runs / run.name)


def show(found: dict[str, Any], *, as_json: bool) -> None:
    """Write an answer to standard output, one figure a line or as one JSON object."""
    typer.echo(json.dumps(found) if as_json else "\n".join(f"{key}: {value}" for key, value in found.items()))


def say(line: str) -> None:
    """Tell of progress, on standard error."""
    typer.echo(line, err=True)


@contextmanager
def complaints() -> Iterator[None]:
    """Turn what a person can put right into a message and exit status 1."""
    try:
        yield
    except (TrainingError, SluiceError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
