"""Which verbs a run's file goes to: its `task` says whether it classifies, quotes or writes."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from training.fields import read_table

# Imported when asked for, so that a verb of one task does not wait for the others' libraries. Each module offers
# prepare(config, data, runs, say), train(config, runs, say, *, resume, machines), export(config, runs, say) and
# pack(config, data, runs, models, *, split, say), all given the run's TOML file; pretrain(config, runs, say, *, resume,
# machines) where there is such a stage.
VERBS: Mapping[str, str] = {"extract": "training.extractive.verbs", "summarize": "training.summarize.verbs"}


def verbs_of(config: Path) -> ModuleType | None:
    """Return the verbs of a run that summarizes, None for one that classifies; `ConfigError` where it is unreadable."""
    module = VERBS.get(str(read_table(config).get("task")))
    return import_module(module) if module else None
