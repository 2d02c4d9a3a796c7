"""The page of the decoder's figures."""

from typing import Any

_NAMES = {
    "steps": "bare loop, steps alone",
    "reads and steps": "bare loop, reading and steps",
    "decoder": "decoder",
    "service": "service, over HTTP",
    "static": "static batches",
}
_TARGET_OF_CEILING, _TARGET_OF_STATIC = 0.85, 2.0

_PAGE = """\
# Decoding

Measured by `make bench` (`python -m benchmarks.decoding`, needs `wrk`), which wrote this page: summaries by
`{model}`, {concurrency} requests under way at once, {threads} threads on {cores} cores, {seconds} seconds a
measurement, {rounds} rounds in which each took its turn. Run of {date}. Medians; a ratio is the median of each round's
own, since on a shared machine only figures of one round compare.

{table}

## What is measured

Texts have a log-normal number of words (median 25, at most 1,000), cut where the package reads no further, and each is
summed up in exactly n tokens, n log-normal with a median of 12, within what the package lets a request ask for. A token
is a row's step, whatever its beams.

- **Bare loop, steps alone**: step.onnx on a thread a core. The {concurrency} texts that are under way at once are read
  beforehand and cut into a batch a thread, the shorter ones and the longer ones. No search, no scheduler, no HTTP,
  nobody comes or goes.
- **Bare loop, reading and steps**: the same, and each text is read by encoder.onnx before its batch is stepped, as any
  service must.
- **Decoder**: in one process, {concurrency} callers, each with one text at a time. Beam search, slots, answers brought
  back to the event loop.
- **Service**: the same over `POST /v1/summarize` with tokenizing, JSON and metrics; the load generator runs on the
  same cores.
- **Static batches**: reading, search and arrays as the decoder's, but a batch of {rows} rows a thread runs until its
  last summary is done, and only then the next begins; the rows come as they come, not by length.

Targets: the service at least {ceiling:.0%} of the bare loop; slots at least {static:.0f} times static batches.
"""


def table(figures: dict[str, Any]) -> str:
    """Return the figures as Markdown: a table of rates, and one of ratios, for each number of beams."""
    lines = []
    for case in figures["cases"]:
        title = "1 beam (greedy)" if case["beams"] == 1 else f"{case['beams']} beams"
        lines += [f"## {title}", "", "| | tokens/s | CPU s per 1,000 tokens |", "|---|---|---|"]
        for name, rate in case["medians"].items():
            lines.append(f"| {_NAMES[name]} | {rate['tokens_s']:,.0f} | {rate['cpu_s_per_1k']:.2f} |")
        lines += ["", f"Mean length of a summary: {case['mean_tokens']:.1f} tokens.", ""]
        lines += ["| ratio of tokens/s | |", "|---|---|"]
        for pair, ratio in case["ratios"].items():
            one, _, other = pair.partition(" / ")
            lines.append(f"| {_NAMES[one]} / {_NAMES[other]} | {ratio:.2f} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def page(figures: dict[str, Any]) -> str:
    """Return docs/decoding.md."""
    return _PAGE.format(
        model=figures["model"],
        concurrency=figures["concurrency"],
        threads=figures["threads"],
        cores=figures["machine"]["cores"],
        seconds=figures["seconds"],
        rounds=len(figures["cases"][0]["rounds"]),
        date=figures["measured_at"][:10],
        rows=figures["concurrency"] // figures["threads"],
        table=table(figures),
        ceiling=_TARGET_OF_CEILING,
        static=_TARGET_OF_STATIC,
    )
