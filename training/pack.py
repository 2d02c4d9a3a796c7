"""Writes models/<name>/<version>: checks the graphs, scores them through the serving code, then renames into place."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.modelpack import manifest as schema
from app.modelpack.manifest import Calibration, Evaluation, Graph, Limits, Manifest
from app.runtime.providers import choose
from app.runtime.session import Session
from training import card, findings, parity, plots
from training.baselines.kept import FOLDER, Kept
from training.baselines.measure import Measured, measure
from training.config import RunConfig
from training.data import file_of, read_split
from training.evaluate import Evaluated, Served, evaluate, open_served
from training.export import graph_spec
from training.packaging import files, finish, libraries, sha256, staging, write
from training.parity import Answers, Checks
from training.paths import RunPaths
from training.prepare import dev as open_dev
from training.tokenizer import PAD_ID, UNK_ID
from training.tokenizer import load as load_tokenizer
from training.train import load_network

FP32, INT8, TOKENIZER, CARD, REPORT = "model.onnx", "model.int8.onnx", "tokenizer.json", "README.md", "report"
Say = Callable[[str], None]


def pack(config: RunConfig, data: Path, paths: RunPaths, models: Path, *, split: str, say: Say) -> Path:
    """Write the package and return its folder; `PackRefusedError` where a check fails, and then nothing is changed.

    `split` is the one whose figures the card reports; its rows are read here for the first time.
    """
    checks, dev = _check(config, paths)
    say(f"pack: {checks}")
    calibration = findings.calibrate(dev)
    say(f"pack: {calibration}")
    with staging(models, config.name, config.version) as staged:
        _copy(paths, staged)
        bare = _manifest(config, staged, calibration, provenance=_provenance(config, data, paths, checks))
        write(bare, staged)
        served = open_served(staged)
        baselines = _baselines(config, data, paths, split=split, say=say)
        evaluations, evaluated = _evaluate(config, data, served, baselines, split=split, say=say)
        found = findings.gather(
            config, paths, served, checks=checks, dev=dev, evaluated=evaluated, baselines=baselines, split=split
        )
        _draw(paths, staged / REPORT, evaluated, calibration, split=split)
        provenance = bare.provenance | {"findings": found.provenance()}
        scored = bare.model_copy(update={"evaluation": evaluations, "provenance": provenance})
        (staged / CARD).write_text(card.card(scored, config, found), encoding="utf-8")
        return finish(scored, staged, models)


def _check(config: RunConfig, paths: RunPaths) -> tuple[Checks, dict[str, Answers]]:
    first, second = _graphs(config)
    fp32 = Session(first, paths.need(paths.fp32, "export").read_bytes(), choose("cpu"))
    int8 = Session(second, paths.need(paths.int8, "export").read_bytes(), choose("cpu"))
    dev = parity.answers(fp32, int8, open_dev(config, paths))
    return parity.check(load_network(config, paths), fp32, int8, dev, config), dev


def _graphs(config: RunConfig) -> list[Graph]:
    classes = len(config.labels)
    return [graph_spec(FP32, "fp32", classes), graph_spec(INT8, "int8", classes)]


def _copy(paths: RunPaths, staged: Path) -> None:
    (staged / REPORT).mkdir(parents=True)
    for source, name in ((paths.fp32, FP32), (paths.int8, INT8), (paths.tokenizer, TOKENIZER)):
        shutil.copyfile(source, staged / name)


def _manifest(config: RunConfig, staged: Path, calibration: Calibration, provenance: dict[str, Any]) -> Manifest:
    return Manifest(
        schema_version=schema.SCHEMA_VERSION,
        name=config.name,
        version=config.version,
        task=config.task,
        description=config.summary,
        languages=list(config.languages),
        labels=list(config.labels),
        tokenizer=schema.Tokenizer(
            file=TOKENIZER,
            normalization=config.tokenizer.normalization,
            vocab_size=load_tokenizer(staged / TOKENIZER).get_vocab_size(),
            pad_id=PAD_ID,
            unk_id=UNK_ID,
        ),
        limits=Limits(max_tokens=config.tokenizer.max_tokens),
        graphs=_graphs(config),
        files=files(staged),
        calibration=calibration,
        provenance=provenance,
    )


def _provenance(config: RunConfig, data: Path, paths: RunPaths, checks: Checks) -> dict[str, Any]:
    splits = [(one.name, split) for one in config.sets for split in (*(part.split for part in one.train), "dev")]
    splits += [(one.name, one.split) for one in config.auxiliary]
    return {
        "config": config.model_dump(mode="json"),
        "data_sha256": {f"{name}/{split}": sha256(file_of(data, name, split)) for name, split in splits},
        "libraries": libraries(),
        "training": json.loads(paths.report.read_text(encoding="utf-8")),
        "checks": asdict(checks),
    }


def _evaluate(
    config: RunConfig, data: Path, served: Served, baselines: Mapping[str, Measured], *, split: str, say: Say
) -> tuple[list[Evaluation], dict[str, Evaluated]]:
    today = datetime.now(tz=UTC).date()
    evaluations: list[Evaluation] = []
    evaluated: dict[str, Evaluated] = {}
    for one in config.sets:
        found = evaluate(served, read_split(data, one.name, split, config.labels))
        evaluated[one.name] = found
        evaluations.append(
            Evaluation(
                data=one.name,
                split=split,
                rows=found.rows,
                precision=served.precision,
                labels=found.labels,
                metrics=found.figures(),
                baseline=baselines[one.name].metrics()["lr"],
                baselines=baselines[one.name].metrics(),
                measured_on=today,
            )
        )
        say(f"pack: {card.measured(evaluations[-1], config)}")
    return evaluations, evaluated


def _draw(
    paths: RunPaths, report: Path, evaluated: Mapping[str, Evaluated], calibration: Calibration, *, split: str
) -> None:
    plots.learning_curves(paths.logs, report / "learning-curves.png")
    counts = {name: (one.labels, one.counts) for name, one in evaluated.items()}
    plots.confusion_matrices(counts, split, report / "confusion.png")
    judged = {name: one.judged for name, one in evaluated.items()}
    plots.reliability_diagrams(judged, calibration.temperature, split, report / "calibration.png")


def _baselines(config: RunConfig, data: Path, paths: RunPaths, *, split: str, say: Say) -> dict[str, Measured]:
    # They depend on the data alone and take minutes: every run of a folder of runs shares what was measured once.
    kept = Kept(paths.root.parent / FOLDER)
    found = {}
    for one in config.sets:
        (measured,) = measure(data, config, one, [split], kept=kept, say=say)
        found[one.name] = measured
        for name, why in measured.not_run.items():
            say(f"pack: baseline {one.name}: {name} is left out: {why}")
    return found
