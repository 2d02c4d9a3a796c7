"""The model card, README.md of a package: what it is, how it measures, what it is made of, where it ends."""

from app.modelpack.manifest import Evaluation, Manifest
from training import sections
from training.baselines.measure import TITLES
from training.config import DataSet, Metric, RunConfig
from training.findings import Findings
from training.parity import Checks

NAMES = {"accuracy": "accuracy", "macro_f1": "macro-F1", "macro_recall": "macro-recall"}


def card(manifest: Manifest, config: RunConfig, found: Findings) -> str:
    """Return the card as Markdown; a section of which nothing was measured is left out."""
    split = manifest.evaluation[0].split
    parts = {
        "Figures": _figures(manifest, config),
        "Goals": sections.goals(manifest, config),
        "Certainty": sections.certainty(found, TITLES),
        "Calibration": sections.calibrated(manifest.calibration, found, split) if manifest.calibration else None,
        "8 bits": sections.int8(manifest, config, found),
        "Negation and contrast": sections.negation(found.contrast) if found.contrast else None,
        "Text it never saw": sections.unseen(found),
        "Seeds": sections.seeds(found),
        "Speed": sections.speed(found.speed),
        "Checks at pack time": _checks(found.checks),
        "Data": _data(config),
        "Limits": "\n".join(f"- {limit}" for limit in (*_shortfalls(manifest, config, found), *config.limits)),
        "Rebuild": _rebuild(manifest, config),
    }
    head = [f"# {manifest.name} {manifest.version}", config.summary, _facts(manifest)]
    body = [f"## {title}\n\n{text}" for title, text in parts.items() if text]
    return "\n\n".join([*head, *body]) + "\n"


def _facts(manifest: Manifest) -> str:
    sizes = ", ".join(f"{one.precision} {manifest.files[one.file].bytes / 1e6:.1f} MB" for one in manifest.graphs)
    return (
        f"Labels: {', '.join(manifest.labels)}. Languages: {', '.join(manifest.languages)}. "
        f"Vocabulary: {manifest.tokenizer.vocab_size} byte-pair tokens. "
        f"Longest text: {manifest.limits.max_tokens} tokens. Graphs: {sizes}."
    )


def _figures(manifest: Manifest, config: RunConfig) -> str:
    names = [name for name in TITLES if any(name in one.baselines for one in manifest.evaluation)]
    lines = [
        "The network is one model for all sets. The baselines are one for each set, trained on the splits of that set",
        "that stand under Data, their settings chosen on dev; VADER and SnowNLP come as they are. The difference is to",
        "the best of them. Where a set has fewer labels than the model, it is scored on its own.",
        "",
        f"| data set | split | rows | figure | network | {' | '.join(TITLES[name] for name in names)} | difference |",
        "|---|---|---|---|---|" + "---|" * (len(names) + 1),
    ]
    metrics = {one.name: one.metric for one in config.sets}
    for one in manifest.evaluation:
        metric = metrics[one.data]
        ours, best = one.metrics[metric], best_baseline(one, metric)[1]
        theirs = [f"{100 * one.baselines[name][metric]:.1f}" if name in one.baselines else "" for name in names]
        lines.append(
            f"| {one.data} | {one.split} | {one.rows} | {NAMES[metric]} | {100 * ours:.1f} | "
            f"{' | '.join(theirs)} | {100 * (ours - best):+.1f} |"
        )
    first = manifest.evaluation[0]
    lines += [
        "",
        f"In per cent, by the {first.precision} graph through the serving code, on {first.measured_on}. manifest.json",
        "has accuracy, macro-F1 and macro-recall of each set.",
        "",
        "![learning curves](report/learning-curves.png)",
        "",
        f"![confusion matrices, {first.split} split](report/confusion.png)",
    ]
    return "\n".join(lines)


def best_baseline(one: Evaluation, metric: Metric) -> tuple[str, float]:
    """Return the title and the figure of the baseline that is best by `metric`."""
    name = max(one.baselines, key=lambda name: one.baselines[name][metric])
    return TITLES[name], one.baselines[name][metric]


def _shortfalls(manifest: Manifest, config: RunConfig, found: Findings) -> list[str]:
    lines = []
    for one in manifest.evaluation:
        metric = next(wanted.metric for wanted in config.sets if wanted.name == one.data)
        title, figure = best_baseline(one, metric)
        if one.metrics[metric] < figure:
            lines.append(f"Below {title} on {one.data} by {100 * (figure - one.metrics[metric]):.1f} points.")
    silent = {name: one.unanswered for name, one in found.sets.items() if one.unanswered}
    lines += [f"{rows} rows of {name} have no word that it knows, and count as wrong." for name, rows in silent.items()]
    return lines


def _checks(checks: Checks) -> str:
    return "\n".join(
        [
            f"- Largest difference of a logit between torch and the fp32 graph: {checks.torch_difference:.1e}.",
            f"- Between a row alone and padded in a batch (fp32): {checks.padding_difference:.1e}.",
            f"- Likewise in int8: {checks.int8_company:.1e}.",
            f"- Between the logits and the sum of `attribution` plus bias (fp32): {checks.attribution_difference:.1e}.",
            f"- Same label from int8 and fp32 on dev: {checks.int8_agreement:.2%} of rows.",
        ]
    )


def _data(config: RunConfig) -> str:
    lines = [
        "Trained on these splits; the share of each in an epoch is its weight. The package holds none of the texts.",
        "",
        "| data set | trained on (rows an epoch) | source | licence |",
        "|---|---|---|---|",
    ]
    lines += [f"| {one.name}: {one.title} | {_parts(one)} | {one.source} | {one.licence} |" for one in config.sets]
    if config.auxiliary:
        second = ", ".join(f"{one.name} {one.split} ({one.rows_per_epoch})" for one in config.auxiliary)
        lines += ["", f"Learnt beside them, through a head that is not in the package (rows an epoch): {second}."]
    return "\n".join(lines)


def _parts(one: DataSet) -> str:
    return ", ".join(f"{part.split} ({part.rows_per_epoch})" for part in one.train)


def _rebuild(manifest: Manifest, config: RunConfig) -> str:
    file = f"training/configs/{manifest.name}.toml"
    before = [verb for verb, section in (("pretrain", config.pretrain), ("distill", config.distill)) if section]
    verbs = "\n".join(f"    sluice-train {verb} {file}" for verb in ("prepare", *before, "train", "export", "pack"))
    how = (
        f"    {config.rebuild}" if config.rebuild else f"With `SLUICE_DATA` naming the folder of data sets:\n\n{verbs}"
    )
    return (
        f"{how}\n\n"
        "Every setting, the versions of the libraries and the SHA-256 of each data file stand under `provenance` in\n"
        "manifest.json. Seeds are fixed; another processor or number of threads may still differ in last digits."
    )


def measured(one: Evaluation, config: RunConfig) -> str:
    """Return one line about one set, for the terminal."""
    metric = next(wanted.metric for wanted in config.sets if wanted.name == one.data)
    title, figure = best_baseline(one, metric)
    return f"{one.data}/{one.split}: {metric} {one.metrics[metric]:.4f}, best baseline {title} {figure:.4f}"
