"""The command ``sluice``: serve, predict, models, install, wrap, keys.

FastAPI and what is built on it takes half of a start to import, and is imported by those commands that need it.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.base import Base, early_base
from app.errors import PackageError, RequestError, StartupError
from app.keys.command import app as keys
from app.modelpack.install import install as put_in_place
from app.modelpack.manifest import CLASSIFYING, Classifying, Task
from app.runtime.wrapping import Wish as Wrapping
from app.runtime.wrapping import wrap as wrap_graph
from app.settings import Settings, load_settings, unknown_variables
from app.unwalked import unwalked

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Serve LSTM and GRU text models on ONNX Runtime.")
app.add_typer(keys, name="keys")

ModelsDir = Annotated[Path | None, typer.Option(help="Folder of the packages (SLUICE_MODELS_DIR).")]

_BAD_START = 2
_INTERRUPTED = 130


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (SLUICE_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (SLUICE_PORT).")] = None,
    processes: Annotated[int | None, typer.Option("--workers", help="Server processes (SLUICE_WORKERS).")] = None,
    models_dir: ModelsDir = None,
) -> None:
    """Serve over HTTP until SIGTERM; every setting is a SLUICE_ variable, of which the options here are a few."""
    settings = _settings(host=host, port=port, workers=processes, models_dir=models_dir)
    for name in unknown_variables():
        typer.echo(f"warning: {name} is no setting; docs/settings.md lists them", err=True)
    base = _early(settings)
    try:
        with unwalked():
            from app import workers  # noqa: PLC0415 - the packages open meanwhile
        workers.serve(settings, base)
    except StartupError as error:
        _give_up(error)


@app.command()
def predict(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; without any, one a line of standard input.")] = None,
    *,
    model: Annotated[str | None, typer.Option(help="A package's name; default by language.")] = None,
    task: Annotated[Task | None, typer.Option(help="Default: the named package's, else sentiment.")] = None,
    models_dir: ModelsDir = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Score the one file named, into this.")] = None,
    text_column: Annotated[str, typer.Option(help="With -o: the column, or field, of the text.")] = "text",
    prefix: Annotated[str, typer.Option(help="With -o: what the names of new columns begin with.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="With -o: replace a file that is there.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="With -o: forget what an earlier run has done.")] = False,
) -> None:
    """Classify or summarize texts without a server, one line of JSON a text.

    With -o, classify the rows of a file (.csv, .jsonl, .parquet): a run that was stopped goes on where it was, rows
    without an answer go to OUTPUT.bad.jsonl. Ends with 0, with 1 where a text or row has no answer, with 2 on failure.
    """
    settings = _settings(models_dir=models_dir)
    base = _early(settings) if output is None else None
    with unwalked():
        from app import logs, offline  # noqa: PLC0415 - the packages open meanwhile
        from app.corpus.command import Wanted, predict_file  # noqa: PLC0415 - see above
    logs.configure("console", "error")
    if output is not None:
        wanted = Wanted(_one(texts), output, _classifying(task), model, text_column, prefix, overwrite, restart)
        _end(lambda: predict_file(settings, wanted))
    lines = texts or [line.rstrip("\n") for line in sys.stdin]
    _end(lambda: asyncio.run(offline.predict_lines(settings, lines, model, task, base)))


@app.command()
def models(models_dir: ModelsDir = None) -> None:
    """List the packages as JSON, those that were refused with the reason."""
    settings = _settings(models_dir=models_dir)
    base = _early(settings)
    with unwalked():
        from app import logs, offline  # noqa: PLC0415 - the packages open meanwhile
    logs.configure("console", "error")
    _end(lambda: offline.list_models(settings, base))


def _end(work: Callable[[], int]) -> NoReturn:
    """Do the work and exit by how many texts had no answer."""
    try:
        failed = work()
    except (StartupError, RequestError, OSError) as error:
        _give_up(error)
    except KeyboardInterrupt:
        typer.echo("sluice: stopped; the same command goes on where this was", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    raise typer.Exit(1 if failed else 0)


def _one(texts: list[str] | None) -> Path:
    if texts is None or len(texts) != 1:
        _give_up(StartupError(f"{len(texts or [])} files are named; expected one beside --output"))
    return Path(texts[0])


def _classifying(task: Task | None) -> Classifying:
    asked = task or "sentiment"
    found = next((known for known in CLASSIFYING if known == asked), None)
    if found is None:
        _give_up(StartupError(f"--task is {asked}; expected one of {', '.join(CLASSIFYING)} beside --output"))
    return found


@app.command()
def install(
    package: Annotated[Path, typer.Argument(help="Folder of a package, with its manifest.json.")],
    models_dir: ModelsDir = None,
) -> None:
    """Put a package among the models in one step, so that a running service finds it whole or not at all."""
    settings = _settings(models_dir=models_dir)
    try:
        name, version = put_in_place(package, settings.models_dir)
    except (PackageError, OSError) as error:
        _give_up(error)
    typer.echo(f"{settings.models_dir / name / str(version)}: in place; POST /admin/reload or SIGHUP opens it")


@app.command()
def wrap(
    graph: Annotated[Path, typer.Argument(help="ONNX file of numbers to numbers.")],
    *,
    name: Annotated[str, typer.Option(help="What the package is to be called.")],
    version: Annotated[int, typer.Option(min=1, help="Its version.")] = 1,
    int8: Annotated[Path | None, typer.Option(help="The same graph in int8, for the CPU.")] = None,
    size: Annotated[
        list[str] | None, typer.Option(help="AXIS=SIZE that the graph runs with; default found by trying.")
    ] = None,
    description: Annotated[str, typer.Option(help="One line for those who read the listing.")] = "",
    models_dir: ModelsDir = None,
) -> None:
    """Make a package of the task tensor from a bare ONNX file, and put it among the models in one step."""
    settings = _settings(models_dir=models_dir)
    try:
        sizes = dict(map(_axis_and_size, size or ()))
        manifest = wrap_graph(graph, settings.models_dir, Wrapping(name, version, description, sizes), int8)
    except (PackageError, OSError) as error:
        _give_up(error)
    batched = "batched" if manifest.tensors is not None and manifest.tensors.batched else "one request a run"
    first = manifest.graphs[0]
    typer.echo(f"takes {', '.join(map(str, first.inputs))}; gives {', '.join(map(str, first.outputs))}; {batched}")
    typer.echo(f"{settings.models_dir / name / str(version)}: in place; POST /admin/reload or SIGHUP opens it")


def _axis_and_size(given: str) -> tuple[str, int]:
    axis, _, size = given.rpartition("=")
    if not axis or not (size.isascii() and size.isdigit() and int(size)):
        _give_up(StartupError(f"--size is {given!r}; expected AXIS=SIZE, as in steps=16"))
    return axis, int(size)


def _settings(**overrides: object) -> Settings:
    try:
        return load_settings(**overrides)
    except StartupError as error:
        _give_up(error)


def _early(settings: Settings) -> Base | None:
    try:
        return early_base(settings)
    except StartupError as error:
        _give_up(error)


def _give_up(error: Exception) -> NoReturn:
    typer.echo(f"sluice: {error}", err=True)
    raise typer.Exit(_BAD_START) from error


if __name__ == "__main__":
    app()
