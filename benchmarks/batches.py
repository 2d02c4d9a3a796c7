"""What a row costs by the rows of its batch: the figures behind SLUICE_MAX_BATCH_CELLS and SLUICE_MAX_BATCH_ROWS.

python -m benchmarks.batches [PACKAGE]
"""

import sys
import time
from pathlib import Path

from app.modelpack.store import latest, open_package
from app.runtime.classifier import Classifier
from app.runtime.providers import choose
from benchmarks.texts import texts

_SIZES = (1, 2, 4, 8, 16, 32, 64)
_ROUNDS = 5


def cost_us(model: Classifier, kind: str) -> tuple[int, dict[int, float]]:
    """Return the tokens of a row in the middle and, by batch size, the least CPU microseconds a row over the rounds."""
    rows = sorted((tokens.ids for tokens in model.tokenizer.encode(texts(kind, 800))), key=len)
    middle = rows[len(rows) // 2 :][: max(_SIZES)]
    best = dict.fromkeys(_SIZES, float("inf"))
    for _ in range(_ROUNDS):
        for size in _SIZES:
            started = time.process_time()
            for at in range(0, len(middle), size):
                model.plain.run(middle[at : at + size])
            best[size] = min(best[size], (time.process_time() - started) / len(middle) * 1e6)
    return len(middle[0]), best


def main(folder: Path) -> None:
    """Print a table of both kinds of text."""
    model = Classifier.open(open_package(latest(folder)), choose("cpu"))
    print("| tokens | " + " | ".join(f"{size} rows" for size in _SIZES) + " |")
    print("|---" * (len(_SIZES) + 1) + "|")
    for kind in ("short", "long"):
        tokens, best = cost_us(model, kind)
        print(f"| {tokens} | " + " | ".join(f"{best[size]:,.0f}" for size in _SIZES) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "models/sentiment-en"))
