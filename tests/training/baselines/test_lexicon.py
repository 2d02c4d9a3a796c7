"""VADER and SnowNLP."""

import dataclasses

import pytest

from tests.training.baselines.problems import CHINESE, ENGLISH, rows
from training.baselines.lexicon import SNOWNLP, VADER, LexiconBaseline
from training.baselines.protocol import Problem

NOTHING = rows([])
THREE_ZH = dataclasses.replace(CHINESE, labels=("negative", "neutral", "positive"))
TWO_EN = dataclasses.replace(ENGLISH, labels=("negative", "positive"))


def fixed(base: LexiconBaseline, scores: dict[str, float]) -> LexiconBaseline:
    """Return the baseline with a library that gives these scores."""
    return dataclasses.replace(base, open=lambda: scores.__getitem__)


@pytest.mark.parametrize(
    ("score", "label"), [(-0.05, "negative"), (-0.049, "neutral"), (0.049, "neutral"), (0.05, "positive")]
)
def test_vaders_own_thresholds_part_three_classes(score: float, label: str) -> None:
    assert fixed(VADER, {"x": score}).fit(NOTHING, NOTHING, ENGLISH).predict(["x"]) == [label]


@pytest.mark.parametrize(
    ("score", "label"), [(0.33, "negative"), (0.34, "neutral"), (0.66, "neutral"), (0.67, "positive")]
)
def test_thirds_of_snownlps_scale_part_three_classes(score: float, label: str) -> None:
    assert fixed(SNOWNLP, {"x": score}).fit(NOTHING, NOTHING, THREE_ZH).predict(["x"]) == [label]


@pytest.mark.parametrize(
    ("baseline", "problem", "scores"),
    [(VADER, TWO_EN, {"a": -0.01, "b": 0.0, "c": 0.01}), (SNOWNLP, CHINESE, {"a": 0.49, "b": 0.5, "c": 0.51})],
    ids=["VADER", "SnowNLP"],
)
def test_a_set_without_neutral_is_parted_in_the_middle(
    baseline: LexiconBaseline, problem: Problem, scores: dict[str, float]
) -> None:
    found = fixed(baseline, scores).fit(NOTHING, NOTHING, problem).predict(["a", "b", "c"])
    assert found == ["negative", "positive", "positive"]


def test_the_real_vader_knows_good_from_bad() -> None:
    fitted = VADER.fit(NOTHING, NOTHING, ENGLISH)
    assert fitted.predict(["I love it!", "A chair.", "I hate it."]) == ["positive", "neutral", "negative"]


def test_the_real_snownlp_knows_good_from_bad() -> None:
    fitted = SNOWNLP.fit(NOTHING, NOTHING, CHINESE)
    assert fitted.predict(["这本书很好,非常喜欢", "质量太差了,很失望", ""]) == ["positive", "negative", "positive"]


@pytest.mark.parametrize(
    ("problem", "applying"),
    [
        (ENGLISH, [VADER]),
        (CHINESE, [SNOWNLP]),
        (dataclasses.replace(ENGLISH, task="topic"), []),
        (dataclasses.replace(ENGLISH, languages=("en", "zh")), []),
    ],
    ids=["English", "Chinese", "topics", "two languages"],
)
def test_a_lexicon_is_for_sentiment_in_its_own_language(problem: Problem, applying: list[LexiconBaseline]) -> None:
    assert [one for one in (VADER, SNOWNLP) if one.applies(problem)] == applying
