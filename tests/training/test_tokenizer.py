"""The tokenizer."""

import subprocess
import sys

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


def test_offsets_of_chinese_point_into_the_text_that_was_given() -> None:
    config = TokenizerConfig(vocab_size=60, min_frequency=1, normalization=2, max_tokens=9, alphabet=40)
    text = "电影“很好”！看http://t.cn/a，GOOD"
    encoding = tokenizer.train([text], config).encode(text, add_special_tokens=False)
    pieces = [text[start:end] for start, end in encoding.offsets]
    assert pieces[:9] == ["电", "影", "“", "很", "好", "”", "！", "看", "a"]  # the address by its last letter
    assert pieces[9:] == ["，", "GOOD"]


def test_letters_beyond_the_alphabet_are_unknown() -> None:
    texts = ["好好好", "坏坏", "奇"]
    known = {
        size: sorted(
            tokenizer.train(
                texts,
                TokenizerConfig(vocab_size=60, min_frequency=1, normalization=2, max_tokens=4, alphabet=size),
            ).get_vocab()
        )
        for size in (2, 3)
    }
    assert known[2] == ["[PAD]", "[UNK]", "坏", "好"]
    assert known[3] == ["[PAD]", "[UNK]", "坏", "奇", "好"]


def test_raw_and_penn_treebank_text_get_the_same_ids() -> None:
    trained = tokenizer.train(TEXTS, CONFIG)
    raw, treebank = tokenizer.encode(trained, ["It isn't good", "it is n't good"], 99)
    assert raw.tolist() == treebank.tolist()


def test_encoding_keeps_the_first_tokens_and_makes_nothing_one_unknown() -> None:
    long, empty = tokenizer.encode(tokenizer.train(TEXTS, CONFIG), ["good good good good good good good", ""], 3)
    assert len(long) == 3
    assert empty.tolist() == [tokenizer.UNK_ID]


_TRAINED = """
from training import tokenizer
from training.config import TokenizerConfig
texts = [f"{a}{b} {b}{a}" for a in ("ka", "lo", "mi", "nu") for b in ("ra", "so", "ti", "vu")]
config = TokenizerConfig(vocab_size=40, min_frequency=1, normalization=1, max_tokens=4)
print(tokenizer.train(texts, config).to_str())
"""


def test_the_same_texts_make_the_same_tokenizer_in_every_process() -> None:
    """Every pair of these letters is as frequent as others, so that the order of a hash table would show."""
    runs = [subprocess.run([sys.executable, "-c", _TRAINED], capture_output=True, check=True) for _ in range(4)]
    assert len({run.stdout for run in runs}) == 1


def test_no_piece_of_a_word_is_special() -> None:
    trained = tokenizer.train(TEXTS, CONFIG)
    assert [token.content for token in trained.get_added_tokens_decoder().values()] == [tokenizer.PAD, tokenizer.UNK]
    assert trained.encode("film ##ilm", add_special_tokens=False).tokens[-2:] != ["##i", "##lm"]
