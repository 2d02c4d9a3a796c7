"""Metrics of shadows: what candidates say of texts that others have answered."""

from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram, Summary

from app.measures.buckets import PACKAGE
from app.tally import Tallies

OUTCOMES = ("agreed", "differed", "dropped", "failed")

_LATER_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)
DIFFERENCES = (*(-seconds for seconds in reversed(_LATER_S)), 0.0, *_LATER_S)
"""Seconds, either way: below 0 the candidate is the faster one."""


@dataclass(frozen=True, slots=True)
class ShadowSeries:
    """The series of one candidate."""

    texts: dict[str, Counter]
    """By outcome."""
    latency_difference_seconds: Histogram
    serving_seconds: Counter
    candidate_seconds: Counter
    probability_difference: Summary


class ShadowMeasures:
    """What is counted of candidates; model and version are the candidate's."""

    def __init__(self, r: Tallies) -> None:
        self.shadow_texts = Counter(
            "sluice_shadow_texts",
            "Texts of the candidate's share by what came of them.",
            [*PACKAGE, "outcome"],
            registry=r,
        )
        self.shadow_latency_difference_seconds = Histogram(
            "sluice_shadow_latency_difference_seconds",
            "The candidate's time in the runtime less that of the version that answered.",
            PACKAGE,
            buckets=DIFFERENCES,
            registry=r,
        )
        self.shadow_infer_seconds = Counter(
            "sluice_shadow_infer_seconds",
            "Both times of the texts of which both are known.",
            [*PACKAGE, "side"],
            registry=r,
        )
        self.shadow_probability_difference = Summary(
            "sluice_shadow_probability_difference",
            "How far apart the two probabilities of the label are that was answered.",
            PACKAGE,
            registry=r,
        )
        self.shadow_share = Gauge(
            "sluice_shadow_share",
            "Share of the requests that it gets too.",
            PACKAGE,
            multiprocess_mode="livemax",
            registry=r,
        )

    def of_shadow(self, model: str, version: str) -> ShadowSeries:
        """Return a candidate's series, put in place at the first call."""
        return ShadowSeries(
            texts={outcome: self.shadow_texts.labels(model, version, outcome) for outcome in OUTCOMES},
            latency_difference_seconds=self.shadow_latency_difference_seconds.labels(model, version),
            serving_seconds=self.shadow_infer_seconds.labels(model, version, "serving"),
            candidate_seconds=self.shadow_infer_seconds.labels(model, version, "candidate"),
            probability_difference=self.shadow_probability_difference.labels(model, version),
        )
