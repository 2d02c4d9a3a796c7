"""Metrics of summaries: what the decoder counts."""

from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

from app.measures.buckets import PACKAGE, ROWS, SECONDS
from app.tally import HistogramTally, SumTally, Tallies

FINISHES = ("eos", "length", "deadline")


@dataclass(frozen=True, slots=True)
class WriterSeries:
    """The series of one package that writes."""

    encode_seconds: HistogramTally
    step_seconds: HistogramTally
    step_rows: HistogramTally
    first_token_seconds: HistogramTally
    inter_token_seconds: HistogramTally
    tokens: SumTally
    summaries: dict[str, SumTally]


class SummaryMeasures:
    """What is counted of summaries under way."""

    def __init__(self, r: Tallies) -> None:
        self.encode_seconds = Histogram(
            "sluice_encode_duration_seconds", "Reading one text to be summarized.", PACKAGE, buckets=SECONDS, registry=r
        )
        self.step_seconds = Histogram(
            "sluice_step_duration_seconds", "One step of the summaries under way.", PACKAGE, buckets=SECONDS, registry=r
        )
        self.step_rows = Histogram("sluice_step_rows", "Summaries in a step.", PACKAGE, buckets=ROWS, registry=r)
        self.first_token_seconds = Histogram(
            "sluice_first_token_seconds",
            "From a text's submission to the first token of its summary.",
            PACKAGE,
            buckets=SECONDS,
            registry=r,
        )
        self.inter_token_seconds = Histogram(
            "sluice_inter_token_seconds", "Between two tokens of a summary.", PACKAGE, buckets=SECONDS, registry=r
        )
        self.generated_tokens = Counter("sluice_generated_tokens", "Tokens of whole summaries.", PACKAGE, registry=r)
        self.summaries = Counter("sluice_summaries", "Summaries by why they end.", [*PACKAGE, "reason"], registry=r)
        self._declare_slots(r)

    def _declare_slots(self, r: Tallies) -> None:
        self.slots = Gauge(
            "sluice_slots", "Summaries that may be written at once.", multiprocess_mode="livesum", registry=r
        )
        self.slots_used = Gauge(
            "sluice_slots_used", "Summaries being written.", multiprocess_mode="livesum", registry=r
        )
        self.slot_cells_used = Gauge(
            "sluice_slot_cells_used", "Cells of source memory in use.", multiprocess_mode="livesum", registry=r
        )
        self.summary_queue_rows = Gauge(
            "sluice_summary_queue_rows", "Texts waiting to be summarized.", multiprocess_mode="livesum", registry=r
        )
        self.summary_queue_tokens = Gauge(
            "sluice_summary_queue_tokens", "Tokens of those texts.", multiprocess_mode="livesum", registry=r
        )
