"""The checks that guard a package that writes: its graphs are the trained network, their int8 twins cost little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from app.runtime.summarizer import Summarizer
from app.tasks.generate import Options
from training.batches import collate
from training.errors import PackRefusedError
from training.models.pointer_step import PointerStep
from training.rouge import Rouge, scorer
from training.summarize.config import Kind, SummarizeConfig
from training.summarize.greedy import greedy
from training.summarize.pairs import Pair
from training.summarize.vocabulary import KIND_IDS, PAD_ID
from training.summarize.written import Written, write

ROWS = 25
MAX_DIFFERENT_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Checks:
    """Shares of dev documents with the same greedy summary, token for token, and what int8 costs there in points.

    `int8_points` is the mean of ROUGE-1, -2 and -L by the fp32 graphs less that by the int8 ones, greedy both.
    """

    documents: int
    fp32_equal: float
    int8_equal: float
    int8_points: float


@dataclass(frozen=True, slots=True)
class DevDocuments:
    """Dev pairs of one set, to be summed up as a kind."""

    kind: Kind
    pairs: list[Pair]


def sample(dev: Mapping[str, DevDocuments], documents: int) -> dict[str, DevDocuments]:
    """Return so many pairs in all, as many of each set as of the next, spread evenly over it."""
    found, left = {}, documents
    for at, (name, one) in enumerate(dev.items()):
        wanted = min(len(one.pairs), round(left / (len(dev) - at)))
        left -= wanted
        found[name] = DevDocuments(one.kind, [one.pairs[round(row * len(one.pairs) / wanted)] for row in range(wanted)])
    return found


def check(
    step: PointerStep, fp32: Summarizer, int8: Summarizer, dev: Mapping[str, DevDocuments], config: SummarizeConfig
) -> Checks:
    """Measure everything on a sample of dev, and refuse with `PackRefusedError` what misses a gate."""
    gates = config.gates
    same = alike = 0
    first: list[Rouge] = []
    second: list[Rouge] = []
    different: list[str] = []
    sampled = sample(dev, gates.documents)
    for one in sampled.values():
        texts = [pair.document for pair in one.pairs]
        options = Options(max_tokens=int(fp32.generation.kinds[one.kind].max_tokens.default))
        by_torch = greedy_ids(step, fp32, texts, one.kind, options.max_tokens)
        by_graph = write(fp32, texts, one.kind, options, free=True)
        by_bytes = write(int8, texts, one.kind, options, free=True)
        for text, wanted, found, small in zip(texts, by_torch, by_graph, by_bytes, strict=True):
            same += wanted == found.ids
            alike += small.ids == found.ids
            if wanted != found.ids:
                different.append(text)
        first += _rouges(by_graph, one.pairs, config.language)
        second += _rouges(by_bytes, one.pairs, config.language)
    documents = sum(len(one.pairs) for one in sampled.values())
    points = 100 * (Rouge.average(first).mean - Rouge.average(second).mean)
    checks = Checks(documents, same / documents, alike / documents, points)
    if checks.fp32_equal < gates.fp32_equal:
        shown = "; ".join(repr(text[:60]) for text in different[:MAX_DIFFERENT_SHOWN])
        raise PackRefusedError(
            f"torch and the fp32 graphs write the same on {checks.fp32_equal:.4f} of {documents} dev documents; "
            f"at least {gates.fp32_equal}; they differ on {shown}"
        )
    if checks.int8_equal < gates.int8_equal:
        raise PackRefusedError(
            f"int8 and fp32 write the same on {checks.int8_equal:.4f} of {documents} dev documents; "
            f"at least {gates.int8_equal}"
        )
    if round(points, 6) > gates.int8_points:
        raise PackRefusedError(f"int8 costs {points:.2f} points of ROUGE on dev; at most {gates.int8_points:g}")
    return checks


def greedy_ids(
    step: PointerStep, model: Summarizer, texts: Sequence[str], kind: Kind, max_tokens: int
) -> list[list[int]]:
    """Return what torch writes greedily of texts, ids without the end, cut by the package's tokenizer."""
    tokens = [one.ids for one in model.tokenizer.encode(texts)]
    found: list[list[int]] = [[] for _ in texts]
    order = sorted((at for at in range(len(texts)) if len(tokens[at])), key=lambda at: len(tokens[at]))
    for start in range(0, len(order), ROWS):
        part = order[start : start + ROWS]
        ids, lens = collate([tokens[at].astype("int32") for at in part], PAD_ID)
        with torch.inference_mode():
            rows = greedy(step, ids, lens, torch.full((len(part),), KIND_IDS[kind]), max_tokens=max_tokens)
        for at, row in zip(part, rows, strict=True):
            found[at] = row
    return found


def _rouges(written: Sequence[Written], pairs: Sequence[Pair], language: str) -> list[Rouge]:
    about = scorer(language)
    return [about.score(one.text, [pair.summary]) for one, pair in zip(written, pairs, strict=True)]
