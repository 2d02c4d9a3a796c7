"""Writes models/<name>/<version> of a summarizer: checks the graphs, scores them as they serve, renames into place."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.modelpack import manifest as schema
from app.modelpack.manifest import Evaluation, Limits, Manifest
from app.modelpack.summaries import Generation, Option
from app.modelpack.summaries import Kind as KindSpec
from app.runtime.summarizer import Summarizer
from training import packaging, plots
from training.baselines import summaries
from training.data import file_of
from training.judged import judge, told
from training.pairs import FOLDER, read_pairs
from training.paths import RunPaths
from training.summarize import card, parity, tune, vocabulary
from training.summarize.config import Kind, KindOptions, PairSet, SummarizeConfig
from training.summarize.export import FILES, graph_specs
from training.summarize.greedy import step_of
from training.summarize.pairs import read
from training.summarize.parity import Checks, DevDocuments
from training.summarize.stages import RESTORED, load_network
from training.summarize.written import habits, open_writer, write

TOKENIZER, CARD, REPORT = "tokenizer.json", "README.md", "report"
Say = Callable[[str], None]


def pack(config: SummarizeConfig, data: Path, paths: RunPaths, models: Path, *, split: str, say: Say) -> Path:
    """Write the package and return its folder; `PackRefusedError` where a check fails, and then nothing is changed.

    `split` is the one whose figures the card reports; its rows are read here for the first time.
    """
    with packaging.staging(models, config.name, config.version) as staged:
        _copy(paths, staged)
        provenance = _provenance(config, data, paths)
        packaging.write(_manifest(config, staged, provenance), staged)
        dev = _dev(config, data)
        checks = _check(config, paths, staged, dev)
        say(f"pack: {checks}")
        penalties = tune.by_penalty(
            open_writer(staged), parity.sample(dev, config.gates.documents), config.generation.length_penalties
        )
        say(f"pack: mean ROUGE on dev by length penalty: {penalties}")
        provenance |= {"checks": asdict(checks), "length_penalties": penalties}
        bare = _manifest(config, staged, provenance, tune.best(penalties))
        packaging.write(bare, staged)
        evaluations, leads = _evaluate(config, data, open_writer(staged), split=split, say=say)
        plots.learning_curves(paths.logs, staged / REPORT / "learning-curves.png")
        provenance["leads"] = leads
        scored = bare.model_copy(update={"evaluation": evaluations, "provenance": provenance})
        (staged / CARD).write_text(card.card(scored, config, checks), encoding="utf-8")
        return packaging.finish(scored, staged, models)


def _copy(paths: RunPaths, staged: Path) -> None:
    (staged / REPORT).mkdir(parents=True)
    for name in FILES.values():
        shutil.copyfile(paths.need(paths.root / name, "export"), staged / name)
    shutil.copyfile(paths.tokenizer, staged / TOKENIZER)


def _manifest(
    config: SummarizeConfig, staged: Path, provenance: dict[str, Any], penalties: Mapping[Kind, float] | None = None
) -> Manifest:
    return Manifest(
        schema_version=schema.SCHEMA_VERSION,
        name=config.name,
        version=config.version,
        task="summarize",
        description=config.summary,
        languages=[config.language],
        labels=[],
        tokenizer=schema.Tokenizer(
            file=TOKENIZER,
            normalization=config.normalization,
            vocab_size=vocabulary.load(staged / TOKENIZER).get_vocab_size(),
            pad_id=vocabulary.PAD_ID,
            unk_id=vocabulary.UNK_ID,
        ),
        limits=Limits(max_tokens=config.max_tokens),
        graphs=graph_specs(list(FILES), config.model),
        files=packaging.files(staged),
        generation=Generation(
            bos_id=vocabulary.BOS_ID,
            eos_id=vocabulary.EOS_ID,
            kinds={
                kind: KindSpec(
                    id=vocabulary.KIND_IDS[kind], **dict(_with_penalty(options, (penalties or {}).get(kind)))
                )
                for kind, options in config.generation.kinds.items()
            },
            block_ngram=config.generation.block_ngram,
            coverage_penalty=config.generation.coverage_penalty,
            digit_ids_only_copied=config.generation.digit_ids_only_copied,
            recase=config.generation.recase,
        ),
        provenance=provenance,
    )


def _provenance(config: SummarizeConfig, data: Path, paths: RunPaths) -> dict[str, Any]:
    files = {
        f"{one.name}/{split}": file_of(data, one.name, split, FOLDER) for one in config.sets for split in _splits(one)
    }
    stages = {"summaries": paths.report, "restored": paths.below(RESTORED).report, "read": paths.pretrain_report}
    return {
        "config": config.model_dump(mode="json"),
        "data_sha256": {name: packaging.sha256(file) for name, file in files.items()},
        "libraries": packaging.libraries(),
        "training": {
            name: json.loads(path.read_text(encoding="utf-8")) for name, path in stages.items() if path.exists()
        },
    }


def _splits(one: PairSet) -> list[str]:
    return [split for split, used in (("train", one.rows_per_epoch > 0), ("dev", one.scored)) if used]


def _with_penalty(options: KindOptions, penalty: float | None) -> KindOptions:
    if penalty is None:
        return options
    bounds = options.length_penalty
    return options.model_copy(update={"length_penalty": Option(min=bounds.min, max=bounds.max, default=penalty)})


def _dev(config: SummarizeConfig, data: Path) -> dict[str, DevDocuments]:
    return {one.name: DevDocuments(one.kind, read(data, one.name, "dev")) for one in config.sets if one.scored}


def _check(config: SummarizeConfig, paths: RunPaths, staged: Path, dev: Mapping[str, DevDocuments]) -> Checks:
    step = step_of(load_network(config, paths), vocabulary.load(paths.tokenizer)).eval()
    return parity.check(step, open_writer(staged, "fp32"), open_writer(staged, "int8"), dev, config)


def _evaluate(
    config: SummarizeConfig, data: Path, model: Summarizer, *, split: str, say: Say
) -> tuple[list[Evaluation], dict[str, Any]]:
    """Return each set's figures beside the baselines', and the lead over Lead and TextRank with its certainty."""
    evaluations, leads = [], {}
    for one in config.sets:
        if not (one.scored or one.tested):
            continue
        pairs = read_pairs(data, one.name, split)
        written = write(model, pairs.documents, one.kind)
        found = judge([each.text for each in written], pairs, config.language)
        measured = summaries.measure(data, one.name, split)
        leads[one.name] = {name: told(found.lead(measured.of(name).rows)) for name in (measured.about.lead, "textrank")}
        evaluations.append(measured.beside(found.figures() | habits(written), len(pairs)))
        say(f"pack: {one.name}/{split}: {evaluations[-1].metrics}; over the baselines: {leads[one.name]}")
    return evaluations, leads
