"""Packages that somebody broke: the short form of ``python -m benchmarks.inputs``."""

import random
import shutil
from pathlib import Path

import pytest

from benchmarks.inputs import READERS, Outcome, run, table
from benchmarks.mutations import MUTATIONS, Mutation, break_package
from tests.packages import TINY


@pytest.mark.timeout(600)
def test_two_hundred_broken_packages_are_refused_by_name_or_harmless() -> None:
    outcomes = list(run(range(200), seed=20))
    assert [outcome.case for outcome in outcomes] == list(range(200))
    assert not [outcome for outcome in outcomes if not outcome.good]
    refused = [outcome for outcome in outcomes if outcome.result == "refused"]
    assert len(refused) > 100
    assert not [outcome for outcome in refused if "; expected " not in outcome.detail]


@pytest.mark.timeout(300)
def test_broken_packages_of_numbers_are_among_them() -> None:
    (outcome,) = run(range(3, 4), seed=20)
    assert outcome.change.startswith("tiny-numbers: ")
    assert outcome.good


@pytest.mark.timeout(300)
def test_a_process_that_dies_is_a_crash_and_the_next_case_goes_on(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / "1"  # a source that is not there ends the process, as an abort would
    outcomes = list(run(range(2), seed=1, sources=(gone, READERS[0])))
    assert [(outcome.case, outcome.result == "crash") for outcome in outcomes] == [(0, True), (1, False)]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_mutation_changes_something_and_can_be_made_again(mutation: Mutation) -> None:
    raw = bytes(range(256)) * 2
    changed, again = ([mutation(raw, random.Random(seed)) for seed in range(20)] for _ in range(2))  # noqa: S311 - cases
    assert changed == again
    assert sum(one != raw for one in changed) >= 19


def test_a_case_is_told_by_its_number(tmp_path: Path) -> None:
    folders = [tmp_path / name / "1" for name in ("one", "other")]
    told = {break_package(TINY, folder, 7, 3) for folder in folders}
    assert len(told) == 1
    listings = [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders]
    assert listings[0] == listings[1]
    shutil.rmtree(tmp_path)


def test_the_table_has_a_row_a_kind_of_file_and_every_case_in_it() -> None:
    outcomes = [
        Outcome(0, "tiny: flip model.onnx", "refused"),
        Outcome(1, "tiny: flip model.onnx", "crash"),
        Outcome(2, "tiny: flip manifest.json", "KeyError"),
    ]
    assert table(outcomes).splitlines()[2:] == [
        "| ONNX | 2 | 1 | 0 | 0 | 1 | 0 |",
        "| manifest.json | 1 | 0 | 0 | 1 | 0 | 0 |",
    ]
