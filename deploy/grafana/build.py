"""Write the dashboard, dashboards/sluice.json: `python deploy/grafana/build.py`, or with --check only compare.

Nobody reviews thousands of lines of JSON; these lines can be, and the file is what they make.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from grafana_foundation_sdk.builders import common
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

FILE = Path(__file__).parent / "dashboards" / "sluice.json"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

HERE = 'instance=~"$instance"'
API = f'{HERE}, route=~"/v[0-9]+/.*"'
MODEL = f'{HERE}, model=~"$model"'
WINDOW = "[$__rate_interval]"

Target = tuple[str, str]
"""A query and the legend of its series."""

Panels = Iterator[Stat | Table | Timeseries]


def rate(series: str, by: str = "") -> str:
    """Return the summed rate of a counter, over ``by`` where it is given."""
    return f"sum{f' by ({by})' if by else ''} (rate({series}{WINDOW}))"


def grown(series: str, by: str) -> str:
    """Return by how much a counter of rare events has grown, over ``by``."""
    return f"sum by ({by}) (increase({series}{WINDOW}))"


def quantile(q: float, histogram: str, labels: str, by: str = "") -> str:
    """Return a quantile of a histogram over all instances, one for each value of ``by``."""
    return f"histogram_quantile({q}, {rate(f'{histogram}_bucket{{{labels}}}', f'{by}, le' if by else 'le')})"


def share(part: str, whole: str) -> str:
    """Return part/whole, and nothing instead of NaN while the whole is zero."""
    return f"{part} / ({whole} > 0)"


def mean(histogram: str, labels: str, by: str = "") -> str:
    """Return what a histogram holds on average, over ``by`` where it is given."""
    return share(rate(f"{histogram}_sum{{{labels}}}", by), rate(f"{histogram}_count{{{labels}}}", by))


def quantiles(histogram: str, labels: str) -> list[Target]:
    """Return the three quantiles that are shown of every time."""
    return [(quantile(q, histogram, labels), f"p{q * 100:.0f}") for q in (0.5, 0.95, 0.99)]


ERRORS = rate(f'sluice_requests_total{{{API}, code=~"5.."}}')
REQUESTS = rate(f"sluice_requests_total{{{API}}}")
PADDING = rate(f'sluice_cells_total{{{MODEL}, kind="padding"}}')
CELLS = rate(f"sluice_cells_total{{{MODEL}}}")


def stat(title: str, expr: str, unit: str, description: str, steps: list[tuple[float | None, str]]) -> Stat:
    """Return a tile: the present value, coloured by thresholds, over its recent course."""
    return (
        Stat()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .span(4)
        .height(4)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .thresholds(
            ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(value=value, color=color) for value, color in steps])
        )
        .with_target(Dataquery().expr(expr).ref_id("A"))
    )


def graph(
    title: str, unit: str, targets: list[Target], description: str, *, stacked: bool = False, signed: bool = False
) -> Timeseries:
    """Return a graph over time, two of which fill a line; ``signed``: values may be below 0."""
    panel = (
        Timeseries()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .span(12)
        .height(8)
        .draw_style(GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(30 if stacked else 5)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.RIGHT)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if not signed:
        panel.min(0)
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    for ref_id, (expr, legend) in zip("ABCDEFGH", targets, strict=False):
        panel.with_target(Dataquery().expr(expr).legend_format(legend).ref_id(ref_id))
    return panel


def overview() -> Panels:
    """Yield the tiles that answer whether anything is wrong."""
    yield stat(
        "Ready instances",
        f"sum(sluice_ready{{{HERE}}})",
        "short",
        "Instances that take requests; the others start, drain or are stuck.",
        [(None, "red"), (1, "green")],
    )
    yield stat("Requests", REQUESTS, "reqps", "API requests, probes left out.", [(None, "blue")])
    yield stat(
        "Errors",
        share(ERRORS, REQUESTS),
        "percentunit",
        "Share of API requests answered with 5xx.",
        [(None, "green"), (0.001, "orange"), (0.01, "red")],
    )
    yield stat(
        "p99 latency",
        quantile(0.99, "sluice_request_duration_seconds", API),
        "s",
        "99 of 100 API requests are answered within this time.",
        [(None, "green"), (0.1, "orange"), (0.5, "red")],
    )
    yield stat(
        "Texts waiting",
        f"sum(sluice_queue_rows{{{HERE}}})",
        "short",
        "Rows in the queue; a number that stays means too few cores.",
        [(None, "green"), (100, "orange"), (1000, "red")],
    )
    yield stat(
        "Padding waste",
        share(PADDING, CELLS),
        "percentunit",
        "Share of computed cells that were padding.",
        [(None, "green"), (0.2, "orange"), (0.4, "red")],
    )


def traffic() -> Panels:
    """Yield the graphs of who asks for what, and how much."""
    yield graph(
        "Requests by route",
        "reqps",
        [(rate(f"sluice_requests_total{{{API}}}", "route"), "{{route}}")],
        "API requests a second.",
        stacked=True,
    )
    yield graph(
        "Texts by package",
        "ops",
        [(rate(f"sluice_items_total{{{MODEL}}}", "model, version"), "{{model}}/{{version}}")],
        "Texts a second, answered or refused; a request carries one or many.",
        stacked=True,
    )
    yield graph(
        "Tokens computed",
        "ops",
        [(rate(f"sluice_cells_total{{{MODEL}}}", "kind"), "{{kind}}")],
        "Cells a second: the measure of work that the queue and the batches are bounded by.",
        stacked=True,
    )
    yield graph(
        "Requests in flight",
        "short",
        [(f"sum by (instance) (sluice_requests_in_flight{{{HERE}}})", "{{instance}}")],
        "Requests received and not yet answered.",
    )


def errors() -> Panels:
    """Yield the graphs of what was not answered, and why."""
    yield graph(
        "Answers by status",
        "reqps",
        [(rate(f"sluice_requests_total{{{API}}}", "code") + " > 0", "{{code}}")],
        "4xx are the caller's mistakes, 429 and 503 overload and drains, 504 missed deadlines, 500 ours.",
    )
    yield graph(
        "5xx by route",
        "percentunit",
        [
            (
                share(
                    rate(f'sluice_requests_total{{{API}, code=~"5.."}}', "route"),
                    rate(f"sluice_requests_total{{{API}}}", "route"),
                ),
                "{{route}}",
            )
        ],
        "Share of each route's requests answered with 5xx.",
    )
    yield graph(
        "Refused and given up",
        "ops",
        [
            (rate(f"sluice_rejected_total{{{HERE}}}", "reason"), "refused: {{reason}}"),
            (rate(f"sluice_dropped_total{{{HERE}}}", "reason"), "given up: {{reason}}"),
        ],
        "Requests refused before any work; texts whose caller left or whose deadline passed while they waited.",
    )
    yield graph(
        "Texts not answered",
        "ops",
        [(rate(f'sluice_items_total{{{MODEL}, code!="ok"}}', "code"), "{{code}}")],
        "Single bad texts, told in `errors` of an answer whose other texts were answered.",
    )


def latency() -> Panels:
    """Yield the graphs of how long a request takes, and where its time goes."""
    yield graph(
        "Request time",
        "s",
        quantiles("sluice_request_duration_seconds", API),
        "From the first byte to the last, over all API routes.",
    )
    yield graph(
        "p99 by route",
        "s",
        [(quantile(0.99, "sluice_request_duration_seconds", API, "route"), "{{route}}")],
        "The slowest hundredth of each route.",
    )
    stages = ("tokenize", "queue", "infer")
    yield graph(
        "p99 by stage",
        "s",
        [(quantile(0.99, f"sluice_{stage}_duration_seconds", MODEL), stage) for stage in stages],
        "The slowest hundredth of each stage: long in queue: too few cores; long in infer: long texts.",
    )
    yield graph(
        "Mean by stage",
        "s",
        [(mean(f"sluice_{stage}_duration_seconds", MODEL), stage) for stage in stages],
        "Mean time of each stage.",
        stacked=True,
    )


def queue() -> Panels:
    """Yield the graphs of what waits, and how batches are formed of it."""
    yield graph(
        "Waiting",
        "short",
        [
            (f"sum(sluice_queue_rows{{{HERE}}})", "texts"),
            (f"sum(sluice_queue_tokens{{{HERE}}})", "tokens"),
        ],
        "What stands in the queues now. At SLUICE_MAX_QUEUE_TOKENS an instance answers 429.",
    )
    yield graph("Time in the queue", "s", quantiles("sluice_queue_duration_seconds", MODEL), "Until the first batch.")
    yield graph(
        "Forecast wait",
        "s",
        [
            (f"max by (priority) (sluice_forecast_wait_seconds{{{HERE}}})", "{{priority}}"),
            (f"max(sluice_event_loop_lag_seconds{{{HERE}}})", "to be read"),
        ],
        "How long would wait what comes now. Beyond SLUICE_MAX_WAIT_MS it gets 429, and beyond "
        "SLUICE_OVERLOAD_WAIT_MS while more comes than can be done.",
    )
    yield graph(
        "Error of the forecast",
        "s",
        quantiles("sluice_wait_error_seconds", HERE),
        "By how much the wait of a request was misjudged when it came.",
    )
    yield graph(
        "Rows of a batch",
        "short",
        [
            (mean("sluice_batch_rows", MODEL), "mean"),
            (quantile(0.95, "sluice_batch_rows", MODEL), "p95"),
        ],
        "Texts computed together. 1 is right while nothing waits: a batch is never waited for.",
    )
    yield graph(
        "Padding waste",
        "percentunit",
        [
            (
                share(
                    rate(f'sluice_cells_total{{{MODEL}, kind="padding"}}', "model, version"),
                    rate(f"sluice_cells_total{{{MODEL}}}", "model, version"),
                ),
                "{{model}}/{{version}}",
            )
        ],
        "Share of computed cells that were padding; SLUICE_MAX_PADDING_SHARE bounds it for each batch.",
    )
    rows = rate(f"sluice_cache_rows_total{{{HERE}}}")
    yield graph(
        "Cache hit ratio",
        "percentunit",
        [
            (share(rate(f'sluice_cache_rows_total{{{HERE}, result="{result}"}}'), rows), result)
            for result in ("hit", "shared")
        ],
        "Share of rows whose answer was kept, or on its way for somebody else; empty without SLUICE_CACHE_BYTES.",
        stacked=True,
    )
    yield graph(
        "Cache size",
        "bytes",
        [(f"sum by (instance) (sluice_cache_bytes{{{HERE}}})", "{{instance}}")],
        "What the kept answers take, at most SLUICE_CACHE_BYTES a process.",
    )


def summaries() -> Panels:
    """Yield the graphs of how summaries are written: how fast, how many at once, and why they end."""
    yield graph(
        "Time to the first token",
        "s",
        quantiles("sluice_first_token_seconds", MODEL),
        "From a text's submission: the queue, the reading of the text, one step.",
    )
    yield graph(
        "Time between tokens",
        "s",
        quantiles("sluice_inter_token_seconds", MODEL),
        "What a reader of a stream sees; it grows with the summaries that share a step.",
    )
    yield graph(
        "Tokens written",
        "ops",
        [(rate(f"sluice_generated_tokens_total{{{MODEL}}}", "model, version"), "{{model}}/{{version}}")],
        "Tokens of whole summaries a second.",
        stacked=True,
    )
    yield graph(
        "Slots",
        "short",
        [
            (f"sum(sluice_slots_used{{{HERE}}})", "written"),
            (f"sum(sluice_summary_queue_rows{{{HERE}}})", "waiting"),
            (f"sum(sluice_slots{{{HERE}}})", "slots"),
        ],
        "Summaries under way, those that wait for a slot, and how many there are (SLUICE_MAX_SLOTS).",
    )
    yield graph(
        "Steps",
        "short",
        [
            (rate(f"sluice_step_duration_seconds_count{{{MODEL}}}"), "steps a second"),
            (mean("sluice_step_rows", MODEL), "summaries a step"),
        ],
        "Steps a second, and how many summaries share one on average.",
    )
    yield graph(
        "Why summaries end",
        "ops",
        [(rate(f"sluice_summaries_total{{{MODEL}}}", "reason"), "{{reason}}")],
        "eos: by themselves; length: cut at max_tokens; deadline: cut at SLUICE_TIMEOUT_MS.",
        stacked=True,
    )


def versions() -> Panels:
    """Yield the graphs of which version answers whom, and how a candidate does that is tried unseen."""
    yield graph(
        "Texts by alias",
        "ops",
        [
            (
                rate(f"sluice_aliased_items_total{{{MODEL}}}", "model, version, alias"),
                "{{model}}/{{version}} as {{alias}}",
            )
        ],
        "Texts a second that were answered by a version which an alias led to.",
        stacked=True,
    )
    yield graph(
        "Shares set",
        "percentunit",
        [
            (
                f"max by (model, version, alias) (sluice_alias_share{{{MODEL}}})",
                "{{model}}/{{version}} as {{alias}}",
            ),
            (f"max by (model, version) (sluice_shadow_share{{{MODEL}}})", "{{model}}/{{version}} unseen"),
        ],
        "What aliases get of the requests that name no version, and candidates of all that name none by number.",
    )
    asked = rate(f'sluice_shadow_texts_total{{{MODEL}, outcome=~"agreed|differed|failed"}}', "model, version")
    yield graph(
        "Shadow agreement",
        "percentunit",
        [
            (
                share(rate(f'sluice_shadow_texts_total{{{MODEL}, outcome="agreed"}}', "model, version"), asked),
                "{{model}}/{{version}}",
            )
        ],
        "Share of the texts that a candidate was asked on which its label is the one that was answered.",
    )
    yield graph(
        "Shadow texts",
        "ops",
        [(rate(f"sluice_shadow_texts_total{{{MODEL}}}", "outcome"), "{{outcome}}")],
        "Texts of candidates' shares; dropped while callers wait.",
        stacked=True,
    )
    difference = "sluice_shadow_latency_difference_seconds"
    yield graph(
        "Shadow latency difference",
        "s",
        [
            (quantile(q, difference, MODEL, "model, version"), f"{{{{model}}}}/{{{{version}}}} p{q * 100:.0f}")
            for q in (0.5, 0.95)
        ],
        "A candidate's time in the runtime less that of the version that answered; below 0 it is faster.",
        signed=True,
    )
    yield graph(
        "Shadow probability difference",
        "percentunit",
        [(mean("sluice_shadow_probability_difference", MODEL, "model, version"), "{{model}}/{{version}}")],
        "How far apart, on average, the two probabilities are of the label that was answered.",
    )


def models() -> Panels:
    """Yield which packages are served, and the graphs of what they and their processes do."""
    yield (
        Table()
        .title("Packages served")
        .description("Every package of every instance, with the graph and the device that answer.")
        .datasource(SOURCE)
        .span(12)
        .height(8)
        .show_header(True)
        .with_target(
            Dataquery().expr(f"sluice_model_info{{{MODEL}}}").instant().format(PromQueryFormat.TABLE).ref_id("A")
        )
        .with_transformation(
            DataTransformerConfig(
                id_val="organize",
                options={"excludeByName": {"Time": True, "Value": True, "__name__": True, "job": True}},
            )
        )
    )
    yield graph(
        "Packages by state",
        "short",
        [(f"sum by (state) (sluice_models{{{HERE}}})", "{{state}}")],
        "A failed package was refused when it was opened; /v1/models gives the reason.",
    )
    yield graph(
        "CPU",
        "short",
        [(rate(f'process_cpu_seconds_total{{{HERE}, job="sluice"}}', "instance"), "{{instance}}")],
        "Cores in use.",
    )
    yield graph(
        "Memory",
        "bytes",
        [(f'sum by (instance) (process_resident_memory_bytes{{{HERE}, job="sluice"}})', "{{instance}}")],
        "Resident memory; it rises with the longest texts seen and then stays.",
    )
    yield graph(
        "Hangs and sessions replaced",
        "short",
        [
            (grown(f"sluice_hangs_total{{{MODEL}}}", "model, version"), "{{model}}/{{version}} hung"),
            (
                grown(f"sluice_sessions_replaced_total{{{MODEL}}}", "model, version, result"),
                "{{model}}/{{version}} session {{result}}",
            ),
        ],
        "Runs that did not end within SLUICE_WATCHDOG_MS, and whether a new session took the old one's place.",
    )
    yield graph(
        "Worker restarts",
        "short",
        [(grown(f"sluice_worker_restarts_total{{{HERE}}}", "instance"), "{{instance}}")],
        "Worker processes that died and were replaced; each costs the requests that it had under way.",
    )


ROWS: dict[str, Callable[[], Panels]] = {
    "Overview": overview,
    "Traffic": traffic,
    "Errors": errors,
    "Latency": latency,
    "Queue and batches": queue,
    "Summaries": summaries,
    "Versions": versions,
    "Models and processes": models,
}


def build() -> str:
    """Return the dashboard as JSON text."""
    board = (
        Dashboard("Sluice")
        .uid("sluice")
        .description("Traffic, errors, latency, queue, batches, padding, cache, summaries, versions and models.")
        .tags(["sluice"])
        .readonly()
        .refresh("10s")
        .time("now-30m", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for name, metric in (("instance", "sluice_build_info"), ("model", "sluice_model_info")):
        board.with_variable(
            QueryVariable(name)
            .label(name.capitalize())
            .datasource(SOURCE)
            .query(f"label_values({metric}, {name})")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    for title, panels in ROWS.items():
        board.with_row(Row(title))
        for panel in panels():
            board.with_panel(panel)
    dashboard = board.build()
    # Grafana numbers panels that have no id anew at each load, which breaks links to a panel.
    for number, built in enumerate(dashboard.panels or [], start=1):
        built.id_val = number
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def main() -> int:
    """Write the file, or tell whether it is what this script makes."""
    text = build()
    if "--check" in sys.argv[1:]:
        if FILE.read_text("utf-8") == text:
            return 0
        sys.stderr.write(f"{FILE} is not what {Path(__file__).name} makes: run it and commit the result\n")
        return 1
    FILE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
