"""Sections that the cards of summarizers share, whether they quote or write."""

from collections.abc import Mapping
from typing import Any

from app.modelpack.manifest import Manifest
from training.judged import KEYS
from training.markdown import table


def certainty(leads: Mapping[str, Any]) -> str:
    """Return how far the model lies above baselines, `leads` by data set and baseline, and how sure that is."""
    rows = [
        [data, name, *(_interval(found[key]) for key in KEYS)]
        for data, by_name in leads.items()
        for name, found in by_name.items()
    ]
    text = (
        "Points above a baseline on the same rows, and where 95% of 1,000 resamples lie (paired bootstrap). Where the\n"
        "interval holds 0, the lead may be chance."
    )
    return f"{text}\n\n{table(['data set', 'over', 'ROUGE-1', 'ROUGE-2', 'ROUGE-L'], rows)}"


def likeness(manifest: Manifest) -> str:
    """Return what the summaries are like beside ROUGE: length, repetition, novelty, numbers and names made up."""
    head = ["data set", "length", "repeated trigrams", "novel words", "novel pairs", "novel triples"]
    head += ["numbers not in the text", "names not in the text"]
    rows = [
        [
            one.data,
            f"{one.metrics['length']:.2f}",
            *(f"{one.metrics[name]:.1%}" for name in ("repeated", "novel_1", "novel_2", "novel_3")),
            *(f"{one.metrics[name]:.1%} of {one.metrics[f'all_{name}']:.0f}" for name in ("numbers", "names")),
        ]
        for one in manifest.evaluation
    ]
    return (
        "Length is a share of the reference's. A novel word (a character in Chinese), pair or triple is one that the\n"
        "text lacks. Names are capitalized words inside a sentence, where there are any.\n\n" + table(head, rows)
    )


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['value']:+.1f} [{found['low']:+.1f}, {found['high']:+.1f}]"
