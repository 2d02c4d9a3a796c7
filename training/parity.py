"""The checks that guard a package: the exported graph is the trained network, and its int8 twin decides alike."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.runtime.session import Session, padded
from training.batches import cut
from training.config import RunConfig
from training.corpus import Corpus
from training.errors import PackRefusedError
from training.evaluate import MAX_CELLS, MAX_ROWS
from training.models.classifier import Classifier
from training.scores import decide
from training.tokenizer import PAD_ID

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
# Extra columns of padding that must not move an answer.
EXTRA_PADDING = 7


@dataclass(frozen=True, slots=True)
class Checks:
    """What was measured: largest differences of logits, and shares of rows with the same label."""

    torch_difference: float
    padding_difference: float
    attribution_difference: float
    int8_agreement: float
    int8_agreement_by_set: dict[str, float]


def check(network: Classifier, fp32: Session, int8: Session, dev: Mapping[str, Corpus], config: RunConfig) -> Checks:
    """Measure everything, and refuse with `PackRefusedError` what misses a gate."""
    gates = config.gates
    batches = _batches(len(network.recurrent.embedding.weight), config.tokenizer.max_tokens)
    by_set = {name: agreement(fp32, int8, corpus) for name, corpus in dev.items()}
    rows = np.array([len(corpus) for corpus in dev.values()])
    found = Checks(
        torch_difference=max(torch_difference(network, fp32, batch) for batch in batches),
        padding_difference=max(padding_difference(fp32, batch) for batch in batches),
        attribution_difference=max(attribution_difference(network, fp32, batch) for batch in batches),
        int8_agreement=float(np.average(list(by_set.values()), weights=rows)),
        int8_agreement_by_set=by_set,
    )
    differences = {
        "torch and the fp32 graph": found.torch_difference,
        "a row alone and the same row padded in a batch": found.padding_difference,
        "the logits and the sum of their attribution": found.attribution_difference,
    }
    for what, difference in differences.items():
        if not difference <= gates.parity:
            raise PackRefusedError(f"logits differ by {difference:.2e} between {what}; at most {gates.parity:.0e}")
    if found.int8_agreement < gates.int8_agreement:
        raise PackRefusedError(
            f"int8 and fp32 give the same label on {found.int8_agreement:.4f} of dev rows; "
            f"at least {gates.int8_agreement}: {by_set}"
        )
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


def agreement(fp32: Session, int8: Session, corpus: Corpus) -> float:
    """Return the share of rows that get the same label from both graphs, among the labels that the set has."""
    same = 0
    for index in cut(corpus.lens, MAX_CELLS, MAX_ROWS):
        feeds = padded([corpus.row(int(at)).astype(np.int64) for at in index], PAD_ID)
        first, second = (decide(one.run(["logits"], feeds)[0], corpus.classes) for one in (fp32, int8))
        same += int((first == second).sum())
    return same / len(corpus)


def _batches(vocab_size: int, max_tokens: int) -> list[list[Ids]]:
    """Return batches of random ids: lengths 1, 2, odd, and the longest, alone and mixed."""
    rng = np.random.default_rng(0)
    longest = max_tokens
    lengths = [[1], [2], [7], [longest], [1, 2, 7], [13, 1, 31, 2, 64], [longest, 1, longest // 2, 3], [5] * 17]
    return [[rng.integers(1, vocab_size, size) for size in batch] for batch in lengths]
