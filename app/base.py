"""What models stand on: the provider that runs them, the registry that opens them, and what their steps cost."""

from functools import partial
from typing import NamedTuple

import numpy as np

from app.errors import StartupError
from app.runtime.memory import keep_heap_small
from app.runtime.model import Model, files_to_open
from app.runtime.opening import open_model
from app.runtime.providers import Provider, choose, may_use_cuda
from app.runtime.registry import Registry
from app.runtime.roster import Draft
from app.runtime.summarizer import Summarizer
from app.runtime.traffic import Shadow, Traffic
from app.scheduling.cost import Costs
from app.settings import Settings
from app.tasks.generate import Options


class Base(NamedTuple):
    """Made before there is a service, so that packages open while the rest of it is imported."""

    provider: Provider
    registry: Registry
    costs: Costs


def base_of(settings: Settings) -> Base:
    """Return what the settings ask for; ``StartupError`` where there is no such provider or no folder of packages."""
    provider = choose(settings.provider)
    if not settings.models_dir.is_dir():
        raise StartupError(f"SLUICE_MODELS_DIR is '{settings.models_dir}'; expected a folder of model packages")
    keep_heap_small()
    open_package = partial(open_model, provider=provider, precision=settings.precision)
    wanted = partial(files_to_open, provider=provider, precision=settings.precision)
    return Base(provider, Registry(settings.models_dir, open_package, traffic_of(settings), wanted), Costs())


def early_base(settings: Settings) -> Base | None:
    """Return what ``base_of`` does, with its packages opening already, and learning what they cost.

    ``None`` where a device may run them, which a process must not touch before it forks.
    """
    if settings.provider != "cpu" and may_use_cuda():
        return None
    base = base_of(settings)
    base.registry.open_early(partial(learn, base.costs))
    return base


def learn(costs: Costs, model: Model) -> None:
    """Measure what a writer's steps cost, with as many beams as requests will mostly have, before anyone waits for one.

    That takes some tens of steps of its graph.
    """
    if isinstance(model, Summarizer):
        ids, kinds = np.array([model.manifest.tokenizer.unk_id], np.int64), model.generation.kinds
        for beams in {1, *(int(kind.beams.default) for kind in kinds.values())}:
            costs.learn((model, beams), Draft(ids, next(iter(kinds))), Options(max_tokens=1, beams=beams))


def traffic_of(settings: Settings) -> dict[str, Traffic]:
    """Return how requests are shared out at the start."""
    return {name: Traffic(shadow=Shadow(its.version, its.share)) for name, its in settings.shadows.items()}
