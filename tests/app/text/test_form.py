"""The form of a text: dialogues are told from prose, and each form gets the summary that suits it."""

import pytest

from app.text.form import AskedKind, AskedMethod, Kind, Plan, is_dialogue, plan

ALL: frozenset[Kind] = frozenset({"headline", "dialogue", "abstract"})
PROSE = "The bank raised its rate. Markets fell."
TALK = "Amanda: I baked cookies. Do you want some?\nJerry: Sure!"


@pytest.mark.parametrize(
    "text",
    [
        TALK,
        "Amanda: I baked cookies.\r\n\r\nJerry: Sure!\r\nAmanda: I'll bring you some tomorrow :-)",
        "#Person1#: Hi, Mr. Smith.\n#Person2#: I found it would be a good idea.",
        "[10:02] Tom B.: hello\n[10:03] Ann: hi",
        "小王：你吃了吗？\n小李：吃了。",
        "A note before it all\nTim: yes\nTom: no",
    ],
)
def test_turns_of_named_speakers_are_a_dialogue(text: str) -> None:
    assert is_dialogue(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        PROSE,
        "Amanda: I baked cookies.",
        "See https://a.example/x\nand https://b.example/y",
        "Ingredients: eggs\nBeat them well.\nAdd sugar.\nBake it.",
        "The minister said this on Monday in the capital: no.\nThe others in the parliament said this: yes.",
        "他说：不。",
    ],
)
def test_prose_is_none(text: str) -> None:
    assert not is_dialogue(text)


@pytest.mark.parametrize(
    ("text", "sentences", "fits", "expected"),
    [
        pytest.param(PROSE, 2, True, Plan("abstractive", "headline"), id="short"),
        pytest.param(TALK, 3, True, Plan("abstractive", "dialogue"), id="dialogue"),
        pytest.param(TALK, 99, False, Plan("abstractive", "dialogue"), id="long dialogue"),
        pytest.param(PROSE, 20, True, Plan("extract-then-rewrite", "abstract"), id="many sentences"),
        pytest.param(PROSE, 3, False, Plan("extract-then-rewrite", "headline"), id="more than is read"),
    ],
)
def test_what_is_left_open_follows_from_length_and_form(text: str, sentences: int, fits: bool, expected: Plan) -> None:  # noqa: FBT001
    assert plan(text, sentences, fits=fits, kinds=ALL, quotes=True) == expected


@pytest.mark.parametrize(
    ("method", "kind", "fits", "expected"),
    [
        ("extractive", "auto", True, Plan("extractive", None)),
        ("abstractive", "auto", False, Plan("abstractive", "abstract")),
        ("abstractive", "headline", True, Plan("abstractive", "headline")),
        ("auto", "headline", False, Plan("abstractive", "headline")),
        ("auto", "abstract", True, Plan("abstractive", "abstract")),
        ("auto", "abstract", False, Plan("extract-then-rewrite", "abstract")),
    ],
)
def test_what_is_asked_for_is_kept_to(method: AskedMethod, kind: AskedKind, fits: bool, expected: Plan) -> None:  # noqa: FBT001
    assert plan(PROSE, 20, fits=fits, method=method, kind=kind, kinds=ALL, quotes=True) == expected


def test_without_a_package_that_writes_a_text_is_quoted() -> None:
    assert plan(PROSE, 2, fits=True, quotes=True) == Plan("extractive", None)


def test_without_a_package_that_quotes_a_long_text_is_written_of_at_once() -> None:
    assert plan(PROSE, 20, fits=False, kinds=ALL) == Plan("abstractive", "abstract")


def test_a_package_that_writes_one_kind_writes_that() -> None:
    assert plan(TALK, 20, fits=True, kinds=frozenset({"headline"})) == Plan("abstractive", "headline")
