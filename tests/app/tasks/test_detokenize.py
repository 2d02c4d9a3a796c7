"""Pieces to text: joined as they were cut, spelled as the caller spells, and never taken back."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.modelpack.store import open_package
from app.modelpack.tokenizer import TextTokenizer
from app.tasks.detokenize import Detokenizer, Source, Spelling
from tests.parrot import UNK, parrot

Said = Sequence[tuple[str, int | None]]


def written(said: Said, text: str = "", offsets: Sequence[tuple[int, int]] = ()) -> list[str]:
    """Return what each piece adds to the text, and the end's part last."""
    pieces = ["<unk>", *dict.fromkeys(piece for piece, _ in said if piece != "<unk>")]
    made = Detokenizer(pieces, 0, Source(text, offsets, Spelling(text)), recase=True)
    return [*(made.add(pieces.index(piece), at) for piece, at in said), made.end()]


def repeated(tokenizer: TextTokenizer, text: str) -> str:
    """Return ``text`` cut into tokens and put together again as if each were copied from its place."""
    (tokens,) = tokenizer.encode([text], with_offsets=True)
    made = Detokenizer(tokenizer.pieces(), UNK, Source(text, tokens.offsets or [], Spelling(text)), recase=True)
    return "".join([made.add(token, at) for at, token in enumerate(tokens.ids.tolist())]) + made.end()


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return open_package(parrot(tmp_path_factory.mktemp("en"))).tokenizer()


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return open_package(parrot(tmp_path_factory.mktemp("zh"), "summarize-zh", "zh")).tokenizer()


@pytest.mark.parametrize(
    "text",
    [
        "The quick Brown fox (a LAZY one) didn't jump; it was 7 o'clock!",
        'Amanda said: "I\'ll bring you some tomorrow" and left.',
        "Amanda: I baked cookies.\nJerry: Sure!",
        "McDonald's rose by 12.5 percent in the U.S. on Monday.",
        "Señor Ünal met 王先生 in Zürich at 10:30.",
        "all of it lower-case, and never raised. not even here.",
        "An emoji 😀 and a dash – here",
    ],
)
def test_english_that_is_copied_comes_back_as_it_was(english: TextTokenizer, text: str) -> None:
    assert repeated(english, text) == text


@pytest.mark.parametrize(
    "text",
    [
        "这个手机iPhone 15的屏幕真的漂亮。",
        "电池用了一周就坏了,快递三天才到",
        "央行下调0.5个百分点",
        "我用Windows 10 系统",
    ],
)
def test_chinese_that_is_copied_comes_back_as_it_was(chinese: TextTokenizer, text: str) -> None:
    assert repeated(chinese, text) == text


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_put_together_without_a_fault(english: TextTokenizer, text: str) -> None:
    assert len(repeated(english, text)) <= 2 * len(text)


def test_text_comes_a_word_at_a_time_and_is_not_taken_back() -> None:
    said = [("▁un", None), ("believ", None), ("able", None), ("▁new", None), ("s", None), (".", None)]
    assert written(said) == ["", "", "", "unbelievable", "", " news", "."]


def test_a_generated_word_that_the_source_has_is_spelled_as_there() -> None:
    said = [("▁kenya", None), ("▁and", None), ("▁the", None), ("▁un", None), ("▁met", None)]
    assert "".join(written(said, "The UN sent aid to Kenya.")) == "Kenya and the UN met"


def test_a_word_is_spelled_as_in_the_place_it_was_copied_from() -> None:
    text, offsets = "They told us the US won.", [(0, 4), (4, 9), (9, 12), (12, 16), (16, 19), (19, 23), (23, 24)]
    assert "".join(written([("▁he", None), ("▁told", 1), ("▁us", 2)], text, offsets)) == "He told us"
    assert "".join(written([("▁in", None), ("▁the", 3), ("▁us", 4)], text, offsets)) == "In the US"


def test_a_word_that_only_begins_a_sentence_of_the_source_keeps_its_capital_if_it_may_be_a_name() -> None:
    said = [("▁then", None), ("▁the", 0), ("▁amanda", 1)]
    assert "".join(written(said, "The rest. Amanda left.", [(0, 3), (9, 16)])) == "Then the Amanda"


def test_a_sentence_begins_with_a_capital_where_the_sources_do() -> None:
    said = [("▁rain", None), (".", None), ("▁more", None), ("▁rain", None), ("\n", None), ("▁i", None), ("▁left", None)]
    assert "".join(written(said, "It rained. We left.")) == "Rain. More rain\nI left"
    assert "".join(written(said, "it rained. we left.")) == "rain. more rain\ni left"


def test_a_plain_word_loses_the_capital_of_a_beginning_and_of_an_emphasis() -> None:
    text, offsets = "As I said. Sam, SHE left.", [(0, 2), (2, 4), (4, 9), (11, 14), (15, 19), (19, 24)]
    said = [("▁sam", 3), ("▁left", 5), (",", None), ("▁as", 0), ("▁she", 4), ("▁said", 2)]
    assert "".join(written(said, text, offsets)) == "Sam left, as she said"


def test_a_weekday_has_its_capital_and_a_full_stop_within_a_name_begins_nothing() -> None:
    said = [("▁mr", None), (".", None), ("▁x", None), ("▁on", None), ("▁friday", None), (",", None), ("▁8", None)]
    said += [("▁p", None), (".", None), ("m", None), (".", None)]
    assert "".join(written(said, "They met. We left.")) == "Mr. x on Friday, 8 p.m."


def test_an_unknown_token_takes_its_text_from_the_source_and_without_a_place_says_nothing() -> None:
    said = [("▁the", 0), ("<unk>", 1), ("<unk>", None), ("!", None)]
    assert "".join(written(said, "The ☃", [(0, 3), (4, 5)])) == "The ☃!"
