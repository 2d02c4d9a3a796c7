"""Manifests of packages that write or quote: each way of being wrong is named by field, value and expectation."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.errors import PackageError
from app.modelpack.manifest import parse
from tests.packages import TINY, first_schema

Edit = Callable[[dict[str, Any]], object]


def option(least: float, most: float, default: float) -> dict[str, float]:
    return {"min": least, "max": most, "default": default}


def kind(token: int) -> dict[str, Any]:
    return {
        "id": token,
        "beams": option(1, 8, 4),
        "min_tokens": option(0, 20, 2),
        "max_tokens": option(1, 60, 24),
        "length_penalty": option(0.0, 2.0, 0.9),
    }


GENERATION = {
    "bos_id": 2,
    "eos_id": 3,
    "kinds": {"headline": kind(4), "dialogue": kind(5)},
    "block_ngram": 3,
    "coverage_penalty": 0.2,
    "digit_ids_only_copied": True,
    "recase": True,
}
EXTRACTION = {"max_sentences": 60, "max_sentence_tokens": 80, "sentences": option(1, 12, 3), "redundancy": 0.5}


def writing(edit: Edit) -> bytes:
    manifest = first_schema(TINY)
    fp32 = next(graph for graph in manifest["graphs"] if graph["precision"] == "fp32")
    graphs = [{**fp32, "role": role} for role in ("encoder", "step")]
    manifest.update(schema_version=3, task="summarize", labels=[], graphs=graphs, generation=GENERATION, evaluation=[])
    edit(manifest)
    return json.dumps(manifest).encode()


def quoting(edit: Edit) -> bytes:
    manifest = first_schema(TINY)
    manifest.update(schema_version=3, task="extract", labels=[], extraction=EXTRACTION, evaluation=[])
    edit(manifest)
    return json.dumps(manifest).encode()


def test_a_package_that_writes_has_two_graphs_its_special_tokens_and_its_options() -> None:
    manifest = parse(writing(lambda _: None))
    assert manifest.generation is not None
    assert manifest.generation.kinds["headline"].beams.default == 4
    assert manifest.graph("fp32") is None
    encoder, step = manifest.graph("fp32", "encoder"), manifest.graph("fp32", "step")
    assert encoder is not None
    assert step is not None
    assert (encoder.role, step.role) == ("encoder", "step")


def test_a_package_that_quotes_has_one_graph_and_its_options() -> None:
    manifest = parse(quoting(lambda _: None))
    assert manifest.extraction is not None
    assert manifest.extraction.sentences.max == 12
    assert manifest.graph("int8") is not None


def generation(**changes: object) -> Edit:
    return lambda m: m.update(generation={**GENERATION, **changes})


def headline(**changes: object) -> Edit:
    return generation(kinds={"headline": {**kind(4), **changes}})


@pytest.mark.parametrize(
    ("edit", "found", "expected"),
    [
        pytest.param(lambda m: m.update(schema_version=2), "under schema version 2", "schema version 3", id="schema 2"),
        pytest.param(lambda m: m.update(labels=["a", "b"]), "labels: 2 of them", "none", id="labels"),
        pytest.param(lambda m: m.pop("generation"), "generation: absent", "that section", id="no section"),
        pytest.param(
            lambda m: m.update(extraction=EXTRACTION), "extraction: present", "it to be absent", id="two sections"
        ),
        pytest.param(
            lambda m: m["graphs"].pop(), "graphs: role 'step' is missing", "under task 'summarize'", id="no step"
        ),
        pytest.param(
            lambda m: m["graphs"].append({**m["graphs"][0], "role": "model"}),
            "role 'model' under task 'summarize'",
            "encoder and step alone",
            id="a classifier's graph",
        ),
        pytest.param(
            lambda m: m["graphs"].append(m["graphs"][0]), "repeat", "one graph a precision and role", id="two encoders"
        ),
        pytest.param(generation(eos_id=2), "eos_id is 2, as bos_id is", "distinct", id="one id twice"),
        pytest.param(generation(kinds={}), "generation.kinds is {}", "at least 1", id="no kind"),
        pytest.param(generation(kinds={"haiku": kind(4)}), "generation.kinds.haiku", "'headline'", id="unknown kind"),
        pytest.param(
            generation(kinds={"headline": kind(9999)}),
            "generation: kinds.headline.id is 9999",
            "an id below",
            id="id beyond the vocabulary",
        ),
        pytest.param(
            headline(beams=option(1, 8, 9)),
            "generation.kinds.headline.beams.default: 9 is not within 1 to 8",
            "it to be",
            id="default out of bounds",
        ),
        pytest.param(
            headline(beams=option(0, 8, 4)), "beams: 0 to 8", "whole numbers from 1 up", id="search without a beam"
        ),
        pytest.param(
            headline(max_tokens=option(1, 60, 24.5)), "max_tokens: 1 to 60", "whole numbers", id="half a token"
        ),
        pytest.param(
            headline(min_tokens=option(0, 40, 30)), "min_tokens: 30 by default", "at most max_tokens", id="min over max"
        ),
        pytest.param(
            headline(length_penalty=option(0, float("inf"), 1)),
            "generation.kinds.headline.length_penalty.max: inf",
            "finite",
            id="no bound",
        ),
    ],
)
def test_a_wrong_package_that_writes_names_field_value_and_expectation(edit: Edit, found: str, expected: str) -> None:
    with pytest.raises(PackageError) as refused:
        parse(writing(edit))
    assert found in refused.value.found
    assert expected in refused.value.expected


@pytest.mark.parametrize(
    ("edit", "found", "expected"),
    [
        pytest.param(
            lambda m: m["graphs"][0].update(role="step"), "role 'step' under task 'extract'", "model alone", id="role"
        ),
        pytest.param(
            lambda m: m.update(extraction={**EXTRACTION, "sentences": option(0, 5, 3)}),
            "extraction.sentences: 0 to 5",
            "whole numbers from 1 up",
            id="no sentence",
        ),
        pytest.param(
            lambda m: m.update(extraction={**EXTRACTION, "redundancy": -1.0}),
            "extraction.redundancy is -1.0",
            "greater than or equal to 0",
            id="redundancy below 0",
        ),
        pytest.param(
            lambda m: m.update(
                calibration={"temperature": 1.0, "data": ["a/dev"], "ece_before": 0.1, "ece_after": 0.1}
            ),
            "calibration: present",
            "it to be absent",
            id="calibrated",
        ),
    ],
)
def test_a_wrong_package_that_quotes_names_field_value_and_expectation(edit: Edit, found: str, expected: str) -> None:
    with pytest.raises(PackageError) as refused:
        parse(quoting(edit))
    assert found in refused.value.found
    assert expected in refused.value.expected
