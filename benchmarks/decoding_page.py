"""The tables of the decoder's figures."""

from benchmarks.report import Section, run_of

_NAMES = {
    "steps": "bare loop, steps alone",
    "reads and steps": "bare loop, reading and steps",
    "decoder": "decoder",
    "service": "service, over HTTP",
    "static": "static batches",
}


def shown(section: Section) -> str:
    """Return a run's figures as Markdown: a table of rates, and one of ratios, for each number of beams."""
    rounds = len(section["cases"][0]["rounds"])
    head = f"{run_of(section)}: summaries by `{section['model']}`, {section['concurrency']} requests under way at once"
    lines = [f"{head}, {section['threads']} threads, {section['seconds']} s a measurement, {rounds} rounds."]
    for case in section["cases"]:
        title = "1 beam (greedy)" if case["beams"] == 1 else f"{case['beams']} beams"
        lines += ["", f"### {title}", "", "| | tokens/s | CPU s per 1,000 tokens |", "|---|---|---|"]
        for name, rate in case["medians"].items():
            lines.append(f"| {_NAMES[name]} | {rate['tokens_s']:,.0f} | {rate['cpu_s_per_1k']:.2f} |")
        lines += ["", f"Mean length of a summary: {case['mean_tokens']:.1f} tokens.", ""]
        lines += ["| ratio of tokens/s | |", "|---|---|"]
        for pair, ratio in case["ratios"].items():
            one, _, other = pair.partition(" / ")
            lines.append(f"| {_NAMES[one]} / {_NAMES[other]} | {ratio:.2f} |")
    return "\n".join(lines)
