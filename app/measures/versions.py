"""Metrics of versions: what is served, what changed, and how the traffic is shared out."""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from app.measures.buckets import PACKAGE
from app.tally import Tallies

STATES = ("ready", "failed", "unloaded")
ACTIONS = ("load", "unload", "reload", "aliases", "shadow")
CHANGES = ("done", "refused")


class VersionMeasures:
    """What is counted of packages and their versions."""

    def __init__(self, r: Tallies) -> None:
        self.models = Gauge("sluice_models", "Packages by state.", ["state"], multiprocess_mode="livemax", registry=r)
        for state in STATES:
            self.models.labels(state)
        self.model_info = Gauge(
            "sluice_model_info",
            "1 for each package that is served.",
            [*PACKAGE, "task", "precision", "provider"],
            multiprocess_mode="livemax",
            registry=r,
        )
        self.changes = Counter("sluice_model_changes", "Changes of what is served.", ["action", "result"], registry=r)
        for action in ACTIONS:
            for result in CHANGES:
                self.changes.labels(action, result)
        self.aliased = Counter(
            "sluice_aliased_items", "Texts answered by a version that an alias led to.", [*PACKAGE, "alias"], registry=r
        )
        self.alias_share = Gauge(
            "sluice_alias_share",
            "Share of the requests that name no version.",
            [*PACKAGE, "alias"],
            multiprocess_mode="livemax",
            registry=r,
        )

    def count_aliases(self, model: str, version: str, aliases: Iterable[str | None]) -> None:
        """Count texts answered by a version that an alias led to; ``None`` is none."""
        for alias in aliases:
            if alias is not None:
                self.aliased.labels(model, version, alias).inc()
