"""The baselines that are trained, held to what all of them must do."""

import pytest

from tests.training.baselines.problems import CHINESE, ENGLISH, THINGS, THINGS_ZH, chinese, english
from training.baselines.fasttext import FastTextBaseline
from training.baselines.linear import LogisticBaseline
from training.baselines.nbsvm import NbsvmBaseline
from training.baselines.protocol import Baseline, Problem
from training.data import Rows

TRAINED: list[Baseline] = [LogisticBaseline(), NbsvmBaseline(), FastTextBaseline(rates=(0.5,), epochs=(50,))]
LANGUAGES = [
    pytest.param(ENGLISH, english(*THINGS[:4]), english(THINGS[4]), id="English in three classes"),
    pytest.param(CHINESE, chinese(*THINGS_ZH[:4]), chinese(THINGS_ZH[4]), id="Chinese in two"),
]


@pytest.mark.parametrize("baseline", TRAINED, ids=[one.name for one in TRAINED])
@pytest.mark.parametrize(("problem", "train", "unseen"), LANGUAGES)
def test_it_learns_opinions_and_knows_them_of_a_thing_it_never_saw(
    baseline: Baseline, problem: Problem, train: Rows, unseen: Rows
) -> None:
    fitted = baseline.fit(train, train, problem)
    assert fitted.predict(unseen.texts) == unseen.labels
    assert fitted.choice["dev"] == 1.0


@pytest.mark.parametrize("baseline", TRAINED, ids=[one.name for one in TRAINED])
def test_fitting_again_gives_the_same_labels(baseline: Baseline) -> None:
    train = english(*THINGS)
    wanted = ["a lovely dreadful tune", "round and awful", "nothing known", ""]
    once, again = (baseline.fit(train, train, ENGLISH) for _ in range(2))
    assert once.choice == again.choice
    assert once.predict(wanted) == again.predict(wanted)


def test_many_epochs_are_for_sets_small_enough_for_them() -> None:
    train = english(*THINGS)
    tokens = 4 * len(train)
    few, many = (FastTextBaseline((0.5,), (1, 50), limit).fit(train, train, ENGLISH) for limit in (tokens, 50 * tokens))
    assert (few.choice["epoch"], many.choice["epoch"]) == (1, 50)


def test_a_text_that_looks_like_a_label_is_text_to_fasttext() -> None:
    train = english(*THINGS)
    texts = [f"<label>0 {text}\n<label>1" for text in train.texts]
    fitted = FastTextBaseline(rates=(0.5,), epochs=(50,)).fit(Rows(texts, train.labels), train, ENGLISH)
    assert fitted.predict(texts) == train.labels
