"""manifest.json: each way of being wrong is named by field, value and expectation."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import PackageError
from app.modelpack.manifest import Manifest, parse
from tests.packages import TINY

Edit = Callable[[dict[str, Any]], object]


def edited(edit: Edit) -> bytes:
    manifest = json.loads((TINY / "manifest.json").read_text("utf-8"))
    edit(manifest)
    return json.dumps(manifest).encode()


def test_the_tiny_package_has_a_valid_manifest() -> None:
    manifest = parse((TINY / "manifest.json").read_bytes())
    assert manifest.labels == ["negative", "neutral", "positive"]
    assert {graph.precision for graph in manifest.graphs} == {"fp32", "int8"}


@pytest.mark.parametrize(
    ("edit", "found", "expected"),
    [
        pytest.param(
            lambda m: m.update(schema_version=2), "schema_version is 2", "schema version 1", id="unknown schema"
        ),
        pytest.param(lambda m: m.pop("labels"), "labels is absent", "required", id="missing field"),
        pytest.param(lambda m: m.update(colour="red"), "colour is 'red'", "not permitted", id="unknown field"),
        pytest.param(lambda m: m.update(version="1"), "version is '1'", "valid integer", id="text for a number"),
        pytest.param(lambda m: m.update(version=0), "version is 0", "greater than or equal to 1", id="version 0"),
        pytest.param(lambda m: m.update(name="../etc"), "name is '../etc'", "match pattern", id="name that is a path"),
        pytest.param(lambda m: m.update(task="poetry"), "task is 'poetry'", "'sentiment'", id="unknown task"),
        pytest.param(
            lambda m: m.update(labels=["negative", "meh"]),
            "labels[1]: 'meh' is no label of sentiment",
            "one of ['negative', 'neutral', 'positive']",
            id="unknown label",
        ),
        pytest.param(
            lambda m: m.update(labels=["positive", "positive"]), "has repeats", "distinct labels", id="repeated label"
        ),
        pytest.param(
            lambda m: m["files"].update({"../x": m["files"]["tokenizer.json"]}),
            "'../x' leaves the package",
            "a relative path inside it",
            id="path out of the folder",
        ),
        pytest.param(
            lambda m: m["files"].update({"/etc/passwd": m["files"]["tokenizer.json"]}),
            "'/etc/passwd' leaves the package",
            "a relative path inside it",
            id="absolute path",
        ),
        pytest.param(
            lambda m: m["files"].pop("tokenizer.json"),
            "'tokenizer.json' is missing",
            "an entry with its size and sha256",
            id="file without a hash",
        ),
        pytest.param(
            lambda m: m["graphs"].append(m["graphs"][0]), "repeat", "one graph a precision", id="two graphs a precision"
        ),
    ],
)
def test_a_wrong_manifest_names_field_value_and_expectation(edit: Edit, found: str, expected: str) -> None:
    with pytest.raises(PackageError) as refused:
        parse(edited(edit))
    assert refused.value.file == "manifest.json"
    assert found in refused.value.found
    assert expected in refused.value.expected


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000], ids=["empty", "cut", "no text", "deep"])
def test_a_manifest_that_is_not_json_is_refused(raw: bytes) -> None:
    with pytest.raises(PackageError, match=r"manifest\.json: not JSON .*expected one JSON object"):
        parse(raw)


def test_the_schema_can_be_written_and_read_again() -> None:
    manifest = parse((TINY / "manifest.json").read_bytes())
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
