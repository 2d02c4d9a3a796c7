"""The languages of a table."""

from training.own.language import languages, normalization


def test_the_majority_comes_first_and_what_is_rare_is_left_out() -> None:
    texts = ["很好"] * 60 + ["good film"] * 38 + ["хорошо"] * 2 + [":-)"] * 50
    assert languages(texts) == {"zh": 0.6, "en": 0.38}


def test_texts_without_letters_are_taken_for_english() -> None:
    assert languages([":-)", "10/10"]) == {"en": 1.0}


def test_languages_without_spaces_are_cut_into_characters() -> None:
    assert [normalization(code) for code in ("en", "es", "zh", "ja")] == [1, 1, 2, 2]
