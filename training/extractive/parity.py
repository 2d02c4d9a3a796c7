"""The checks that guard a package: the graph is the trained network, and 8 bits quote nearly the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from app.runtime.extractor import Document, Extractor, Scored
from app.tasks.extract import choose
from training.baselines.quoting import joined
from training.errors import PackRefusedError
from training.extractive.config import ExtractConfig
from training.extractive.corpus import Documents
from training.extractive.prepare import DevRow
from training.models.extractor import Extractor as Network
from training.rouge import Rouge, scorer

Texts = Sequence[DevRow]


@dataclass(frozen=True, slots=True)
class Dev:
    """One set's dev documents with their texts, and how many sentences are quoted of each."""

    documents: Documents
    texts: list[DevRow]
    sentences: int


@dataclass(frozen=True, slots=True)
class Checks:
    """What was measured on dev: the largest difference of a score, shares of documents quoted alike, ROUGE by weight.

    `int8_points` is each set's mean ROUGE by fp32 less that by int8, in points.
    """

    documents: int
    torch_difference: float
    padding_difference: float
    int8_equal: float
    int8_points: dict[str, float]
    redundancies: dict[str, dict[str, float]]


def scored(model: Extractor, dev: Mapping[str, Dev]) -> dict[str, list[Scored]]:
    """Run a package's graph over every dev document; by set name."""
    return {name: model.lane.run([_document(one.documents, at) for at in _places(one)]) for name, one in dev.items()}


def best_redundancy(found: Mapping[str, list[Scored]], dev: Mapping[str, Dev], config: ExtractConfig) -> float:
    """Return the weight of redundancy with the most ROUGE on dev, the smallest of equals."""
    return max(
        config.quoting.redundancies, key=lambda weight: (round(_mean(found, dev, config.language, weight), 6), -weight)
    )


def check(
    network: Network,
    fp32: Extractor,
    dev: Mapping[str, Dev],
    found: tuple[Mapping[str, list[Scored]], Mapping[str, list[Scored]]],
    *,
    config: ExtractConfig,
    redundancy: float,
) -> Checks:
    """Measure everything, `found` being what fp32 and int8 say; `PackRefusedError` where a gate is missed."""
    plain, small = found
    language = config.language
    alike = [
        choose(*one, dev[name].sentences, redundancy) == choose(*other, dev[name].sentences, redundancy)
        for name in dev
        for one, other in zip(plain[name], small[name], strict=True)
    ]
    checks = Checks(
        documents=len(alike),
        torch_difference=_torch_difference(network, dev, plain),
        padding_difference=_padding_difference(fp32, dev, plain),
        int8_equal=float(np.mean(alike)),
        int8_points={
            name: round(
                100
                * (
                    _rouge(plain[name], dev[name], language, redundancy).mean
                    - _rouge(small[name], dev[name], language, redundancy).mean
                ),
                4,
            )
            for name in dev
        },
        redundancies={
            f"{weight:g}": {name: round(_rouge(plain[name], dev[name], language, weight).mean, 6) for name in dev}
            for weight in config.quoting.redundancies
        },
    )
    gates = config.gates
    for what, difference in (
        ("torch and the fp32 graph", checks.torch_difference),
        ("a document and the same one padded", checks.padding_difference),
    ):
        if not difference <= gates.parity:
            raise PackRefusedError(f"scores differ by {difference:.2e} between {what}; at most {gates.parity:.0e}")
    if checks.int8_equal < gates.int8_equal:
        raise PackRefusedError(
            f"int8 and fp32 quote the same of {checks.int8_equal:.4f} of dev documents; at least {gates.int8_equal}"
        )
    for name, points in checks.int8_points.items():
        if points > gates.int8_points:
            raise PackRefusedError(f"int8 costs {points:.2f} points on {name}; at most {gates.int8_points:g}")
    return checks


def _torch_difference(network: Network, dev: Mapping[str, Dev], found: Mapping[str, list[Scored]]) -> float:
    """Return the largest difference of a score between the network, trained form and exported form, and the graph."""
    worst = 0.0
    for name, one in dev.items():
        for at in _places(one)[::7]:
            rows = _document(one.documents, at).sentences
            lens = torch.tensor([len(row) for row in rows])
            ids = torch.zeros(len(rows), int(lens.max()), dtype=torch.int64)
            for place, row in enumerate(rows):
                ids[place, : len(row)] = torch.from_numpy(row)
            with torch.inference_mode():
                batched = torch.sigmoid(network(ids, lens, torch.tensor([len(rows)])))[0].numpy()  # [S]
            worst = max(worst, float(np.abs(batched - found[name][at].scores).max()))
    return worst


def _padding_difference(model: Extractor, dev: Mapping[str, Dev], found: Mapping[str, list[Scored]]) -> float:
    """Return the largest difference of a score that seven more columns of padding make."""
    pad_id, worst = model.manifest.tokenizer.pad_id, 0.0
    for name, one in dev.items():
        for at in _places(one)[::31]:
            rows = _document(one.documents, at).sentences
            lens = np.array([len(row) for row in rows])
            ids = np.full((len(rows), int(lens.max()) + 7), pad_id, np.int64)
            for place, row in enumerate(rows):
                ids[place, : len(row)] = row
            (scores,) = model.session.run(["scores"], {"ids": ids, "lens": lens})
            worst = max(worst, float(np.abs(scores - found[name][at].scores).max()))
    return worst


def _mean(found: Mapping[str, list[Scored]], dev: Mapping[str, Dev], language: str, weight: float) -> float:
    return float(np.mean([_rouge(found[name], dev[name], language, weight).mean for name in dev]))


def _rouge(found: Sequence[Scored], dev: Dev, language: str, weight: float) -> Rouge:
    rows = []
    for one, text in zip(found, dev.texts, strict=True):
        said = joined([text.sentences[at] for at in choose(*one, dev.sentences, weight)], language)
        rows.append(scorer(language).score(said, text.references))
    return Rouge.average(rows)


def _places(one: Dev) -> range:
    return range(len(one.documents))


def _document(documents: Documents, at: int) -> Document:
    return Document(tuple(row.astype(np.int64) for row in documents.row(at).sentences))
