"""GET /v2/models/.../stats: what the metrics know of packages, in the form that Triton gave it.

Read off the metrics, so that the two never differ and several worker processes count together.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from app.metrics import Metrics
from app.runtime.model import Model

_NS = 1_000_000_000
_COMPUTE = ("sluice_infer_duration_seconds", "sluice_step_duration_seconds", "sluice_encode_duration_seconds")
_QUEUE, _TOKENIZE = "sluice_queue_duration_seconds", "sluice_tokenize_duration_seconds"
_ITEMS, _LAST = "sluice_items_total", "sluice_last_inference_timestamp_seconds"

Totals = dict[str, float]


def statistics(metrics: Metrics, models: Iterable[Model]) -> dict[str, Any]:
    """Return the figures of packages since the service started."""
    totals = _totals(metrics)
    return {"model_stats": [_of(model, totals[model.name, model.version]) for model in models]}


def _totals(metrics: Metrics) -> defaultdict[tuple[str, str], Totals]:
    """Return each package's sums by sample name; items apart by whether they were answered."""
    found: defaultdict[tuple[str, str], Totals] = defaultdict(lambda: defaultdict(float))
    for family in metrics.collect():
        for sample in family.samples:
            labels = sample.labels
            if "model" in labels and "version" in labels and "le" not in labels:
                name = (
                    f"{sample.name} {'ok' if labels['code'] == 'ok' else 'failed'}" if "code" in labels else sample.name
                )
                found[labels["model"], labels["version"]][name] += sample.value
    return found


def _of(model: Model, totals: Totals) -> dict[str, Any]:
    answered, failed = int(totals[f"{_ITEMS} ok"]), int(totals[f"{_ITEMS} failed"])
    queue, compute_input = _spent(totals, _QUEUE), _spent(totals, _TOKENIZE)
    compute_infer = _spent(totals, *_COMPUTE)
    whole = queue["ns"] + compute_input["ns"] + compute_infer["ns"]
    return {
        "name": model.name,
        "version": model.version,
        "last_inference": int(totals[_LAST] * 1000),
        "inference_count": answered,
        "execution_count": compute_infer["count"],
        "inference_stats": {
            "success": {"count": answered, "ns": whole},
            "fail": {"count": failed, "ns": 0},
            "queue": queue,
            "compute_input": compute_input,
            "compute_infer": compute_infer,
            "compute_output": {"count": 0, "ns": 0},
        },
        "batch_stats": [],
    }


def _spent(totals: Totals, *names: str) -> dict[str, int]:
    return {
        "count": int(sum(totals[f"{name}_count"] for name in names)),
        "ns": int(sum(totals[f"{name}_sum"] for name in names) * _NS),
    }
