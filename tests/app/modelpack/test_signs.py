"""What a piece is in a numeral is read from the piece alone."""

import pytest

from app.modelpack.signs import Sign, Signs


@pytest.mark.parametrize(
    ("piece", "sign"),
    [
        ("20", Sign.DIGITS),
        ("２００", Sign.DIGITS),
        ("²", Sign.DIGITS),
        ("▁20", Sign.SPACED_DIGITS),
        (".", Sign.JOINER),
        ("/", Sign.JOINER),
        ("▁.", Sign.OTHER),
        ("..", Sign.OTHER),
        ("%", Sign.UNIT),
        ("万", Sign.UNIT),
        ("▁million", Sign.UNIT),
        ("rd", Sign.LETTERS),
        ("▁rd", Sign.OTHER),
        ("人", Sign.OTHER),
        ("▁", Sign.OTHER),
        ("</s>", Sign.OTHER),
    ],
)
def test_a_piece_has_one_sign(piece: str, sign: Sign) -> None:
    assert Signs.of(["</s>", piece]).kinds.tolist() == [Sign.OTHER, sign]


def test_joiners_and_units_are_known_by_their_ids() -> None:
    signs = Signs.of(["</s>", ".", "万", "7", ","])
    assert signs.joiners == frozenset({1, 4})
    assert signs.units == frozenset({2})
