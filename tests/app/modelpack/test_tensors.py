"""A manifest of numbers to numbers: what it needs, what it must not have, and each way of being wrong by name."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import PackageError
from app.modelpack.manifest import parse
from app.modelpack.tensors import Tensor, Tensors
from tests.graphs import LSTM, manifest_of
from tests.packages import TINY

Edit = Callable[[dict[str, Any]], object]


def edited(edit: Edit) -> bytes:
    manifest = json.loads(json.dumps(manifest_of(b"", LSTM)))
    edit(manifest)
    return json.dumps(manifest).encode()


def test_a_package_of_numbers_needs_nothing_of_text() -> None:
    manifest = parse(edited(lambda _: None))
    assert (manifest.languages, manifest.labels, manifest.its_tokenizer, manifest.its_limits) == ([], [], None, None)
    assert manifest.tensors == Tensors(batched=True, sizes={"steps": 6})


def test_a_manifest_comes_back_as_it_was_written() -> None:
    manifest = parse(edited(lambda _: None))
    assert parse(manifest.model_dump_json().encode()) == manifest
    text = parse((TINY / "manifest.json").read_bytes())
    assert parse(text.model_dump_json().encode()) == text


def test_a_package_of_text_has_no_tokenizer_where_it_has_numbers() -> None:
    with pytest.raises(TypeError, match="a package of numbers has no tokenizer"):
        _ = parse(edited(lambda _: None)).tokenizer
    with pytest.raises(TypeError, match="a package of numbers has no limits"):
        _ = parse(edited(lambda _: None)).limits


def first(manifest: dict[str, Any], side: str, **changes: object) -> dict[str, Any]:
    port: dict[str, Any] = manifest["graphs"][0][side][0]
    port.update(changes)
    return port


@pytest.mark.parametrize(
    ("edit", "found", "expected"),
    [
        pytest.param(lambda m: m.update(schema_version=3), "'tensor' under schema version 3", "version 4", id="schema"),
        pytest.param(lambda m: m.pop("tensors"), "tensors: absent under task 'tensor'", "that section", id="section"),
        pytest.param(lambda m: m.update(languages=["en"]), "languages: present under task", "absent", id="languages"),
        pytest.param(lambda m: m.update(labels=["a", "b"]), "labels: present under task", "absent", id="labels"),
        pytest.param(lambda m: m.update(limits={"max_tokens": 3}), "limits: present under", "absent", id="limits"),
        pytest.param(
            lambda m: first(m, "inputs", dtype="string"), "graphs.0.inputs.0.dtype is 'string'", "'bool'", id="type"
        ),
        pytest.param(
            lambda m: first(m, "inputs", axes=["batch", 0]), "'x' has axis 0", "a size from 1 on", id="axis of 0"
        ),
        pytest.param(
            lambda m: first(m, "outputs", axes=["batch", ""]), "'states' has axis ''", "or a name", id="no name"
        ),
        pytest.param(lambda m: first(m, "inputs", axes=["batch"] + [1] * 8), "'x' has 9 axes", "at most 8", id="axes"),
        pytest.param(
            lambda m: first(m, "inputs", name="shift"), "inputs ['shift', 'shift'] repeat", "distinct", id="names"
        ),
        pytest.param(
            lambda m: first(m, "inputs", axes=[8, "steps", 4]), "x float32[8", "a varying axis", id="fixed batch"
        ),
        pytest.param(lambda m: first(m, "outputs", axes=[]), "states float32[]", "a varying axis", id="no batch"),
        pytest.param(
            lambda m: first(m, "inputs", axes=["batch", "batch"]), "batched is true", "first axis alone", id="twice"
        ),
        pytest.param(lambda m: m["tensors"].update(sizes={}), "sizes of []", "one of each of ['steps']", id="no size"),
        pytest.param(
            lambda m: m["tensors"].update(sizes={"steps": 0}), "tensors.sizes.steps is 0", "greater than", id="size 0"
        ),
        pytest.param(
            lambda m: first(m, "inputs", axes=["batch", "steps", 1 << 24]), "a warm-up of", "at most", id="memory"
        ),
        pytest.param(
            lambda m: m["graphs"].append(m["graphs"][0] | {"precision": "int8", "outputs": m["graphs"][0]["inputs"]}),
            "'model.onnx' differs from 'model.onnx'",
            "the same tensors",
            id="two graphs",
        ),
    ],
)
def test_a_wrong_manifest_names_field_value_and_expectation(edit: Edit, found: str, expected: str) -> None:
    with pytest.raises(PackageError) as refused:
        parse(edited(edit))
    assert found in refused.value.found
    assert expected in refused.value.expected


@pytest.mark.parametrize("name", ["languages", "labels", "tokenizer", "limits"])
def test_a_package_of_text_still_needs_what_it_needed(name: str) -> None:
    manifest = json.loads((TINY / "manifest.json").read_text("utf-8"))
    del manifest[name]
    with pytest.raises(PackageError, match=f"{name} is absent; expected field required"):
        parse(json.dumps(manifest).encode())


def test_a_graph_of_text_has_no_other_types_than_before() -> None:
    manifest = json.loads((TINY / "manifest.json").read_text("utf-8"))
    first(manifest, "inputs", dtype="int32")
    with pytest.raises(PackageError, match=r"int32.* under task 'sentiment'; expected .'float32', 'int64'."):
        parse(json.dumps(manifest).encode())


def test_a_warm_up_has_the_sizes_of_the_manifest() -> None:
    x = Tensor(name="x", dtype="float32", axes=["n", "steps", 4])
    assert Tensors(batched=True, sizes={"steps": 6}).shape(x, 3) == (3, 6, 4)
    assert Tensors(batched=False, sizes={"n": 2, "steps": 6}).shape(x, 1) == (2, 6, 4)
