"""A comparison's pages in Markdown, made of its results alone, so that a test can hold the pages to them."""

import json
from collections.abc import Iterable, Mapping, Sequence

from training.study.paired import CONFIDENCE, Paired, Spread, paired, spread
from training.study.plan import Overrides, Side
from training.study.results import CellRuns, Results, Run, TechniqueRuns

METRICS = {"accuracy": "accuracy", "macro_f1": "macro-F1", "macro_recall": "macro-recall"}
NOTHING = "-"
COST = (
    "CPU s per epoch are the CPU seconds of a whole run by its epochs: pre-training, teachers and the looks at dev are "
    "in it, tokenizing is not. They hold where other processes share the cores, as seconds on the clock do not."
)


def ablation_page(found: Results) -> str:
    """Return docs/ablation.md: what each technique is worth on each set."""
    groups = dict.fromkeys(one.group for one in found.techniques)
    parts = [
        "# What each technique is worth",
        _preamble(found, "techniques"),
        _legend(found),
        *(f"![Differences on {one.name}](ablation/{one.name}.png)" for one in found.sets),
        "## The base",
        _base(found),
    ]
    for group in groups:
        parts.append(f"## {group}")
        parts.append(_techniques(found, [one for one in found.techniques if one.group == group]))
    parts += ["## Clear differences", _clear(found), *_failures(found), "## The settings", _settings(found)]
    return "\n\n".join(parts) + "\n"


def cells_page(found: Results) -> str:
    """Return docs/cells-compared.md: LSTM, GRU and RNN side by side."""
    parts = ["# LSTM, GRU and RNN compared", _preamble(found, "cells"), "## Trained", COST, _trained(found)]
    if any(cell.speed for cell in found.cells):
        parts += ["## Served", _served(found), "![Time of a call](ablation/cells.png)"]
    return "\n\n".join(parts) + "\n"


def scores(runs: Iterable[Run]) -> dict[int, float]:
    """Return the figures of the runs that have one, by seed, in points of a hundred."""
    return {run.seed: 100 * run.score for run in runs if run.score is not None}


def cpu_per_epoch(run: Run) -> float | None:
    """Return the CPU seconds of a whole run by its epochs."""
    return run.cpu_seconds / run.epochs if run.cpu_seconds is not None and run.epochs else None


def difference(technique: TechniqueRuns, set_name: str) -> Paired | None:
    """Return on minus off, in points, over the seeds that both have."""
    sides = technique.runs[set_name]
    return paired(scores(sides["off"]), scores(sides["on"]))


def _preamble(found: Results, what: str) -> str:
    rows = "; ".join(
        f"{one.name} ({one.language}, {METRICS[one.metric]}, {one.train_rows:,} training rows, {one.dev_rows:,} of dev)"
        for one in found.sets
    )
    machine = ", ".join(f"{key} {value}" for key, value in found.machine.items())
    return (
        f"Made by `sluice-train compare training/configs/{found.name}.toml` on {found.date}; the raw figures are in "
        "[results.json](ablation/results.json), and this page is rendered from them. Small networks on small parts of "
        f"the sets, so that all {what} fit an hour of two cores: read differences, not levels. Sets: {rows}. Seeds: "
        f"{', '.join(map(str, found.seeds))}. Measured with: {machine}; one thread a run."
    )


def _legend(found: Results) -> str:
    intervals = len(found.techniques) * len(found.sets)
    return (
        "Figures are points of a hundred on dev, mean ± standard deviation over seeds, of the network at its best "
        f"epoch. The difference is on minus off, paired by seed, with a two-sided {CONFIDENCE:.0%} t-interval in "
        "brackets. With so few seeds an interval is wide: one that spans zero says that the effect was not seen, not "
        f"that there is none. Were no technique worth anything, {intervals * (1 - CONFIDENCE):.1f} of the {intervals} "
        f"intervals would still leave out zero by chance. {COST} Test splits were not read."
    )


def _base(found: Results) -> str:
    head = ["set", "figure", "mean ± sd", "parameters", "epochs", "CPU s per epoch"]
    lines = [
        [
            one.name,
            METRICS[one.metric],
            show_spread(scores(runs).values()),
            _parameters(runs),
            _mean([run.epochs for run in runs], 1),
            _mean(map(cpu_per_epoch, runs), 2),
        ]
        for one in found.sets
        for runs in [found.base_runs[one.name]]
    ]
    return table(head, lines)


def _techniques(found: Results, techniques: Sequence[TechniqueRuns]) -> str:
    head = ["technique", "set", "off", "on", "difference", "CPU s per epoch, off", "on"]
    lines = []
    for technique in techniques:
        for at, one in enumerate(found.sets):
            sides = technique.runs[one.name]
            seconds = [_mean(map(cpu_per_epoch, sides[side]), 2) for side in ("off", "on")]
            lines.append(
                [
                    _name(technique) if at == 0 else "",
                    one.name,
                    *(show_spread(scores(sides[side]).values()) for side in ("off", "on")),
                    show_paired(difference(technique, one.name)),
                    *seconds,
                ]
            )
    notes = [f"- {technique.name}: {technique.note}" for technique in techniques if technique.note]
    return "\n\n".join([table(head, lines), *(["\n".join(notes)] if notes else [])])


def _clear(found: Results) -> str:
    lines = [
        f"- {technique.name}, {one.name}: {show_paired(gap)}"
        for technique in found.techniques
        for one in found.sets
        if (gap := difference(technique, one.name)) and gap.clear
    ]
    return "\n".join(lines) or "No interval leaves out zero."


def _failures(found: Results) -> list[str]:
    places = [
        (f"{technique.name}, {side}", set_name, run)
        for technique in found.techniques
        for set_name, sides in technique.runs.items()
        for side, runs in sides.items()
        for run in runs
    ]
    places += [("base", set_name, run) for set_name, runs in found.base_runs.items() for run in runs]
    lines = [f"- {where}, {set_name}, seed {run.seed}: {run.failed}" for where, set_name, run in places if run.failed]
    return ["## Runs without a figure", "\n".join(lines)] if lines else []


def _settings(found: Results) -> str:
    lines = []
    for technique in found.techniques:
        first, *rest = (technique.changes[one.name] for one in found.sets)
        lines.append([technique.name, _overrides(first["off"]), _overrides(first["on"])])
        for one, changes in zip(found.sets[1:], rest, strict=True):
            if changes != first:
                lines.append([f"{technique.name}, {one.name}", _overrides(changes["off"]), _overrides(changes["on"])])
    base = json.dumps(found.base, ensure_ascii=False, indent=1)
    return f"{table(['technique', 'off', 'on'], lines)}\n\nOver this base:\n\n```json\n{base}\n```"


def _trained(found: Results) -> str:
    head = ["cell", "set", "parameters", "mean ± sd", "against the first", "epochs", "CPU s per epoch"]
    lines = []
    for cell in found.cells:
        for one in found.sets:
            runs = cell.runs[one.name]
            gap = None if cell is found.cells[0] else paired(scores(found.cells[0].runs[one.name]), scores(runs))
            lines.append(
                [
                    cell.name,
                    one.name,
                    _parameters(runs),
                    show_spread(scores(runs).values()),
                    show_paired(gap),
                    _mean([run.epochs for run in runs], 1),
                    _mean(map(cpu_per_epoch, runs), 2),
                ]
            )
    failed = [
        f"- {cell.name}, {set_name}, seed {run.seed}: {run.failed}"
        for cell in found.cells
        for set_name, runs in cell.runs.items()
        for run in runs
        if run.failed
    ]
    return "\n\n".join([table(head, lines), *(["\n".join(failed)] if failed else [])])


def _served(found: Results) -> str:
    shapes = list(
        dict.fromkeys((one.rows, one.tokens) for cell in found.cells if cell.speed for one in cell.speed.timings)
    )
    timed = [f"{rows} x {tokens}, ms" for rows, tokens in shapes]
    head = ["cell", "parameters", "precision", "MB", "recurrent node", *timed]
    lines = [line for cell in found.cells for line in _speed(cell, shapes)]
    without = [cell.name for cell in found.cells if cell.speed and cell.speed.timings and not cell.speed.int8_kernel]
    said = (
        f"Untrained networks of serving size ({_overrides(found.latency_at)}), in ONNX Runtime on one thread, median "
        "of a call; a shape is rows x tokens."
    )
    if without:
        said += (
            f" {' and '.join(without)}: the runtime has no int8 kernel for this cell, so the int8 graph holds its "
            "lookup tables in 8 bits and runs the recurrence in fp32."
        )
    return f"{said}\n\n{table(head, lines)}"


def _speed(cell: CellRuns, shapes: Sequence[tuple[int, int]]) -> list[list[str]]:
    speed = cell.speed
    if speed is None:
        return []
    if speed.failed:
        return [[cell.name, f"{speed.parameters:,}", speed.failed]]
    times = {(one.precision, one.rows, one.tokens): one.ms for one in speed.timings}
    nodes = {"fp32": speed.fp32_node, "int8": speed.int8_node}
    sizes = {"fp32": speed.fp32_mb, "int8": speed.int8_mb}
    return [
        [
            cell.name,
            f"{speed.parameters:,}",
            precision,
            f"{sizes[precision]:.1f}",
            nodes[precision],
            *(f"{times[precision, rows, tokens]:.2f}" for rows, tokens in shapes),
        ]
        for precision in ("fp32", "int8")
    ]


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; short lines are filled up."""
    rows = [list(head), ["---"] * len(head), *([*line, *[""] * (len(head) - len(line))] for line in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _name(technique: TechniqueRuns) -> str:
    return f"{technique.name} ({technique.paper})" if technique.paper else technique.name


def _overrides(changed: Overrides | Mapping[Side, Overrides]) -> str:
    return ", ".join(f"`{key} = {json.dumps(value, ensure_ascii=False)}`" for key, value in changed.items()) or "base"


def show_spread(figures: Iterable[float]) -> str:
    """Return "mean ± deviation", to the tenth."""
    known = list(figures)
    return _plus_minus(spread(known)) if known else NOTHING


def _plus_minus(found: Spread) -> str:
    return f"{found.mean:.1f}" if found.sd is None else f"{found.mean:.1f} ± {found.sd:.1f}"


def show_paired(found: Paired | None) -> str:
    """Return a difference with its interval in brackets, to the tenth."""
    if found is None:
        return NOTHING
    if found.low is None or found.high is None:
        return f"{found.difference:+.1f} (one seed)"
    return f"{found.difference:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"


def _parameters(runs: Iterable[Run]) -> str:
    known = [run.parameters for run in runs if run.parameters is not None]
    return f"{known[0]:,}" if known else NOTHING


def _mean(figures: Iterable[float | None], digits: int) -> str:
    known = [one for one in figures if one is not None]
    return f"{sum(known) / len(known):.{digits}f}" if known else NOTHING
