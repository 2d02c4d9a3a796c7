"""The packages that are served write numerals whole, and the same alone, in company and joined midway."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from app.runtime.summarizer import Summarizer
from training.summarize.config import Kind
from training.summarize.written import open_writer, options_of, write

MODELS = Path(__file__).parents[3] / "models"
ENGLISH = [
    "The company said profit rose 0.5% to $1,234,567.89 in the quarter that ended on 12/31/2019, from 20 in 2018.",
    "About 20,000 people, 2,500 of them children, left the town at 10:30am after 3.7 inches of rain fell in 1990.",
    "Tom: see you at 18:30?\nAnn: no, 7:15 is better, 200 leaves at 7.05 and costs 20 dollars\nTom: ok, 2,000 thanks",
    "Shares fell 20.5 percent to 200 yen, while 20 million were sold; in 2009 it was 1,200 million.",
]
CHINESE = [
    "央行宣布存款准备金率下调0.5个百分点,释放资金约8000亿元,2015年3月15日起实施,此前为20.5%。",
    "全国人均消费1804元,增长21.2%,其中200万人超过5000元,20万人低于100.5元。",
    "该方法在10个数据集上准确率为98.75%,比2018年的结果高1.25%,速度提高2.5~3.5倍,参数仅为1,200,000。",
]
NUMERAL = re.compile(r"\d+(?:[.,:/~-]\d+)*(?:[%百千万亿]| (?:million|percent))?")


@cache
def package(name: str) -> Summarizer:
    return open_writer(MODELS / name)


@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize(
    ("name", "kind", "texts"),
    [
        ("summarize-en", "headline", ENGLISH),
        ("summarize-en", "dialogue", ENGLISH),
        ("summarize-zh", "headline", CHINESE),
    ],
)
def test_every_numeral_of_a_summary_is_one_of_the_text(name: str, kind: Kind, texts: list[str], beams: int) -> None:
    model = package(name)
    for tokens in range(8, 32, 3):  # so that some would end within a numeral
        options = replace(options_of(model, kind), beams=beams, max_tokens=tokens, min_tokens=min(tokens, 20))
        written = write(model, texts, kind, options)
        for text, one in zip(texts, written, strict=True):
            assert {*NUMERAL.findall(one.text)} <= {*NUMERAL.findall(text)}, one.text
        assert [one.ids for one in written] == [write(model, [text], kind, options)[0].ids for text in texts]


def test_a_package_that_may_make_numerals_up_heeds_none_of_this() -> None:
    model = package("summarize-en")
    options = replace(options_of(model, "headline"), beams=1, max_tokens=8)
    free, bound = (write(model, ENGLISH[:1], "headline", options, free=free)[0].text for free in (True, False))
    assert NUMERAL.findall(free) == ["0"]
    assert "0" not in NUMERAL.findall(bound)
