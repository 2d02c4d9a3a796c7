"""The model card of a summarizer, README.md of its package."""

from collections.abc import Mapping
from typing import Any

from app.modelpack.manifest import Manifest
from training import summary_sections
from training.conventions import SETS
from training.judged import KEYS
from training.markdown import table
from training.summarize.config import SummarizeConfig
from training.summarize.parity import Checks


def card(manifest: Manifest, config: SummarizeConfig, checks: Checks) -> str:
    """Return the card as Markdown."""
    parts = {
        "Figures": _figures(manifest),
        "Certainty": summary_sections.certainty(manifest.provenance["leads"]),
        "What it writes": _written(manifest),
        "What goes wrong": "\n".join(f"- {one}" for one in config.observed),
        "Stages": _stages(manifest.provenance["training"]),
        "Checks at pack time": _checks(checks, manifest.provenance["length_penalties"]),
        "Data": _data(config),
        "Limits": "\n".join(f"- {limit}" for limit in (*_shortfalls(manifest), *config.limits)),
        "Rebuild": _rebuild(manifest, config),
    }
    head = [f"# {manifest.name} {manifest.version}", config.summary, _facts(manifest)]
    body = [f"## {title}\n\n{text}" for title, text in parts.items() if text]
    return "\n\n".join([*head, *body]) + "\n"


def _facts(manifest: Manifest) -> str:
    sizes = ", ".join(
        f"{one.role} {one.precision} {manifest.files[one.file].bytes / 1e6:.1f} MB" for one in manifest.graphs
    )
    kinds = ", ".join(manifest.generation.kinds) if manifest.generation else ""
    return (
        f"Kinds: {kinds}. Languages: {', '.join(manifest.languages)}. Vocabulary: {manifest.tokenizer.vocab_size} "
        f"pieces, shared by text and summary. Longest text: {manifest.limits.max_tokens} tokens. Graphs: {sizes}.\n\n"
        "A pointer-generator (See et al. 2017): a bidirectional LSTM reads, two layers of LSTM around an attention\n"
        "write, each token a mixture of writing one out of the vocabulary and copying one of the text."
    )


def _figures(manifest: Manifest) -> str:
    rows = []
    for one in manifest.evaluation:
        about = SETS.get(one.data)
        must = "; ".join(f"{name} {_triple(figures)}" for name, figures in about.must_beat.items()) if about else ""
        shown = [_of(one.baseline), _of(one.baselines["textrank"]), _of(one.baselines["oracle"])]
        goal = _triple(about.goal) if about else ""
        rows.append([one.data, one.split, str(one.rows), f"**{_of(one.metrics)}**", *shown, must, goal])
    first = manifest.evaluation[0]
    head = ["data set", "split", "rows", "this model", "held against", "TextRank", "oracle", "must beat", "goal"]
    return "\n".join(
        [
            "ROUGE-1 / -2 / -L, F in per cent, by the library `rouge-score` (English stemmed, Chinese by character),",
            "the mean over references where there are several. A set is held against the Lead that it is known by. The",
            "oracle has seen the summary: greedily chosen sentences, which bound what quoting can reach.",
            "",
            table(head, rows),
            "",
            f"By the {first.precision} graphs through the serving code, on {first.measured_on}.",
            "",
            "![learning curves](report/learning-curves.png)",
        ]
    )


def _written(manifest: Manifest) -> str:
    shares = ("copied", "repeated", "novel_1", "novel_2", "numbers", "names", "ended")
    rows = [
        [one.data, f"{one.metrics['length']:.2f}", *(f"{one.metrics[name]:.1%}" for name in shares)]
        for one in manifest.evaluation
    ]
    head = ["data set", "length over the reference's", "tokens copied", "repeated trigrams", "novel words"]
    return "What is novel is lacking in the document; so are the numbers and names counted here.\n\n" + table(
        [*head, "novel pairs", "numbers", "names", "ended by itself"], rows
    )


def _stages(training: Mapping[str, Any]) -> str:
    lines = ["What each stage reached on dev (a sample of each set): nats a token, and ROUGE of greedy summaries."]
    if "read" in training:
        perplexities = " and ".join(f"{one:.0f}" for one in training["read"]["perplexities"])
        lines += ["", f"Language model, perplexity reading on and back: {perplexities}."]
    known = {name: training[name]["dev"] for name in ("restored", "summaries") if name in training}
    rows = [
        [data, *(f"{one['loss']:.2f}; {_shares(one['rouge'])}" for one in (dev[data] for dev in known.values()))]
        for data in training["summaries"]["dev"]
    ]
    lines += ["", table(["data set", *(f"after {name}" for name in known)], rows)]
    minutes = ", ".join(f"{name} {training[name]['seconds'] / 60:.0f} minutes" for name in known)
    return "\n".join([*lines, "", f"On one core: {minutes}."])


def _checks(checks: Checks, penalties: Mapping[str, Mapping[float, float]]) -> str:
    documents = f"{checks.documents} dev documents, greedily"
    chosen = "; ".join(
        f"{kind}: {', '.join(f'{penalty:g} gives {100 * score:.2f}' for penalty, score in scores.items())}"
        for kind, scores in penalties.items()
        if scores
    )
    tuned = f"\n- Mean ROUGE on dev by length penalty, of which the best is the default: {chosen}." if chosen else ""
    return (
        f"- Torch and the fp32 graphs write the same, token for token, on {checks.fp32_equal:.1%} of {documents}.\n"
        f"- int8 and fp32 likewise on {checks.int8_equal:.1%}; int8 costs {checks.int8_points:.2f} points of ROUGE."
        f"{tuned}"
    )


def _data(config: SummarizeConfig) -> str:
    text = (
        "Trained on the training split of each; rows an epoch are a set's weight. The package holds none of the texts."
    )
    rows = [
        [f"{one.name}: {one.title}", one.kind, str(one.rows_per_epoch), one.source, one.licence] for one in config.sets
    ]
    found = f"{text}\n\n{table(['data set', 'kind', 'rows an epoch', 'source', 'licence'], rows)}"
    if config.pretrain is None:
        return found
    return f"{found}\n\nPre-trained on documents alone: {', '.join(one.name for one in config.pretrain.documents)}."


def _shortfalls(manifest: Manifest) -> list[str]:
    lines = []
    for one in manifest.evaluation:
        about = SETS.get(one.data)
        for name, figures in about.must_beat.items() if about else ():
            below = [
                f"{key} by {figure - 100 * one.metrics[key]:.1f}"
                for key, figure in zip(KEYS, figures, strict=False)
                if 100 * one.metrics[key] < figure
            ]
            if below:
                lines.append(f"Below {name} on {one.data}: {', '.join(below)} points.")
    return lines


def _rebuild(manifest: Manifest, config: SummarizeConfig) -> str:
    file = f"training/configs/{manifest.name}.toml"
    verbs = ["prepare", *(["pretrain"] if config.pretrain else []), "train", "export", "pack"]
    how = (
        f"    {config.rebuild}"
        if config.rebuild
        else "With `SLUICE_DATA` naming the folder of data sets:\n\n"
        + "\n".join(f"    sluice-train {verb} {file}" for verb in verbs)
    )
    return (
        f"{how}\n\n"
        "Every setting, the versions of the libraries and the SHA-256 of each data file stand under `provenance` in\n"
        "manifest.json. Where `minutes` end a stage, another processor gets further or less far in them."
    )


def _of(metrics: Mapping[str, float]) -> str:
    return _triple([100 * metrics[name] for name in KEYS])


def _shares(rouge: Mapping[str, float]) -> str:
    return _triple([100 * one for one in rouge.values()])


def _triple(figures: Any) -> str:
    return " / ".join(f"{figure:.1f}" for figure in figures)
