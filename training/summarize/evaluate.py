"""Scores a package that writes on a split of documents and summaries, as the service would write them."""

import time
from dataclasses import astuple, dataclass

from app.runtime.summarizer import Summarizer
from training.pairs import Pairs
from training.rouge import References, Rouge, scorer
from training.summarize.config import Kind
from training.summarize.written import Written, write


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Figures of one split: ROUGE of each row, what was written, and the CPU seconds it took."""

    kind: Kind
    rows: list[Rouge]
    written: list[Written]
    tokens: float
    """Mean length of what was written, as ROUGE counts it."""
    reference_tokens: float
    seconds: float

    @property
    def rouge(self) -> Rouge:
        """The mean over rows."""
        return Rouge.average(self.rows)

    def figures(self) -> dict[str, float]:
        """Return what the manifest keeps; shares are between 0 and 1."""
        written = [len(one.ids) for one in self.written]
        return {
            **dict(zip(("rouge1", "rouge2", "rougeL"), (round(one, 6) for one in astuple(self.rouge)), strict=True)),
            "tokens": round(self.tokens, 2),
            "reference_tokens": round(self.reference_tokens, 2),
            "copied": round(sum(map(sum, (one.copied for one in self.written))) / max(1, sum(written)), 6),
            "ended": round(sum(one.ended for one in self.written) / len(self.written), 6),
        }


def evaluate(model: Summarizer, pairs: Pairs, kind: Kind, references: References = "mean") -> Evaluated:
    """Write every document's summary by the package's own options, and score it."""
    started = time.process_time()
    written = write(model, pairs.documents, kind)
    seconds = time.process_time() - started
    about = scorer(model.manifest.languages[0])
    rows = [about.score(one.text, known, references) for one, known in zip(written, pairs.references, strict=True)]
    count = about.tokenizer.tokenize
    return Evaluated(
        kind,
        rows,
        written,
        sum(len(count(one.text)) for one in written) / len(written),
        sum(len(count(known[0])) for known in pairs.references) / len(written),
        seconds,
    )
