"""Baselines' figures as people and programs read them: an aligned table, or one JSON object a split."""

from typing import Any

from training.baselines.measure import TITLES, Measured

HEAD = ("baseline", "accuracy", "macro-F1", "macro-recall", "CPU s", "chosen on dev")


def record(found: Measured) -> dict[str, Any]:
    """Return the JSON object of one split."""
    about: dict[str, Any] = {"data": found.data, "split": found.split, "rows": found.rows}
    about |= {"trained_on": found.trained_on, "baselines": [_rounded(one.line()) for one in found.baselines]}
    return about | {"not_run": found.not_run}


def _rounded(line: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in line.items()}


def table(found: Measured) -> str:
    """Return the figures of one split in per cent, a line a baseline, and a line for each that could not run."""
    rows: list[tuple[str, ...]] = [HEAD]
    for one in found.baselines:
        shares = (one.scores.accuracy, one.scores.macro_f1, one.scores.macro_recall)
        choice = " ".join(f"{key}={value:.4g}" for key, value in one.choice.items())
        rows.append((TITLES[one.name], *(f"{share:.2%}".rstrip("%") for share in shares), f"{one.seconds:.1f}", choice))
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD))]
    lines = [f"{found.data}, {found.split}: {found.rows} rows, in per cent, trained on {', '.join(found.trained_on)}"]
    for row in rows:
        figures = (cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True))
        lines.append("  ".join((row[0].ljust(widths[0]), *figures, row[-1])))
    return "\n".join([*lines, *(f"{TITLES[name]} did not run: {why}" for name, why in found.not_run.items())])
