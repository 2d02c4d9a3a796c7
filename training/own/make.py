"""One labelled table to one served package: read, check, split, then the verbs that every run goes through."""

import hashlib
import json
import re
import shlex
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.errors import PackageError
from app.modelpack.manifest import Classifying, Evaluation, check_labels
from app.modelpack.store import latest, open_package
from app.text.language import detect
from training import config as configs
from training import export, pack, prepare, train
from training.baselines.measure import TITLES
from training.config import RunConfig
from training.data import FOLDER
from training.errors import DataError, RunError
from training.own import table
from training.own.examples import Example, alike, check_whole, examples, ordered
from training.own.faults import Faults, refuse
from training.own.language import languages, normalization
from training.own.pace import within
from training.own.recipe import About, recipe, toml
from training.own.split import PARTS, Part, split, without_shared
from training.paths import RunPaths

Say = Callable[[str], None]
Parts = Mapping[Part, Sequence[Example]]
HELD_OUT: Part = "test"
ASKED_CHARS = 60


@dataclass(frozen=True, slots=True)
class Request:
    """What to make, of what, and where to."""

    data: Path
    form: table.Form
    task: Classifying = "classify"
    dev: Path | None = None
    test: Path | None = None
    name: str | None = None
    language: str | None = None
    minutes: float | None = None
    seed: int = 13
    skip_bad: bool = False
    resume: bool = True
    models: Path = Path("models")
    runs: Path = Path("runs")

    @property
    def files(self) -> dict[Part, Path]:
        """The files given, by the part they are."""
        given: dict[Part, Path | None] = {"train": self.data, "dev": self.dev, "test": self.test}
        return {part: path for part, path in given.items() if path is not None}


@dataclass(frozen=True, slots=True)
class Made:
    """The package, how it measures on what was held out, and how to serve and ask it."""

    package: Path
    evaluation: Evaluation
    seconds: float
    serve: str
    ask: str

    def __str__(self) -> str:
        one = self.evaluation
        theirs = {f"baseline {TITLES[name]}": found for name, found in one.baselines.items()}
        figures = {one.data: one.metrics, **theirs}
        wide = max(map(len, figures))
        return "\n".join(
            [
                f"made {self.package} in {self.seconds:.0f} s",
                f"on the {one.rows:,} rows of {one.split}, in per cent:",
                *(f"    {name:{wide}}  {_percent(found)}" for name, found in figures.items()),
                "serve it:",
                f"    {self.serve}",
                "ask it:",
                f"    {self.ask}",
            ]
        )


def _percent(figures: Mapping[str, float]) -> str:
    return f"accuracy {100 * figures['accuracy']:5.1f}  macro-F1 {100 * figures['macro_f1']:5.1f}"


def make(request: Request, say: Say) -> Made:
    """Make the package; `DataError` tells all that is wrong with the files, and then nothing is written."""
    started = time.monotonic()
    name = name_of(request)
    parts = read(request, say)
    run, paths = _run(request, name, parts, say)
    data = paths.root / "data"
    if not paths.report.exists():  # what a finished training writes last
        prepare.prepare(run, data, paths, say)
        train.train(run, paths, say)
    export.export(run, paths)
    package = pack.pack(run, data, paths, request.models, split=HELD_OUT, say=say)
    return Made(
        package=package,
        evaluation=open_package(package.resolve()).manifest.evaluation[0],
        seconds=time.monotonic() - started,
        serve=f"sluice serve --models-dir {shlex.quote(str(request.models))}",
        ask=_ask(run, parts),
    )


def name_of(request: Request) -> str:
    """Return the package's name, from the file's unless one is given."""
    name = request.name or re.sub(r"[^a-z0-9]+", "-", request.data.name.lower().split(".")[0]).strip("-")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
        raise DataError(f"--name {name!r}: a package is named by small letters, digits and hyphens; give one by --name")
    _free_for(request, name)
    return name


def read(request: Request, say: Say) -> Parts:
    """Return the checked parts; `DataError` with every fault of every file, and where to find it."""
    form = request.form
    if form.text_column == form.label_column:
        raise DataError(f"--text-column and --label-column are both {form.text_column!r}; expected two columns")
    faults = {part: Faults(path) for part, path in request.files.items()}
    records = {part: table.read(path, form, faults[part]) for part, path in request.files.items()}
    found = {part: examples(rows, form, faults[part]) for part, rows in records.items()}
    found = without_shared(found, faults)
    check_whole(found["train"], form, faults["train"])
    _check_given(found, faults)
    _check_labels(request, found["train"], faults["train"])
    refuse(list(faults.values()), skip_bad=request.skip_bad)
    _say_read(faults, found, say)
    cut = [part for part in PARTS if part not in request.files]
    parts = {**found, **split(found["train"], cut, request.seed)}
    _say_parts(parts, cut, request.seed, say)
    return parts


def _check_given(found: dict[Part, list[Example]], faults: Mapping[Part, Faults]) -> None:
    known = {one.label for one in found["train"]}
    for part in faults:
        for one in found[part]:
            if one.label not in known:
                reason = f"{one.label!r} is a class of no row of {faults['train'].path}"
                faults[part].row(one.place, "unknown class", reason)
        found[part] = [one for one in found[part] if one.label in known]
        if part != "train" and len({one.label for one in found[part]}) == 1:
            faults[part].file(f"one class alone, {found[part][0].label!r}; expected at least two to tell apart")
        if part != "train" and not found[part]:
            faults[part].file("no usable rows")


def _check_labels(request: Request, found: Sequence[Example], faults: Faults) -> None:
    try:
        check_labels(request.task, ordered(one.label for one in found))
    except ValueError as error:
        advice = "" if request.task == "classify" else "; or give --task classify"
        faults.file(f"{error}{advice}")


def _say_read(faults: Mapping[Part, Faults], found: Parts, say: Say) -> None:
    for part, one in faults.items():
        left_out = ", ".join(f"{count} {kind}" for kind, count in one.left_out().items())
        say(
            f"read {one.path}: {len(found[part]):,} rows"
            + (f"; left out {len(one.rows)}: {left_out}" if left_out else "")
        )
    for group in alike(one.label for one in found["train"]):
        say(f"note: the classes {', '.join(map(repr, group))} differ only in case, and are taken for distinct")
    counts = Counter(one.label for one in found["train"])
    say(f"classes: {', '.join(f'{label} {counts[label]:,}' for label in ordered(counts))}")


def _say_parts(parts: Parts, cut: Sequence[Part], seed: int, say: Say) -> None:
    sizes = ", ".join(f"{part} {len(parts[part]):,}" for part in PARTS)
    how = f"{' and '.join(cut)} cut off by seed {seed}" if cut else "as given"
    total = sum(map(len, parts.values()))
    repeats = total - len({one.key for rows in parts.values() for one in rows})
    kept = f"; {repeats:,} rows repeat the text of another, and stay in its part" if repeats else ""
    say(f"split: {sizes} ({how}){kept}")


def _run(request: Request, name: str, parts: Parts, say: Say) -> tuple[RunConfig, RunPaths]:
    """Write the run's data and config, or take up the run that was begun on the same data with the same options."""
    paths = RunPaths(request.runs / name)
    mark, settings = paths.root / "own.sha256", paths.root / "config.toml"
    fingerprint = _fingerprint(request, parts)
    if mark.exists() and mark.read_text("utf-8") == fingerprint and request.resume:
        say(f"going on with the run in {paths.root}; --no-resume begins anew")
        return configs.load(settings), paths
    if paths.root.exists() and any(paths.root.iterdir()) and not mark.exists():
        raise RunError(f"{paths.root}: holds a run of another kind; give another --name")
    shutil.rmtree(paths.root, ignore_errors=True)
    run = _config(request, name, parts, say)
    _write(parts, paths.root / "data" / FOLDER / name)
    settings.write_text(toml(run), "utf-8")
    mark.write_text(fingerprint, "utf-8")
    return configs.load(settings), paths


def _config(request: Request, name: str, parts: Parts, say: Say) -> RunConfig:
    found = languages(one.text for one in parts["train"])
    codes = (request.language,) if request.language else tuple(found)
    shares = ", ".join(f"{code} {share:.0%}" for code, share in found.items())
    version = normalization(codes[0])
    how = "given" if request.language else f"by script: {shares} of the rows with letters"
    say(f"language: {codes[0]} ({how}); normalization {version}")
    about = About(
        name=name,
        version=_next_version(request.models / name),
        task=request.task,
        languages=codes,
        labels=ordered(one.label for one in parts["train"]),
        source=request.data.name,
        command=_command(request),
        seed=request.seed,
    )
    run = recipe(about, parts, version)
    return run if request.minutes is None else within(run, request.minutes, say)


def _fingerprint(request: Request, parts: Parts) -> str:
    options = replace(request, models=Path(), runs=Path(), resume=True, skip_bad=False)
    rows = [(part, one.text, one.label) for part in PARTS for one in parts[part]]
    return hashlib.sha256(json.dumps([repr(options), rows]).encode()).hexdigest()


def _write(parts: Parts, folder: Path) -> None:
    folder.mkdir(parents=True)
    for part, rows in parts.items():
        lines = [json.dumps({"text": one.text, "label": one.label}, ensure_ascii=False) + "\n" for one in rows]
        (folder / f"{part}.jsonl").write_text("".join(lines), "utf-8")


def _free_for(request: Request, name: str) -> None:
    """Refuse a name that a package of another task bears: versions of one model answer the same question."""
    folder = request.models / name
    if not folder.is_dir():
        return
    try:
        there = open_package(latest(folder)).manifest
    except PackageError:
        return
    if there.task != request.task:
        raise DataError(f"--name {name!r}: {folder} is a package for {there.task}; give another --name")


def _next_version(folder: Path) -> int:
    taken = [int(one.name) for one in folder.glob("*") if one.is_dir() and one.name.isdecimal()]
    return max(taken, default=0) + 1


def _command(request: Request) -> str:
    """Return the command that asked for this, without what it left to the defaults and where files lie here."""
    form, plain = request.form, table.Form()
    options = {
        "--task": request.task,
        "--data": request.data.name,
        "--dev": request.dev and request.dev.name,
        "--test": request.test and request.test.name,
        "--text-column": form.text_column,
        "--label-column": form.label_column,
        "--name": request.name,
        "--language": request.language,
        "--separator": form.separator,
        "--encoding": form.encoding if form.encoding != plain.encoding else None,
        "--minutes": request.minutes,
        "--seed": request.seed,
    }
    flags = {"--no-quotes": not form.quotes, "--skip-bad": request.skip_bad}
    words = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    return shlex.join(["sluice-train", "train", *words, *(name for name, given in flags.items() if given)])


def _ask(run: RunConfig, parts: Parts) -> str:
    texts = [" ".join(one.text.split()) for one in parts[HELD_OUT]]
    text = next((text for text in texts if len(text) <= ASKED_CHARS and "'" not in text), texts[0][:ASKED_CHARS])
    asked = {"inputs": text, "model": run.name}
    if detect(text) not in run.languages:
        asked["language"] = run.languages[0]
    body = shlex.quote(json.dumps(asked, ensure_ascii=False))
    return f"curl -s http://127.0.0.1:8000/v1/{run.task} -d {body}"
