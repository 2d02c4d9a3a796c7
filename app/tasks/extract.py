"""Extraction: sentences' scores in, the ones to quote out."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def choose(scores: Floats, vectors: Floats, count: int, redundancy: float) -> list[int]:
    """Return the places of the ``count`` best sentences, or of all where they are fewer, in the order of the document.

    ``scores`` float32[S]; ``vectors`` float32[S, F] of length 1. One sentence is taken at a time: the best by its score
    less ``redundancy`` times its largest cosine with one taken before (maximal marginal relevance, Carbonell and
    Goldstein 1998). Of equals the earlier one is taken.
    """
    if scores.ndim != 1 or vectors.shape[:1] != scores.shape:
        raise ValueError(f"This is a bug: scores of shape {scores.shape} and vectors of shape {vectors.shape}")
    likeness = np.full(len(scores), -1.0, np.float32)  # [S]
    chosen: list[int] = []
    for _ in range(min(count, len(scores))):
        worth = scores - np.float32(redundancy) * likeness  # [S]
        worth[chosen] = -np.inf
        at = int(worth.argmax())
        chosen.append(at)
        likeness = np.maximum(likeness, vectors @ vectors[at])  # [S]
    return sorted(chosen)
