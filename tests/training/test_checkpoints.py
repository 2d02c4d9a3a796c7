"""Checkpoints without pickle."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from training import checkpoints
from training.errors import RunError


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_a_tree_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    tied = torch.arange(6.0).reshape(2, 3)
    tree = {
        "weights": {"one": tied, "other": tied, "turned": tied.T, "none": torch.zeros(0), "scalar": torch.tensor(3)},
        "half": torch.tensor([1.5, -2.0]).bfloat16(),
        "optimizer": {"state": {0: {"step": torch.tensor(7.0)}, 1: {}}, "betas": (0.9, 0.99), "foreach": None},
        "names": ["a", "大", {"tensor": "not one"}, []],
        "best": float("-inf"),
        "share": 0.1 + 0.2,
        "done": False,
        "steps": 2**40,
    }
    checkpoints.save(tree, tmp_path / "deep" / "one.safetensors")
    assert same(checkpoints.load(tmp_path / "deep" / "one.safetensors"), tree)


def test_an_adamw_goes_on_from_its_kept_state_bit_by_bit(tmp_path: Path) -> None:
    def stepped(optimizer: torch.optim.Optimizer, weight: torch.Tensor, slope: float) -> None:
        weight.grad = torch.full_like(weight, slope)
        optimizer.step()

    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(4, 3))
    optimizer = torch.optim.AdamW([weight], fused=True)
    stepped(optimizer, weight, 0.3)
    checkpoints.save({"weight": weight, "optimizer": optimizer.state_dict()}, tmp_path / "at.safetensors")
    stepped(optimizer, weight, -0.1)

    kept = checkpoints.load(tmp_path / "at.safetensors")
    again = torch.nn.Parameter(kept["weight"])
    resumed = torch.optim.AdamW([again], fused=True)
    resumed.load_state_dict(kept["optimizer"])
    stepped(resumed, again, -0.1)
    assert torch.equal(again, weight)


def test_what_only_pickle_could_keep_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"checkpoint\.callbacks\[1\]: cannot be kept without pickle: PosixPath"):
        checkpoints.save({"callbacks": [1, tmp_path]}, tmp_path / "one.safetensors")
    assert not list(tmp_path.iterdir())


def test_an_unfinished_write_leaves_the_last_checkpoint_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.safetensors"
    checkpoints.save({"step": 1}, path)

    def dies(_tensors: object, file: Path, **_: object) -> None:
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save_file", dies)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save({"step": 2}, path)
    assert checkpoints.load(path) == {"step": 1}


def test_another_programs_safetensors_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(RunError, match="not a checkpoint of sluice-train"):
        checkpoints.load(tmp_path / "other.safetensors")
