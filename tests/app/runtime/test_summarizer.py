"""A package that writes: opened, checked graph against graph, and a step's rows do not see one another."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.errors import PackageError
from app.modelpack.store import open_package
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.summarizer import Summarizer
from tests.packages import edit_manifest, write_file
from tests.parrot import BOS, EOS, PAD, UNK, parrot

CPU = choose("cpu")


def opened(folder: Path) -> Summarizer:
    model = open_model(open_package(folder), CPU)
    assert isinstance(model, Summarizer)
    return model


def test_a_text_is_read_and_said_again_step_by_step(tmp_path: Path) -> None:
    model = opened(parrot(tmp_path))
    (tokens,) = model.tokenizer.encode(["the lazy dog"])
    encoded = model.encode(tokens.ids, "headline")
    length = len(tokens.ids)
    state, coverage = encoded.state[None, None], np.zeros((1, 1, length), np.float32)
    said = [BOS]
    while said[-1] != EOS:
        found = model.step(
            {
                "tokens": np.array([[said[-1]]]),
                "state": state,
                "coverage": coverage,
                "memory": encoded.memory[None],
                "keys": encoded.keys[None],
                "ids": tokens.ids[None],
                "lens": np.array([length]),
                "banned": np.array([[[-1]]]),
                "free": np.ones(1, np.float32),
                "k": np.array([2]),
            }
        )
        state, coverage = found.state, found.coverage
        assert found.top_copied[0, 0, 0] == (found.top_ids[0, 0, 0] != EOS)
        said.append(int(found.top_ids[0, 0, 0]))
    assert said[1:-1] == tokens.ids.tolist()


def test_the_precision_is_told_for_both_graphs_where_they_differ(tmp_path: Path) -> None:
    folder = parrot(tmp_path)
    assert opened(folder).precision == "fp32"
    write_file(folder, "encoder.int8.onnx", (folder / "encoder.onnx").read_bytes())

    def add(manifest: dict[str, object]) -> None:
        graphs = json.loads(json.dumps(manifest["graphs"]))
        manifest["graphs"] = [*graphs, {**graphs[0], "file": "encoder.int8.onnx", "precision": "int8"}]

    with pytest.raises(PackageError, match="graphs of role encoder of precision fp32; expected int8"):
        open_model(open_package(folder), CPU, "int8")
    edit_manifest(folder, add)
    assert opened(folder).precision == "int8/fp32"
    assert open_model(open_package(folder), CPU, "int8").precision == "int8/fp32"
    assert open_model(open_package(folder), CPU, "fp32").precision == "fp32"


def test_graphs_in_one_anothers_place_are_refused_by_name(tmp_path: Path) -> None:
    folder = parrot(tmp_path)

    def swap(manifest: dict[str, object]) -> None:
        first, second = manifest["graphs"]  # type: ignore[misc]
        first["role"], second["role"] = "step", "encoder"  # type: ignore[has-type]

    edit_manifest(folder, swap)
    with pytest.raises(PackageError, match=r"step\.onnx: inputs .*; expected inputs .*'kinds'.* of role 'encoder'"):
        opened(folder)


def test_a_step_that_says_a_special_token_is_refused(tmp_path: Path) -> None:
    folder = parrot(tmp_path)
    edit_manifest(folder, lambda m: m["generation"].update(bos_id=UNK))
    edit_manifest(folder, lambda m: m["tokenizer"].update(unk_id=8))
    with pytest.raises(PackageError, match=r"step\.onnx: top_ids .*; expected ids of the vocabulary"):
        opened(folder)


def test_padding_beyond_a_source_changes_nothing(tmp_path: Path) -> None:
    model = opened(parrot(tmp_path))
    (tokens,) = model.tokenizer.encode(["the quick brown fox"])
    encoded = model.encode(tokens.ids, "headline")
    found = []
    for more in (0, 3):
        shape = ((0, more), (0, 0))
        found.append(
            model.step(
                {
                    "tokens": np.array([[BOS]]),
                    "state": encoded.state[None, None],
                    "coverage": np.zeros((1, 1, len(tokens.ids) + more), np.float32),
                    "memory": np.pad(encoded.memory, shape)[None],
                    "keys": np.pad(encoded.keys, shape)[None],
                    "ids": np.pad(tokens.ids, (0, more), constant_values=PAD)[None],
                    "lens": np.array([len(tokens.ids)]),
                    "banned": np.array([[[-1]]]),
                    "free": np.ones(1, np.float32),
                    "k": np.array([4]),
                }
            )
        )
    assert found[0].top_ids.tolist() == found[1].top_ids.tolist()
    np.testing.assert_allclose(found[0].top_logps, found[1].top_logps, atol=1e-5)
