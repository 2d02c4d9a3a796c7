"""Checkpoints as safetensors: the tensors as they are, and all else as JSON in the file's header; pickle nowhere.

A checkpoint is a tree of dicts, lists and tuples. Its tensors are numbered in the order in which they are met, and the
JSON has their numbers where they stood. JSON knows neither tuples nor keys that are numbers, and optimizers have both,
so each branch of the tree names its kind.
"""

import json
import os
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from training.errors import RunError

STATE = "state"


def save(tree: dict[str, Any], path: Path) -> None:
    """Write a tree of dicts, lists, tuples, tensors, numbers, strings and None; a file is there whole or not at all.

    `TypeError` names where in the tree anything else stands.
    """
    tensors: dict[str, Tensor] = {}
    state = json.dumps(_flat(tree, tensors, ""))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    save_file(tensors, part, metadata={STATE: state})
    part.replace(path)


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote; `RunError` where the file is another's."""
    with safe_open(path, framework="pt") as file:
        state = (file.metadata() or {}).get(STATE)
        if state is None:
            raise RunError(f"{path}: not a checkpoint of sluice-train; start anew with --no-resume")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - a file is no dict
    tree: dict[str, Any] = _tree(json.loads(state), tensors)
    return tree


class SafetensorsIO(CheckpointIO):
    """Lightning's way to `save` and `load`."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint."""
        if storage_options is not None:
            raise TypeError(f"storage_options = {storage_options!r}: expected None, checkpoints are local files")
        save(checkpoint, Path(path))

    def load_checkpoint(self, path: str | os.PathLike[str], *_: Any, **__: Any) -> dict[str, Any]:
        """Read a checkpoint, to the CPU; where its tensors belong, they are copied."""
        return load(Path(path))

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a checkpoint, if it is there."""
        Path(path).unlink(missing_ok=True)


class Keep(ModelCheckpoint):
    """Keeps one checkpoint, in the one file it is given, by one of Lightning's rules."""

    FILE_EXTENSION = ".safetensors"

    def __init__(self, path: Path, **rule: Any) -> None:
        super().__init__(path.parent, path.stem, enable_version_counter=False, **rule)


def _flat(value: Any, tensors: dict[str, Tensor], where: str) -> Any:
    """Return the JSON of a value, adding its tensors to `tensors`."""
    match value:
        case Tensor():
            name = str(len(tensors))
            # A copy, because safetensors refuses tensors that share memory, as tied weights do.
            tensors[name] = value.detach().to("cpu", copy=True).contiguous()
            return {"tensor": name}
        case dict():
            return {"dict": [[key, _flat(one, tensors, f"{where}.{key}")] for key, one in value.items()]}
        case tuple() | list():
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [_flat(one, tensors, f"{where}[{at}]") for at, one in enumerate(value)]}
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"checkpoint{where}: cannot be kept without pickle: {type(value).__name__}")


def _tree(flat: Any, tensors: dict[str, Tensor]) -> Any:
    match flat:
        case {"tensor": name}:
            return tensors[name]
        case {"dict": pairs}:
            return {key: _tree(one, tensors) for key, one in pairs}
        case {"tuple": values}:
            return tuple(_tree(one, tensors) for one in values)
        case {"list": values}:
            return [_tree(one, tensors) for one in values]
        case _:
            return flat
