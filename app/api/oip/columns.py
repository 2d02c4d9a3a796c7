"""Answers to texts as tensors: a row for each text, whatever became of it.

The protocol knows no errors of single items. A text without an answer has its error's code in the output ``errors``
and nothing in the others; a caller who did not ask for that output could not see it, so that the request is refused.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from app.api.oip.signature import ERRORS
from app.api.oip.tensor import Tensor, numbers, strings
from app.errors import ItemsFailed
from app.exchange import Failure, Result
from app.summarizing.wishes import Summarized


def refuse_untold(failures: Sequence[Failure], texts: int, wanted: Sequence[str]) -> None:
    """Raise ``ItemsFailed`` where texts have no answer and nothing would say so, or not one has an answer."""
    if failures and (ERRORS not in wanted or len(failures) == texts):
        raise ItemsFailed([(failure.index, failure.error) for failure in failures])


def of_failures(failures: Sequence[Failure], texts: int) -> Tensor:
    """Return ``errors`` BYTES[n]."""
    codes = [""] * texts
    for failure in failures:
        codes[failure.index] = failure.error.code
    return strings(ERRORS, codes)


def of_truncated(results: Iterable[Result | Summarized], texts: int) -> Tensor:
    """Return ``truncated`` BOOL[n]."""
    found = np.zeros(texts, bool)
    for result in results:
        found[result.index] = result.truncated
    return numbers("truncated", found)


def of_labels(results: Sequence[Result], labels: Sequence[str], texts: int) -> list[Tensor]:
    """Return ``labels`` BYTES[n] and ``scores`` FP32[n, C], whose columns are ``labels``."""
    best, scores = [""] * texts, np.zeros((texts, len(labels)), np.float32)
    for result in results:
        best[result.index] = result.answer.label
        scores[result.index] = [result.answer.scores[label] for label in labels]
    return [strings("labels", best), numbers("scores", scores)]


def of_written(results: Sequence[Summarized], texts: int) -> list[Tensor]:
    """Return ``summaries`` and ``finish_reasons``, BYTES[n] each."""
    summaries, reasons = [""] * texts, [""] * texts
    for result in results:
        summaries[result.index] = result.summary
        reasons[result.index] = result.finish_reason or ""
    return [strings("summaries", summaries), strings("finish_reasons", reasons)]


def of_quoted(results: Sequence[Summarized], texts: int) -> list[Tensor]:
    """Return ``summaries`` BYTES[n], and of each sentence k: its text, score and span in code points.

    ``sentences`` BYTES[n, k], ``sentence_scores`` FP32[n, k], ``sentence_spans`` INT64[n, k, 2]; a text with fewer
    sentences than others has empty ones, score 0 and span -1 at its end.
    """
    most = max((len(result.sentences or ()) for result in results), default=0)
    summaries = [""] * texts
    quotes = [[""] * most for _ in range(texts)]
    scores, spans = np.zeros((texts, most), np.float32), np.full((texts, most, 2), -1, np.int64)
    for result in results:
        summaries[result.index] = result.summary
        for at, one in enumerate(result.sentences or ()):
            quotes[result.index][at] = result.text[one.start : one.end]
            scores[result.index, at] = one.score
            spans[result.index, at] = one.start, one.end
    flat = [quote for row in quotes for quote in row]
    return [
        strings("summaries", summaries),
        strings("sentences", flat, (texts, most)),
        numbers("sentence_scores", scores),
        numbers("sentence_spans", spans),
    ]
