"""The package's tokenizer: offsets point into the caller's own text, long texts are cut and say so."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import PackageError
from app.modelpack.store import open_package
from app.modelpack.tokenizer import TextTokenizer
from tests.packages import TINY, copy_tiny, edit_manifest, write_file

TOKENIZER = open_package(TINY).tokenizer()


def pieces(text: str) -> list[str]:
    (tokens,) = TOKENIZER.encode([text], with_offsets=True)
    assert tokens.offsets is not None
    return [text[start:end] for start, end in tokens.offsets]


def test_offsets_point_into_the_text_as_the_caller_wrote_it() -> None:
    assert "".join(pieces("GOOD  “film”, don’t!!")).lower() == "good“film”,don’t!!"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_offsets_of_any_text_are_ascending_and_inside_it(text: str) -> None:
    (tokens,) = TOKENIZER.encode([text], with_offsets=True)
    assert tokens.offsets is not None
    assert len(tokens.offsets) == len(tokens.ids)
    at = 0
    for start, end in tokens.offsets:
        assert 0 <= start <= end <= len(text)
        assert start >= at
        at = start


def test_without_offsets_the_ids_are_the_same() -> None:
    texts = ["a good film", "bad", "ok then"]
    with_offsets = TOKENIZER.encode(texts, with_offsets=True)
    without = TOKENIZER.encode(texts)
    assert [row.ids.tolist() for row in with_offsets] == [row.ids.tolist() for row in without]
    assert all(row.offsets is None for row in without)


def test_a_long_text_is_cut_at_the_packages_limit_and_says_so() -> None:
    manifest = open_package(TINY).manifest
    short = TextTokenizer.from_json((TINY / "tokenizer.json").read_bytes(), manifest.tokenizer, max_tokens=3)
    exact, over = short.encode(["good bad good", "good bad good bad"])
    assert (len(exact.ids), exact.truncated) == (3, False)
    assert (len(over.ids), over.truncated) == (3, True)


def test_a_text_is_known_where_one_of_its_tokens_is() -> None:
    known, mixed, unknown, empty = TOKENIZER.encode(["good", "ᚠᚢᚦ good", "ᚠᚢᚦ", ""])
    assert [tokens.known for tokens in (known, mixed, unknown, empty)] == [True, True, False, False]


def test_texts_are_recalled_once_each_of_their_words_was_cut() -> None:
    tokenizer = open_package(TINY).tokenizer()
    texts = ["a good film", "bad, it's bad"]
    assert tokenizer.recall(texts) is None
    cut = tokenizer.encode(texts)
    recalled = tokenizer.recall(texts)
    assert recalled is not None
    assert [(row.ids.tolist(), row.truncated, row.known) for row in recalled] == [
        (row.ids.tolist(), row.truncated, row.known) for row in cut
    ]
    assert tokenizer.recall([*texts, "new"]) is tokenizer.recall(["na\u00efve"]) is None


def test_a_tokenizer_unlike_its_normalization_is_refused(tmp_path: Path) -> None:
    folder = copy_tiny(tmp_path)
    parts = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    parts["normalizer"] = {"type": "Lowercase"}
    write_file(folder, "tokenizer.json", json.dumps(parts).encode())
    with pytest.raises(
        PackageError, match="its normalizer differs; expected the normalizer of normalization version 1"
    ):
        open_package(folder).tokenizer()


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("normalization", 99, r"tokenizer\.normalization is 99; expected one of \[1, 2, 3, 4\]"),
        ("vocab_size", 5, "tokens; expected 5 as the manifest says"),
        ("pad_id", 10**6, "pad id 1000000.*expected ids below"),
    ],
)
def test_a_manifest_unlike_its_tokenizer_is_refused(tmp_path: Path, field: str, value: Any, reason: str) -> None:
    folder = copy_tiny(tmp_path)
    edit_manifest(folder, lambda manifest: manifest["tokenizer"].update({field: value}))
    with pytest.raises(PackageError, match=reason):
        open_package(folder).tokenizer()


def test_a_tokenizer_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = copy_tiny(tmp_path)
    write_file(folder, "tokenizer.json", b"{}")
    with pytest.raises(PackageError, match=r"tokenizer\.json: unreadable"):
        open_package(folder).tokenizer()
