"""manifest.json: each way of being wrong is named by field, value and expectation."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import PackageError
from app.modelpack.manifest import Manifest, parse
from tests.packages import TINY, first_schema

Edit = Callable[[dict[str, Any]], object]


CALIBRATION = {"temperature": 1.5, "data": ["tiny/dev"], "ece_before": 0.1, "ece_after": 0.02}


def second(manifest: dict[str, Any], **changes: object) -> None:
    manifest.update(schema_version=2, **changes)


def edited(edit: Edit) -> bytes:
    manifest = first_schema(TINY)
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
            lambda m: m.update(schema_version=5), "schema_version is 5", "schema version 4", id="unknown schema"
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
            lambda m: m.update(labels=["positive", "positive"]),
            "'positive' repeats",
            "distinct labels",
            id="repeated label",
        ),
        pytest.param(lambda m: m.update(labels=["positive"]), "labels: ['positive']", "at least 2", id="one label"),
        pytest.param(
            lambda m: m.update(task="topic"), "'topic' under schema version 1", "schema version 2", id="topic in 1"
        ),
        pytest.param(
            lambda m: m.update(calibration=CALIBRATION),
            "calibration: present under schema version 1",
            "schema version 2",
            id="calibration in 1",
        ),
        pytest.param(
            lambda m: m["evaluation"][0].update(baselines={"nbsvm": {"accuracy": 0.5}}),
            "baselines under schema version 1",
            "schema version 2",
            id="baselines in 1",
        ),
        *(
            pytest.param(
                lambda m, label=label: second(m, task="topic", labels=["sport", label]),
                "labels[1]: ",
                "one line of 1 to 100 characters",
                id=name,
            )
            for name, label in {"empty": "", "blank": " \u3000", "two lines": "a\nb", "long": "a" * 101}.items()
        ),
        pytest.param(
            lambda m: second(m, task="classify", labels=[f"class {at}" for at in range(1001)]),
            "labels: 1001 of them",
            "at most 1000",
            id="too many labels",
        ),
        *(
            pytest.param(
                lambda m, value=value: second(m, calibration={**CALIBRATION, "temperature": value}),
                "calibration.temperature is ",
                expected,
                id=f"temperature {value}",
            )
            for value, expected in [
                (0.0, "greater than or equal to 0.01"),
                (float("inf"), "less than or equal to 100"),
                ("2", "valid number"),
            ]
        ),
        pytest.param(
            lambda m: second(m, calibration={**CALIBRATION, "data": []}),
            "calibration.data is []",
            "at least 1 item",
            id="calibrated on nothing",
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


@pytest.mark.parametrize("task", ["topic", "classify"])
def test_labels_of_topic_and_classify_are_the_packages_own(task: str) -> None:
    labels = ["体育", "it's 3 stars", "sport"]
    manifest = parse(edited(lambda m: second(m, task=task, labels=labels)))
    assert manifest.labels == labels


def test_sentiment_may_have_two_labels() -> None:
    assert parse(edited(lambda m: second(m, labels=["negative", "positive"]))).labels == ["negative", "positive"]


def test_the_temperature_is_the_calibrations_and_else_one() -> None:
    assert parse(edited(lambda m: second(m, calibration=CALIBRATION))).temperature == 1.5
    assert parse(edited(second)).temperature == 1.0


def test_several_baselines_stand_beside_the_one() -> None:
    baselines = {"tf-idf": {"accuracy": 0.8}, "nbsvm": {"accuracy": 0.82}}

    def edit(manifest: dict[str, Any]) -> None:
        second(manifest)
        manifest["evaluation"][0].update(baselines=baselines)

    manifest = parse(edited(edit))
    assert manifest.evaluation[0].baselines == baselines


def test_the_schema_can_be_written_and_read_again() -> None:
    manifest = parse((TINY / "manifest.json").read_bytes())
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
