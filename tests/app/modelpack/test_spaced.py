"""Texts cut at single spaces by pieces that are known: exactly as the tokenizer cuts them, or not at all."""

import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from app.modelpack.plain import Ids
from app.modelpack.spaced import SpacedCutter
from benchmarks.texts import texts

WRITER = next(Path(__file__).parents[3].glob("models/summarize-en/*"))
WORDS = [
    "good",
    "Don't",
    "n't",
    "can't've",
    "'s",
    "''",
    "!!!",
    ". . .",
    ":-(",
    "(so)",
    "( so )",
    "[PAD]",
    "``",
    "1/2",
    "%",
]
PIECES = st.one_of(
    st.sampled_from([*WORDS, " ", "  ", "\n", "\t", "\x1f", "▁", "Ġ", "\u212a", "www.", "<br>"]),
    st.text(string.printable, max_size=8),
    st.text(max_size=3),
)


def byte_level(normalizer: normalizers.Normalizer | None = None) -> Tokenizer:
    """Return a tokenizer of GPT-2's kind that has learnt from the texts of the benchmarks."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106 - a token of a vocabulary
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["[PAD]", "[UNK]"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts("mixed", 50), trainer)
    return opened(tokenizer)


def opened(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    return tokenizer


LOWER = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
TOKENIZERS = {
    "writer": (opened(Tokenizer.from_file(str(WRITER / "tokenizer.json"))), 3),
    "lower": (byte_level(LOWER), 0),
    "as it is": (byte_level(), 0),
}
CUTTERS = {name: SpacedCutter.of(*of) for name, of in TOKENIZERS.items()}


def cutter_of(name: str) -> SpacedCutter:
    cutter = CUTTERS[name]
    assert cutter is not None
    return cutter


def recalled(cutter: SpacedCutter, text: str) -> Ids | None:
    found = cutter.recalled([text])
    return None if found is None else found[0]


def listed(ids: Ids | None) -> list[int] | None:
    return None if ids is None else ids.tolist()


def by_tokenizer(name: str, text: str) -> list[int]:
    (whole,) = TOKENIZERS[name][0].encode_batch_fast([text], add_special_tokens=False)
    return [*whole.ids]


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(PIECES, max_size=12))
@example(pieces=["I can't say ( it ) isn't GOOD , they 've said 'it's 10/10 ' . . ."])
@example(pieces=["a ``quoted'' film", " [PAD] ", "a\u00a0b", " n't 's( x ) %"])
def test_what_is_cut_here_is_cut_as_the_tokenizer_cuts_it(name: str, pieces: list[str]) -> None:
    cutter = cutter_of(name)
    for text in [*pieces, "".join(pieces), " ".join(pieces)]:
        for cut in (recalled(cutter, text), cutter.ids(text), recalled(cutter, text)):
            assert listed(cut) in (None, by_tokenizer(name, text))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_text_of_plain_words_is_recalled_once_its_pieces_were_met(name: str) -> None:
    cutter = SpacedCutter.of(*TOKENIZERS[name])
    assert cutter is not None
    text = 'The film "was slow" but warm, (and funny) 3 times over'
    assert recalled(cutter, text) is None
    assert cutter.ids(text) is None, "eight new pieces a time"
    for cut in (cutter.ids(text), recalled(cutter, text)):
        assert cut is not None
        assert cut.dtype == np.int64
        assert cut.tolist() == by_tokenizer(name, text)


@pytest.mark.parametrize("text", ["", " a", "a ", "a  b", "a\nb", "a\tb", "naïve", "x" * 33, "\x00"])
def test_what_is_not_pieces_with_single_spaces_between_is_left_to_the_tokenizer(text: str) -> None:
    cutter = cutter_of("lower")
    assert cutter.ids("a b") is not None
    assert (cutter.ids(text), recalled(cutter, text)) == (None, None)


@pytest.mark.parametrize("piece", [".", "...", "n't", "'s", "''", "``", "so(", ")", "%", "a''"])
def test_what_moves_white_space_in_version_3_is_left_to_the_tokenizer(piece: str) -> None:
    assert cutter_of("writer").ids(f"so {piece}") is None


def test_pieces_are_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.modelpack.spaced.MAX_PIECES", 2)
    cutter = SpacedCutter.of(*TOKENIZERS["lower"])
    assert cutter is not None
    assert cutter.ids("one two") is not None
    assert cutter.ids("one three") is None
    assert cutter.ids("two one two") is not None


def test_a_tokenizer_that_does_more_has_no_such_cutter() -> None:
    processed, added, split = (byte_level(LOWER) for _ in range(3))
    processed.post_processor = processors.ByteLevel()
    added.add_tokens(["good film"])
    split.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    stripped = byte_level(normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase()]))
    bare = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))  # noqa: S106 - a token of a vocabulary
    for tokenizer in (processed, added, split, stripped, bare):
        assert SpacedCutter.of(tokenizer, 0) is None
