"""The model card of an extractor, README.md of its package."""

from collections.abc import Mapping
from typing import Any

from app.modelpack.manifest import Evaluation, Manifest
from training import summary_sections
from training.conventions import SETS
from training.extractive.config import ExtractConfig
from training.extractive.parity import Checks
from training.judged import KEYS
from training.markdown import table


def card(manifest: Manifest, config: ExtractConfig, checks: Checks) -> str:
    """Return the card as Markdown."""
    parts = {
        "Figures": _figures(manifest, config),
        "Certainty": summary_sections.certainty(manifest.provenance["leads"]),
        "What it quotes": summary_sections.likeness(manifest),
        "What goes wrong": "\n".join(f"- {one}" for one in config.observed),
        "Checks at pack time": _checks(checks, manifest),
        "Data": _data(config),
        "Limits": "\n".join(f"- {limit}" for limit in (*_shortfalls(manifest), *config.limits)),
        "Rebuild": _rebuild(manifest),
    }
    head = [f"# {manifest.name} {manifest.version}", config.summary, _facts(manifest, config)]
    body = [f"## {title}\n\n{text}" for title, text in parts.items() if text]
    return "\n\n".join([*head, *body]) + "\n"


def baselines(sentences: int) -> list[str]:
    """Return the names of the baselines that the card shows of a set of which so many sentences are quoted."""
    return [f"lead-{sentences}", f"plain-{sentences}", "textrank", "oracle"]


def _facts(manifest: Manifest, config: ExtractConfig) -> str:
    sizes = ", ".join(f"{one.precision} {manifest.files[one.file].bytes / 1e6:.1f} MB" for one in manifest.graphs)
    return (
        f"Languages: {', '.join(manifest.languages)}. Vocabulary: {manifest.tokenizer.vocab_size} byte-pair tokens. "
        f"Reads {config.document.max_sentences} sentences of {config.document.max_sentence_tokens} tokens. "
        f"Graphs: {sizes}."
    )


def _figures(manifest: Manifest, config: ExtractConfig) -> str:
    counts = {one.name: one.sentences for one in config.sets}
    rows = []
    for one in manifest.evaluation:
        about, many = SETS.get(one.data), counts[one.data]
        shown = [_of(one.baselines[name]) for name in baselines(many)]
        must = "; ".join(f"{name} {_triple(figures)}" for name, figures in about.must_beat.items()) if about else ""
        goal = _triple(about.goal) if about else ""
        rows.append([one.data, one.split, str(one.rows), str(many), f"**{_of(one.metrics)}**", *shown, must, goal])
    head = ["data set", "split", "rows", "sentences", "this model", "Lead", "Lead, plain stops", "TextRank", "oracle"]
    first = manifest.evaluation[0]
    return "\n".join(
        [
            "ROUGE-1 / -2 / -L, F in per cent, by the library `rouge-score` (English stemmed, Chinese by character),",
            "the mean over references where there are several. Every column quotes as many sentences of its own. The",
            "oracle has seen the summary: greedily chosen sentences, which bound what quoting can reach. Lead with",
            "plain stops cuts after every full stop, as the anchors in `must beat` were measured.",
            "",
            table([*head, "must beat", "goal"], rows),
            "",
            f"By the {first.precision} graph through the serving code, on {first.measured_on}.",
            "",
            "![learning curves](report/learning-curves.png)",
        ]
    )


def _checks(checks: Checks, manifest: Manifest) -> str:
    weights = "; ".join(
        f"{weight}: {', '.join(f'{name} {100 * value:.2f}' for name, value in found.items())}"
        for weight, found in checks.redundancies.items()
    )
    points = ", ".join(f"{name} {value:+.2f}" for name, value in checks.int8_points.items())
    chosen = manifest.extraction.redundancy if manifest.extraction else 0.0
    return "\n".join(
        [
            f"- Largest difference of a score between torch and the fp32 graph: {checks.torch_difference:.1e}.",
            f"- Between a document and the same one padded (fp32): {checks.padding_difference:.1e}.",
            f"- int8 and fp32 quote the same of {checks.int8_equal:.1%} of {checks.documents} dev documents.",
            f"- Points of mean ROUGE that int8 costs on dev: {points}.",
            f"- Mean ROUGE on dev by weight of redundancy, of which {chosen:g} was chosen: {weights}.",
        ]
    )


def _data(config: ExtractConfig) -> str:
    rows = [
        [f"{one.name}: {one.title}", str(one.rows or "all"), str(one.rows_per_epoch), one.source, one.licence]
        for one in config.sets
    ]
    text = "Trained on the training split of each, labels found greedily. The package holds none of the texts."
    return f"{text}\n\n{table(['data set', 'rows read', 'rows an epoch', 'source', 'licence'], rows)}"


def _shortfalls(manifest: Manifest) -> list[str]:
    lines = []
    for one in manifest.evaluation:
        about = SETS.get(one.data)
        for name, figures in (("its goal", about.goal), *about.must_beat.items()) if about else ():
            if below := _below(one, figures):
                lines.append(f"Below {name} on {one.data}: {below} points.")
        if below := _below(one, [100 * one.baseline[key] for key in KEYS]):
            lines.append(f"Below the baseline measured here on {one.data}: {below} points.")
    return lines


def _below(one: Evaluation, figures: Any) -> str:
    gaps = {key: figure - 100 * one.metrics[key] for key, figure in zip(KEYS, figures, strict=False)}
    return ", ".join(f"ROUGE-{key.removeprefix('rouge')} by {gap:.1f}" for key, gap in gaps.items() if gap > 0)


def _rebuild(manifest: Manifest) -> str:
    verbs = ("prepare", "train", "export", "pack")
    lines = "\n".join(f"    sluice-train {verb} training/configs/{manifest.name}.toml" for verb in verbs)
    return (
        f"With `SLUICE_DATA` naming the folder of data sets:\n\n{lines}\n\n"
        "Every setting, the versions of the libraries and the SHA-256 of each data file stand under `provenance` in\n"
        "manifest.json. Where `minutes` end the training, another processor gets further or less far in them."
    )


def _of(metrics: Mapping[str, float]) -> str:
    return _triple([100 * metrics[key] for key in KEYS])


def _triple(figures: Any) -> str:
    return " / ".join(f"{figure:.1f}" for figure in figures)
