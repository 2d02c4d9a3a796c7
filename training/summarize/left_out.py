"""What each stage before the summaries brought: the same short fit from no stage's end, and from each one's.

All fits have one seed, one schedule by steps and the same batches in the same order; they differ in the weights that
they start from, and in nothing else.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from safetensors.torch import load_model

from training.errors import RunError
from training.models.pointer import PointerGenerator
from training.paths import RunPaths
from training.pretrain import load_encoder
from training.summarize import stages
from training.summarize.config import SummarizeConfig
from training.summarize.prepare import training_pairs
from training.trainer import ONE_CPU, Machines

Say = Callable[[str], None]
Start = Callable[[PointerGenerator], Any]
FOLDER = "left-out"

_SHORT_AVERAGE = 0.98
"""Decay of the weights' average: a long run's would still hold much of the start when a short run ends."""


def left_out(
    config: SummarizeConfig,
    paths: RunPaths,
    say: Say,
    *,
    epochs: int,
    dev_rows: int,
    resume: bool = True,
    machines: Machines = ONE_CPU,
) -> dict[str, Any]:
    """Fit from every start for ``epochs``, score ``dev_rows`` of each dev set greedily, write the report and return it.

    A start's entry has its steps, its seconds, and each dev set's loss and ROUGE. `RunError` where a stage of the
    config has not been run.
    """
    stage = config.loop.model_copy(
        update={"epochs": epochs, "minutes": None, "ema_decay": _SHORT_AVERAGE, "dev_rows": dev_rows}
    )
    found = {}
    for name, start in _starts(config, paths).items():
        below = paths.below(FOLDER, name)
        if not (resume and below.report.exists()):
            network = stages.new_network(config, paths)
            start(network)
            pairs = training_pairs(config, paths)
            stages.fit(network, pairs, stage, config, paths=below, say=say, resume=resume, machines=machines)
        found[name] = json.loads(below.report.read_text("utf-8"))
    report = paths.below(FOLDER).root / "report.json"
    report.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    say(f"stages: wrote {report}")
    return found


def _starts(config: SummarizeConfig, paths: RunPaths) -> Mapping[str, Start]:
    """Return how each start's weights come into an untrained network, the least trained first."""
    settings = config.pretrain
    if settings is None:
        raise RunError(f"{config.name}: the config has no [pretrain] section, so there is no stage to leave out")
    starts: dict[str, Start] = {"untrained": lambda _: None}
    if settings.language_model is not None:
        read = paths.need(paths.pretrain_logs / stages.READ, "pretrain")
        starts["read"] = lambda network: load_encoder(network, read)
    if settings.restore is not None:
        pretrained = paths.need(paths.pretrained, "pretrain")
        starts["restored"] = lambda network: load_model(network, str(pretrained))
    return starts
