"""Whether a run goes on from what is there: it must have been begun with the same settings, or be forgotten."""

import json
import shutil
from collections.abc import Callable
from typing import Any

from training.errors import RunError
from training.paths import RunPaths

Settings = dict[str, Any]


def forget(paths: RunPaths) -> None:
    """Delete what a run goes on from."""
    for folder in (paths.checkpoints, paths.logs):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (paths.ngrams, paths.settings, paths.log):
        file.unlink(missing_ok=True)


def refuse_other(settings: Settings, paths: RunPaths, compared: Callable[[Settings], Settings] = dict) -> None:
    """Note the settings that a run is begun with; `RunError` where it was begun with others.

    `compared` leaves out of both what may be changed in between.
    """
    if not paths.settings.exists():
        paths.root.mkdir(parents=True, exist_ok=True)
        paths.settings.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    begun, wanted = compared(json.loads(paths.settings.read_text(encoding="utf-8"))), compared(settings)
    changed = [key for key in wanted if wanted[key] != begun.get(key)]
    if changed:
        raise RunError(f"{paths.root}: this run was begun with another [{changed[0]}]; start anew with --no-resume")
