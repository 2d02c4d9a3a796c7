"""Plain English cut by words that are known: exactly as the tokenizer cuts it, or not at all."""

import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from app.modelpack.plain import PlainCutter
from app.modelpack.store import open_package
from benchmarks.texts import texts
from tests.packages import TINY

BUNDLED = sorted(Path(__file__).parents[3].glob("models/sentiment-en/*"))

WORDS = ["good", "don't", "n't", "can't've", "film's", "'s", "they're", "'d", "'", "''", "!!!", "...", ":-(", "[PAD]"]
PIECES = st.one_of(
    st.sampled_from(
        [*WORDS, "www.", "http", "://", "WWW.x", "<br>", "@you", "`", "^", "_", "\n", "\t", "\x0b", "\x1f"]
    ),
    st.text(string.printable, max_size=8),
    st.text(max_size=3),
)


def tokenizer_of(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer


TOKENIZERS = {folder: tokenizer_of(folder) for folder in [TINY, *BUNDLED[:1]]}
CUTTERS = {folder: PlainCutter.of(tokenizer, 1) for folder, tokenizer in TOKENIZERS.items()}


def ids_of(cutter: PlainCutter, text: str) -> list[int] | None:
    """Cut a text; where it is cut, it is recalled from then on, if none of its pieces is too long to be kept."""
    ids = cutter.ids(text)
    recalled = cutter.recalled([text])
    if ids is not None and recalled is None:
        assert any(len(piece) > 32 or "www." in piece for piece in text.lower().split())
    elif ids is not None and recalled is not None:
        assert recalled[0].dtype == ids.dtype == np.int64
        assert recalled[0].tolist() == ids.tolist()
    return next(([int(number) for number in each] for each in (ids, *(recalled or ())) if each is not None), None)


def cut_both_ways(folder: Path, text: str) -> tuple[list[int] | None, list[int]]:
    cutter = CUTTERS[folder]
    assert cutter is not None
    (whole,) = TOKENIZERS[folder].encode_batch_fast([text], add_special_tokens=False)
    return ids_of(cutter, text), whole.ids


@pytest.mark.parametrize("folder", TOKENIZERS, ids=lambda folder: folder.parent.name)
@settings(max_examples=300, deadline=None)
@given(text=st.lists(PIECES, max_size=12).map("".join))
@example(text="")
@example(text="I can't say it isn't GOOD, they've said 'it's 10/10'.")
@example(text="[PAD] [UNK] the'sn't n'tn't 'sm 're's don'ts")
@example(text="a ''quoted'' film, www.x.org and a\u00a0b")
def test_what_is_plain_is_cut_as_the_tokenizer_cuts_it(folder: Path, text: str) -> None:
    plain, whole = cut_both_ways(folder, text)
    assert plain in (None, whole)


@pytest.mark.parametrize("folder", TOKENIZERS, ids=lambda folder: folder.parent.name)
@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(PIECES, max_size=12), spaces=st.lists(st.sampled_from(" \t\n\v\f\r\x1c\x1f"), min_size=12))
def test_pieces_that_were_met_alone_are_cut_the_same_in_a_text(
    folder: Path, pieces: list[str], spaces: list[str]
) -> None:
    for piece in pieces:
        cut_both_ways(folder, piece)
    plain, whole = cut_both_ways(folder, "".join(part for pair in zip(pieces, spaces, strict=False) for part in pair))
    assert plain in (None, whole)


def test_an_address_in_capitals_which_is_none_to_the_tokenizer_is_not_taken_for_one_in_small_letters() -> None:
    for text in ("see WWW.x.org now", "see www.x.org now", "see WWW.x.org now"):
        plain, whole = cut_both_ways(TINY, text)
        assert plain in (None, whole)


@pytest.mark.parametrize("folder", TOKENIZERS, ids=lambda folder: folder.parent.name)
def test_ordinary_texts_are_plain_and_the_same_the_second_time(folder: Path) -> None:
    for text in [*texts("mixed", 100), "It's GREAT!!! I don't know why (or how).", 'She said: "no way", 3 times.']:
        for _ in range(2):
            plain, whole = cut_both_ways(folder, text)
            assert plain == whole
        cutter = CUTTERS[folder]
        assert cutter is not None
        assert cutter.recalled([text, text]) is not None


@pytest.mark.parametrize(
    "text",
    ["see www.x.org", "a ``quote``", "''so''", "a_b", "x@y", "<br>", "it’s", "naïve", "1/2", "a^b", "\x00", "\u2028"],
)
def test_what_a_rule_of_the_normalization_is_about_is_left_to_the_tokenizer(text: str) -> None:
    assert cut_both_ways(TINY, text)[0] is None


def test_a_word_is_cut_once_and_words_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.modelpack.plain.MAX_PIECES", 2)
    asked: list[str] = []
    cutter = PlainCutter(lambda word: [asked.append(word) or len(asked)])  # type: ignore[func-returns-value]
    for text in ("a b", "a c", "c a b", "x" * 40, "x" * 40):
        cutter.ids(text)
    assert asked == ["a", "b", "c", "c", "x" * 40, "x" * 40]


def test_words_that_no_white_space_parts_are_looked_up_each() -> None:
    asked: list[str] = []
    cutter = PlainCutter(lambda word: [asked.append(word) or len(asked)])  # type: ignore[func-returns-value]
    assert ids_of(cutter, "a b.") == [1, 2, 3]
    assert ids_of(cutter, "A.b b.") == [1, 3, 2, 2, 3]
    assert asked == ["a", "b", "."]


def test_a_tokenizer_that_does_more_has_no_plain_cutter() -> None:
    spec = open_package(TINY).manifest.tokenizer
    for version in (2, 3, 4):
        assert PlainCutter.of(tokenizer_of(TINY), version) is None
    named = tokenizer_of(TINY)
    named.add_tokens(["good film"])
    assert PlainCutter.of(named, spec.normalization) is None
