"""The checks that guard a package: the exported graph is the trained network, its int8 twin costs little."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.runtime.session import Session, padded
from training.batches import cut
from training.calibration import Judged
from training.config import Metric, RunConfig
from training.corpus import Corpus
from training.errors import PackRefusedError
from training.evaluate import MAX_CELLS, MAX_ROWS
from training.models.classifier import Classifier
from training.scores import decide, score
from training.tokenizer import PAD_ID

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
# Extra columns of padding that must not move an answer.
EXTRA_PADDING = 7


@dataclass(frozen=True, slots=True)
class Checks:
    """What was measured: largest differences of logits, shares of rows with the same label, and what int8 costs.

    `int8_company` is how far a row's int8 logits move with who shares its batch. `int8_points` is each set's own figure
    on dev by the fp32 graph less that by the int8 one, in points.
    """

    torch_difference: float
    padding_difference: float
    attribution_difference: float
    int8_company: float
    int8_agreement: float
    int8_agreement_by_set: dict[str, float]
    int8_points: dict[str, float]


@dataclass(frozen=True, slots=True)
class Answers:
    """What both graphs make of one dev split."""

    fp32: Judged
    int8: Judged


def answers(fp32: Session, int8: Session, dev: Mapping[str, Corpus]) -> dict[str, Answers]:
    """Run both graphs over every dev split, as the service batches; by set name."""
    return {name: Answers(_judged(fp32, corpus), _judged(int8, corpus)) for name, corpus in dev.items()}


def check(network: Classifier, fp32: Session, int8: Session, dev: Mapping[str, Answers], config: RunConfig) -> Checks:
    """Measure everything, and refuse with `PackRefusedError` what misses a gate."""
    gates = config.gates
    batches = _batches(len(network.recurrent.embedding.weight), config.tokenizer.max_tokens)
    by_set = {name: agreement(one) for name, one in dev.items()}
    rows = np.array([len(one.int8.labels) for one in dev.values()])
    found = Checks(
        torch_difference=max(torch_difference(network, fp32, batch) for batch in batches),
        padding_difference=max(padding_difference(fp32, batch) for batch in batches),
        attribution_difference=max(attribution_difference(network, fp32, batch) for batch in batches),
        int8_company=max(padding_difference(int8, batch) for batch in batches),
        int8_agreement=float(np.average(list(by_set.values()), weights=rows)),
        int8_agreement_by_set=by_set,
        int8_points={one.name: cost(dev[one.name], one.metric) for one in config.sets},
    )
    differences = {
        "torch and the fp32 graph": found.torch_difference,
        "a row alone and the same row padded in a batch": found.padding_difference,
        "the logits and the sum of their attribution": found.attribution_difference,
        "an int8 row alone and the same row padded in a batch": found.int8_company,
    }
    for what, difference in differences.items():
        if not difference <= gates.parity:
            raise PackRefusedError(f"logits differ by {difference:.2e} between {what}; at most {gates.parity:.0e}")
    if found.int8_agreement < gates.int8_agreement:
        raise PackRefusedError(
            f"int8 and fp32 give the same label on {found.int8_agreement:.4f} of dev rows; "
            f"at least {gates.int8_agreement}: {by_set}"
        )
    for name, points in found.int8_points.items():
        # Points of a figure are compared as they are printed: 0.3 is not 0.30000000000000004.
        if round(points, 6) > gates.int8_points:
            raise PackRefusedError(f"int8 costs {points:.2f} points on {name}; at most {gates.int8_points:g}")
    return found


def torch_difference(network: Classifier, session: Session, rows: list[Ids]) -> float:
    """Return the largest difference of any logit between the network and the graph over one batch."""
    feeds = padded(rows, PAD_ID)
    with torch.inference_mode():
        wanted = network(torch.from_numpy(feeds["ids"]), torch.from_numpy(feeds["lens"])).numpy()  # [B, C]
    (found,) = session.run(["logits"], feeds)
    return float(np.abs(found - wanted).max())


def padding_difference(session: Session, rows: list[Ids]) -> float:
    """Return the largest difference of any logit between a row alone and the row in a batch padded further."""
    feeds = padded(rows, PAD_ID)
    feeds["ids"] = np.pad(feeds["ids"], ((0, 0), (0, EXTRA_PADDING)), constant_values=PAD_ID)
    (together,) = session.run(["logits"], feeds)
    alone = np.concatenate([session.run(["logits"], padded([row], PAD_ID))[0] for row in rows])
    return float(np.abs(together - alone).max())


def attribution_difference(network: Classifier, session: Session, rows: list[Ids]) -> float:
    """Return the largest difference of any logit from the bias plus its tokens' shares."""
    logits, shares = session.run(["logits", "attribution"], padded(rows, PAD_ID))
    return float(np.abs(shares.sum(axis=1) + network.bias.detach().numpy() - logits).max())


def agreement(one: Answers) -> float:
    """Return the share of rows that get the same label from both graphs, among the labels that the set has."""
    return float((_decided(one.fp32) == _decided(one.int8)).mean())


def cost(one: Answers, metric: Metric) -> float:
    """Return a figure by the fp32 graph less that by the int8 one, in points; below zero where int8 does better."""
    first, second = (score(part.labels, _decided(part), part.classes).of(metric) for part in (one.fp32, one.int8))
    return 100 * (first - second)


def _decided(one: Judged) -> NDArray[np.int64]:
    return decide(one.logits, one.classes)


def _judged(session: Session, corpus: Corpus) -> Judged:
    logits = np.empty((len(corpus), len(corpus.classes)), dtype=np.float32)
    for index in cut(corpus.lens, MAX_CELLS, MAX_ROWS):
        rows = [corpus.row(int(at)).astype(np.int64) for at in index]
        (logits[index],) = session.run(["logits"], padded(rows, PAD_ID))
    return Judged(logits, corpus.labels, corpus.classes)


def _batches(vocab_size: int, max_tokens: int) -> list[list[Ids]]:
    """Return batches of random ids: lengths 1, 2, odd, and the longest, alone and mixed."""
    rng = np.random.default_rng(0)
    longest = max_tokens
    lengths = [[1], [2], [7], [longest], [1, 2, 7], [13, 1, 31, 2, 64], [longest, 1, longest // 2, 3], [5] * 17]
    return [[rng.integers(1, vocab_size, size) for size in batch] for batch in lengths]
