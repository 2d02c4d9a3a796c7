"""Writes models/<name>/<version> of an extractor: checks the graphs, scores them as they serve, renames into place."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.modelpack import manifest as schema
from app.modelpack.manifest import Evaluation, Limits, Manifest
from app.modelpack.summaries import Extraction, Option
from app.runtime.extractor import Extractor
from training import packaging, plots
from training.baselines import summaries
from training.conventions import convention
from training.data import file_of
from training.extractive import card, parity
from training.extractive.config import ExtractConfig
from training.extractive.export import graph_spec
from training.extractive.parity import Dev
from training.extractive.prepare import DEV, TRAIN, dev_texts, opened
from training.extractive.quotes import open_extractor, quotes
from training.extractive.train import load_network
from training.judged import judge, told
from training.pairs import FOLDER, read_pairs
from training.paths import RunPaths
from training.tokenizer import PAD_ID, UNK_ID
from training.tokenizer import load as load_tokenizer

FP32, INT8, TOKENIZER, CARD, REPORT = "model.onnx", "model.int8.onnx", "tokenizer.json", "README.md", "report"
Say = Callable[[str], None]


def pack(config: ExtractConfig, data: Path, paths: RunPaths, models: Path, *, split: str, say: Say) -> Path:
    """Write the package and return its folder; `PackRefusedError` where a check fails, and then nothing is changed.

    `split` is the one whose figures the card reports; its rows are read here for the first time.
    """
    with packaging.staging(models, config.name, config.version) as staged:
        _copy(paths, staged)
        provenance = _provenance(config, data, paths)
        packaging.write(_manifest(config, staged, min(config.quoting.redundancies), provenance), staged)
        fp32, int8 = open_extractor(staged, "fp32"), open_extractor(staged, "int8")
        dev = {
            one.name: Dev(opened(paths, one.name, DEV), dev_texts(paths, one.name), one.sentences)
            for one in config.sets
        }
        found = parity.scored(fp32, dev), parity.scored(int8, dev)
        redundancy = parity.best_redundancy(found[1], dev, config)
        checks = parity.check(load_network(config, paths), fp32, dev, found, config=config, redundancy=redundancy)
        say(f"pack: {checks}")
        provenance["checks"] = asdict(checks)
        bare = _manifest(config, staged, redundancy, provenance)
        packaging.write(bare, staged)
        evaluations, leads = _evaluate(config, data, open_extractor(staged), split=split, say=say)
        plots.learning_curves(paths.logs, staged / REPORT / "learning-curves.png")
        provenance["leads"] = leads
        scored = bare.model_copy(update={"evaluation": evaluations, "provenance": provenance})
        (staged / CARD).write_text(card.card(scored, config, checks), encoding="utf-8")
        return packaging.finish(scored, staged, models)


def _copy(paths: RunPaths, staged: Path) -> None:
    (staged / REPORT).mkdir(parents=True)
    for source, name in ((paths.fp32, FP32), (paths.int8, INT8), (paths.tokenizer, TOKENIZER)):
        shutil.copyfile(paths.need(source, "export"), staged / name)


def _manifest(config: ExtractConfig, staged: Path, redundancy: float, provenance: dict[str, Any]) -> Manifest:
    features = config.model.embedding
    return Manifest(
        schema_version=schema.SCHEMA_VERSION,
        name=config.name,
        version=config.version,
        task="extract",
        description=config.summary,
        languages=[config.language],
        labels=[],
        tokenizer=schema.Tokenizer(
            file=TOKENIZER,
            normalization=config.tokenizer.normalization,
            vocab_size=load_tokenizer(staged / TOKENIZER).get_vocab_size(),
            pad_id=PAD_ID,
            unk_id=UNK_ID,
        ),
        limits=Limits(max_tokens=config.tokenizer.max_tokens),
        graphs=[graph_spec(FP32, "fp32", features), graph_spec(INT8, "int8", features)],
        files=packaging.files(staged),
        extraction=Extraction(
            max_sentences=config.document.max_sentences,
            max_sentence_tokens=config.document.max_sentence_tokens,
            sentences=Option(min=1, max=config.quoting.most_sentences, default=config.quoting.sentences),
            redundancy=redundancy,
        ),
        provenance=provenance,
    )


def _provenance(config: ExtractConfig, data: Path, paths: RunPaths) -> dict[str, Any]:
    files = {
        f"{one.name}/{split}": file_of(data, one.name, split, FOLDER) for one in config.sets for split in (TRAIN, DEV)
    }
    return {
        "config": config.model_dump(mode="json"),
        "data_sha256": {name: packaging.sha256(file) for name, file in files.items()},
        "libraries": packaging.libraries(),
        "training": json.loads(paths.need(paths.report, "train").read_text(encoding="utf-8")),
    }


def _evaluate(
    config: ExtractConfig, data: Path, model: Extractor, *, split: str, say: Say
) -> tuple[list[Evaluation], dict[str, Any]]:
    """Return each set's figures beside the baselines', and the lead over Lead and TextRank with its certainty."""
    evaluations, leads = [], {}
    for one in config.sets:
        pairs = read_pairs(data, one.name, split)
        said, _ = quotes(model, pairs.documents, one.sentences)
        found = judge(said, pairs, config.language)
        lead = convention(one.name, pairs.documents).lead
        shown = {lead, *card.baselines(one.sentences)}
        measured = summaries.measure(data, one.name, split, only=shown, sentences=one.sentences)
        leads[one.name] = {name: told(found.lead(measured.of(name).rows)) for name in (lead, "textrank")}
        evaluations.append(measured.beside(found.figures(), len(pairs)))
        say(f"pack: {one.name}/{split}: {found.figures()}; over the baselines: {leads[one.name]}")
    return evaluations, leads
