"""The vocabulary that source and summary share."""

import pytest
from tokenizers import Tokenizer

from training.summarize import vocabulary
from training.summarize.config import VocabularyConfig
from training.summarize.vocabulary import KIND_IDS, LINE_ID, SPECIAL, UNK_ID

TEXTS = ["The old bridge closes.", "They don't know :)", "In 1987 it cost $12.50, they said", "<s>sentence</s>"] * 3


@pytest.fixture(scope="module")
def english() -> Tokenizer:
    config = VocabularyConfig(vocab_size=120, alphabet=60, max_tokens={"headline": 20}, max_summary_tokens=9)
    return vocabulary.train(TEXTS, config, 3)


def test_special_tokens_come_first_and_the_line_break_is_spelt_as_itself(english: Tokenizer) -> None:
    assert [english.id_to_token(at) for at in range(len(SPECIAL))] == list(SPECIAL)
    assert english.encode("ten\r\nten").ids.count(LINE_ID) == 1
    assert KIND_IDS == {"headline": 4, "dialogue": 5, "abstract": 6}


def test_a_text_that_spells_a_special_token_is_cut_into_signs(english: Tokenizer) -> None:
    pieces = english.encode("<s>sentence</s>").tokens
    assert "".join(pieces) == "▁<s>sentence</s>"
    assert not set(pieces) & set(SPECIAL)


@pytest.mark.parametrize("text", ["the old bridge closes.", "they don't know :)", "in 1987 it cost $12.50, they said"])
def test_pieces_join_to_the_text_again(english: Tokenizer, text: str) -> None:
    (ids,) = vocabulary.encode(english, [text])
    assert vocabulary.text_of(english, ids.tolist()) == text


def test_a_summary_ends_at_its_end(english: Tokenizer) -> None:
    (ids,) = vocabulary.encode(english, ["the bridge"])
    assert vocabulary.text_of(english, [*ids.tolist(), vocabulary.EOS_ID, *ids.tolist()]) == "the bridge"


def test_a_character_beyond_the_alphabet_is_unknown_and_says_nothing(english: Tokenizer) -> None:
    (ids,) = vocabulary.encode(english, ["bridge 桥"])
    assert UNK_ID in ids
    assert vocabulary.text_of(english, ids.tolist()).strip() == "bridge"


def test_the_tokenizer_is_the_same_after_a_round_trip(english: Tokenizer) -> None:
    again = Tokenizer.from_str(english.to_str())
    assert again.encode(TEXTS[2]).ids == english.encode(TEXTS[2]).ids
