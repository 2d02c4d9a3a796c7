"""What a row costs by the rows of its batch: the figures behind SLUICE_MAX_BATCH_CELLS and SLUICE_MAX_BATCH_ROWS.

    python -m benchmarks.batches [PACKAGE] [--rounds 5]

Writes its part of docs/performance.md and of the JSON beside it.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from app.modelpack.store import latest, open_package
from app.runtime.classifier import Classifier
from app.runtime.providers import choose
from benchmarks.report import PERFORMANCE, Section, publish, run_of
from benchmarks.texts import texts

MARK = "batches"
_SIZES = (1, 2, 4, 8, 16, 32, 64)


def cost_us(model: Classifier, kind: str, rounds: int) -> tuple[int, dict[int, float]]:
    """Return the tokens of a row in the middle and, by batch size, the least CPU microseconds a row over the rounds."""
    rows = sorted((tokens.ids for tokens in model.tokenizer.encode(texts(kind, 800))), key=len)
    middle = rows[len(rows) // 2 :][: max(_SIZES)]
    best = dict.fromkeys(_SIZES, float("inf"))
    for _ in range(rounds):
        for size in _SIZES:
            started = time.process_time()
            for at in range(0, len(middle), size):
                model.plain.run(middle[at : at + size])
            best[size] = min(best[size], (time.process_time() - started) / len(middle) * 1e6)
    return len(middle[0]), best


def shown(section: Section) -> str:
    """Return a run's figures as Markdown."""
    sizes = list(section["lengths"][0]["us_a_row"])
    lines = [f"{run_of(section)}, `{section['package']}`, the least of {section['rounds']} rounds.", ""]
    lines += ["| tokens | " + " | ".join(f"{size} rows" for size in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for found in section["lengths"]:
        lines.append(f"| {found['tokens']} | " + " | ".join(f"{us:,.0f}" for us in found["us_a_row"].values()) + " |")
    return "\n".join(lines)


def main(
    package: Annotated[Path, typer.Argument(help="Folder of the package that is run.")] = Path("models/sentiment-en"),
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the least counts.")] = 5,
    page: Annotated[Path, typer.Option(help="Page of the table, beside its JSON.")] = PERFORMANCE,
) -> None:
    """Measure short and long texts in batches of several sizes."""
    model = Classifier.open(open_package(latest(package)), choose("cpu"))
    lengths = []
    for kind in ("short", "long"):
        tokens, us = cost_us(model, kind, rounds)
        lengths.append({"kind": kind, "tokens": tokens, "us_a_row": {str(size): us[size] for size in us}})
    found = {"package": f"{model.name}/{model.version}", "rounds": rounds, "lengths": lengths}
    typer.echo(publish(page, MARK, found, shown))


if __name__ == "__main__":
    typer.run(main)
