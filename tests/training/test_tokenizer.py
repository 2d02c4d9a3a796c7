"""The tokenizer."""

from training import tokenizer
from training.config import TokenizerConfig

CONFIG = TokenizerConfig(vocab_size=60, min_frequency=1, normalization=1, max_tokens=4)
TEXTS = ["The film is good", "the film isn't good", "Good films"]


def test_special_tokens_have_the_ids_that_the_manifest_states() -> None:
    trained = tokenizer.train(TEXTS, CONFIG)
    assert trained.token_to_id(tokenizer.PAD) == tokenizer.PAD_ID == 0
    assert trained.token_to_id(tokenizer.UNK) == tokenizer.UNK_ID == 1


def test_offsets_point_into_the_text_that_was_given() -> None:
    text = "The  FILM “is”  good"
    encoding = tokenizer.train(TEXTS, CONFIG).encode(text, add_special_tokens=False)
    pieces = [text[start:end] for start, end in encoding.offsets]
    assert "".join(pieces).lower() == "thefilm“is”good"
    assert "##" not in "".join(pieces)


def test_raw_and_penn_treebank_text_get_the_same_ids() -> None:
    trained = tokenizer.train(TEXTS, CONFIG)
    raw, treebank = tokenizer.encode(trained, ["It isn't good", "it is n't good"], 99)
    assert raw.tolist() == treebank.tolist()


def test_encoding_keeps_the_first_tokens_and_makes_nothing_one_unknown() -> None:
    long, empty = tokenizer.encode(tokenizer.train(TEXTS, CONFIG), ["good good good good good good good", ""], 3)
    assert len(long) == 3
    assert empty.tolist() == [tokenizer.UNK_ID]
