"""Every target of the engine beside what was measured, from the JSON of the runs.

    python -m benchmarks.targets

Measures nothing: reads docs/performance.json and docs/decoding.json, and writes its part of docs/performance.md.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.figure import Figure, table
from benchmarks.posts import KINDS, title
from benchmarks.report import DECODING, PERFORMANCE, fill, kept
from benchmarks.side_by_side import OURS, Cell, Results, Shares, best_peer, of_json, ratio

MARK = "targets"
_RATES = {
    ("short", 1): 1.0,
    ("short", 8): 1.2,
    ("short", 64): 1.2,
    ("short", 256): 1.2,
    ("long", 1): 1.0,
    ("long", 8): 1.1,
    ("long", 64): 1.3,
    ("long", 256): 1.3,
    ("mixed", 64): 1.5,
}
"""Requests a second against the best peer, by kind of text and connections."""
_TAILS = {("short", 1): 1.0, ("short", 8): 1.0, ("short", 64): 1.0, ("short", 256): 1.0, ("mixed", 64): 0.7}
"""The p99 against that peer's."""
_BULK_SHARE = 0.9
_READY_S = 1.5
_OF_CEILING, _OF_STATIC = 0.85, 2.0
_MAIN_BEAMS = 4


def figures(sections: Mapping[str, Any], decoding: Mapping[str, Any]) -> list[Figure]:
    """Return every target; one of which no run has been kept has no value."""
    of_peers = sections.get("side-by-side")
    results, _ = of_json(of_peers)
    found = [*_against_peers(results), *_of_bare_loop(of_peers.get("posts", {}) if of_peers else {})]
    found += [Figure.of(one) for one in sections.get("figures", {}).get("figures", [])]
    start = sections.get("start", {})
    few = start.get("few", {}).get("ready_s")
    found.append(
        Figure("ready after the start, every bundled package", start.get("ready_s"), "s", _READY_S, at_most=True)
    )
    found.append(Figure("ready after the start, sentiment-en and -zh", few, "s", _READY_S, at_most=True))
    return [*found, *_decoder(decoding.get("decoding", {}).get("cases", []))]


def _against_peers(results: Results) -> Iterator[Figure]:
    for (kind, connections), target in _RATES.items():
        targets = results.get(Cell(1, kind, connections), {})
        name, best = best_peer(targets) or ("the best peer", None)
        ours = targets.get(OURS)
        head = f"{kind} texts, {connections} connection{'s' if connections > 1 else ''}"
        rate = ratio(ours.texts_s, best.texts_s) if ours and best else None
        yield Figure(f"{head}: req/s, to {name}", rate, "x", target)
        if (kind, connections) in _TAILS:
            tail = ratio(ours.p99_ms, best.p99_ms) if ours and best else None
            yield Figure(f"{head}: p99, to {name}", tail, "x", _TAILS[kind, connections], at_most=True)


def _of_bare_loop(posts: Shares) -> Iterator[Figure]:
    for kind in KINDS:
        share = posts[kind]["per_s"] if kind in posts else None
        yield Figure(title(kind, "the peers' model"), share, "x", _BULK_SHARE)


def _decoder(cases: list[Mapping[str, Any]]) -> Iterator[Figure]:
    ratios: Mapping[str, float] = next((case["ratios"] for case in cases if case["beams"] == _MAIN_BEAMS), {})
    head = f"summaries, {_MAIN_BEAMS} beams"
    share, times = ratios.get("service / reads and steps"), ratios.get("decoder / static")
    yield Figure(f"{head}: tokens/s of the service, to the bare loop", share, "x", _OF_CEILING)
    yield Figure(f"{head}: tokens/s of slots, to static batches", times, "x", _OF_STATIC)


def shown(found: list[Figure]) -> str:
    """Return the targets as Markdown, after how many of them are met."""
    measured = [one for one in found if one.value is not None]
    met = sum(one.met for one in measured)
    return f"{met} of {len(found)} met, {len(found) - len(measured)} not measured.\n\n{table(found)}"


def main(
    page: Annotated[Path, typer.Option(help="Page of the table, beside its JSON.")] = PERFORMANCE,
    decoding: Annotated[Path, typer.Option(help="Page of the decoder, beside its JSON.")] = DECODING,
) -> None:
    """Write the table of targets."""
    text = shown(figures(kept(page), kept(decoding)))
    fill(page, MARK, text)
    typer.echo(text)


if __name__ == "__main__":
    typer.run(main)
