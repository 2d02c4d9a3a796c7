"""Negation and contrast."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.training.conftest import FIXTURES, TinyRun
from tests.training.test_cli import call
from training.contrast import PAIRS, contrast, labels_of, pairs_file, read_pairs
from training.errors import DataError
from training.evaluate import open_served

SENTIMENT_EN = FIXTURES.parents[1] / "models" / "sentiment-en"
LABELS = {"negative", "neutral", "positive"}
GOOD = {"a": "good", "a_label": "positive", "b": "not good", "b_label": "negative", "kind": "negation"}


def written(tmp_path: Path, *pairs: object) -> Path:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in pairs), "utf-8")
    return path


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_hundred_pairs_are_written_and_no_text_comes_twice(language: str) -> None:
    pairs = read_pairs(PAIRS / f"{language}.jsonl")
    assert len(pairs) == 100
    assert {label for one in pairs for label in (one.a_label, one.b_label)} == LABELS
    assert not [text for text, times in Counter(text for one in pairs for text in (one.a, one.b)).items() if times > 1]
    kinds = Counter(one.kind for one in pairs)
    assert {"negation", "double negation", "contrast"} < kinds.keys()
    assert min(kinds.values()) >= 4


@pytest.mark.parametrize("language", ["en", "zh"])
def test_neither_side_of_the_pairs_gives_the_label_away(language: str) -> None:
    pairs = read_pairs(PAIRS / f"{language}.jsonl")
    assert 40 <= sum(one.a_label == "positive" for one in pairs) <= 60


def test_rates_are_counted_as_by_hand(run: TinyRun, tmp_path: Path) -> None:
    served = open_served(run.package, threads=1)
    path = written(
        tmp_path,
        {"a": "a good film", "a_label": "positive", "b": "a bad film", "b_label": "negative", "kind": "word"},
        {"a": "a bad meal", "a_label": "positive", "b": "a good meal", "b_label": "negative", "kind": "word"},
        {"a": "a plain film", "a_label": "positive", "b": "a plain meal", "b_label": "neutral", "kind": "noun"},
        {"a": "♞", "a_label": "positive", "b": "bad", "b_label": "negative", "kind": "noun"},
    )
    found = contrast(served, path)
    assert labels_of(served, ["a good film", "♞", "bad"]) == ["positive", "unanswered", "negative"]
    assert (found.all.pairs, found.all.changed, found.all.both_right) == (4, 3 / 4, 1 / 4)
    assert (found.by_kind["word"].changed, found.by_kind["word"].both_right) == (1, 1 / 2)
    assert [one.pair.a for one in found.failures] == ["a bad meal", "a plain film", "♞"]


def test_the_bundled_package_is_asked_about_the_written_pairs() -> None:
    ended = call("contrast", SENTIMENT_EN, "--json", "--verbose")
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert (found["model"], found["pairs_file"], found["pairs"]) == ("sentiment-en", "en.jsonl", 100)
    assert 0.25 < found["both_right"] <= found["changed"] <= 1
    assert sum(one["pairs"] for one in found["by_kind"].values()) == 100
    assert len([line for line in ended.stderr.splitlines() if " -> " in line]) == round(100 * (1 - found["both_right"]))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{"], "line 1: not JSON"),
        ([json.dumps(GOOD), json.dumps(GOOD | {"more": 1})], "line 2: expected an object of a, a_label"),
        ([json.dumps(GOOD | {"b": " "})], "line 1: expected a text that is not empty"),
        ([json.dumps(GOOD | {"b_label": "positive"})], "line 1: both labels are 'positive'"),
        ([], "no pairs"),
    ],
    ids=["not JSON", "another key", "empty text", "same label", "empty file"],
)
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, lines: list[str], message: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    with pytest.raises(DataError, match=message):
        read_pairs(path)


def test_a_pair_with_a_label_that_the_package_lacks_is_left_out(run: TinyRun, tmp_path: Path) -> None:
    served = open_served(run.package, threads=1)
    other = GOOD | {"b_label": "mixed"}
    assert contrast(served, written(tmp_path, GOOD, other)).all.pairs == 1
    with pytest.raises(DataError, match="no pair has labels among negative, neutral, positive"):
        contrast(served, written(tmp_path, other))


def test_only_sentiment_in_a_written_language_has_pairs() -> None:
    assert pairs_file("sentiment", ["en"]) == PAIRS / "en.jsonl"
    assert pairs_file("sentiment", ["fr"]) is None
    assert pairs_file("topic", ["en"]) is None
