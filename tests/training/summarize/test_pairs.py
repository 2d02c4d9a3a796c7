"""Sentences, pairs of them, and sentences to restore."""

from itertools import pairwise

import numpy as np
import pytest

from training.summarize.config import RestoreConfig, StageConfig
from training.summarize.oracle import sentence_pairs
from training.summarize.pairs import Pair, sentences
from training.summarize.restore import garble, passages
from training.summarize.vocabulary import EOS_ID, LINE_ID, UNK_ID

LOOP = StageConfig(epochs=1, max_cells=100, max_rows=4, learning_rate=0.1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('It rains . He said : " go ! " Why ? Ok', ["It rains .", 'He said : " go !', '" Why ?', "Ok"]),
        ("Ann: hi\r\nBob: yes!", ["Ann: hi", "Bob: yes!"]),
        ("今天下雨。他说：“走！”好，再见", ["今天下雨。", "他说：“走！”", "好，", "再见"]),
        ("  ", []),
    ],
)
def test_a_text_is_cut_into_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_each_summary_sentence_meets_the_sentence_that_says_most_of_it() -> None:
    document = "it was cold . the old bridge in oslo closes on monday . nobody came . ann sings at noon ."
    summary = "oslo bridge closes monday . ann sings . something else entirely ."
    assert list(sentence_pairs(Pair(document, summary))) == [
        Pair("the old bridge in oslo closes on monday .", "oslo bridge closes monday ."),
        Pair("ann sings at noon .", "ann sings ."),
    ]


def document() -> list[np.ndarray]:
    rows = [[20, 21, 22, 23], [30, 31, 20, 21, 22], [40, 41, 42, 43, 44], [50]]
    return [np.array(row, dtype=np.int32) for row in rows]


def restoring(**how: float) -> RestoreConfig:
    return RestoreConfig(max_tokens=40, min_target=4, max_target=6, rows_per_epoch=8, loop=LOOP, **how)  # type: ignore[arg-type]


def test_a_gap_is_the_sentence_that_shares_most_and_leaves_one_mask() -> None:
    rng = np.random.default_rng(0)
    ((source, target),) = passages(document(), restoring(gap_share=1.0), rng, lines=False)
    assert target.tolist() == [20, 21, 22, 23, EOS_ID]
    assert source.tolist() == [UNK_ID, 30, 31, 20, 21, 22, 40, 41, 42, 43, 44, 50]


def test_a_dialogue_has_line_breaks_between_its_turns() -> None:
    ((source, _),) = passages(document(), restoring(gap_share=1.0), np.random.default_rng(0), lines=True)
    assert source.tolist().count(LINE_ID) == 3
    assert source[-1] == 50


def test_a_garbled_sentence_stands_among_all_the_others() -> None:
    for seed in range(5):
        ((source, target),) = passages(document(), restoring(gap_share=0.0), np.random.default_rng(seed), lines=False)
        whole = target.tolist()[:-1]
        assert whole in [row.tolist() for row in document()]
        others = [one for row in document() for one in row.tolist() if row.tolist() != whole]
        left = source.tolist()
        for one in others:
            left.remove(one)
        assert UNK_ID in left
        assert set(left) - {UNK_ID} < set(whole)


def test_a_short_document_gives_nothing() -> None:
    assert list(passages(document()[:2], restoring(), np.random.default_rng(0), lines=False)) == []


def test_garbling_keeps_order_and_puts_one_mask_for_a_span() -> None:
    sentence = np.arange(20, 40, dtype=np.int32)
    for seed in range(10):
        found = garble(sentence, 0.5, np.random.default_rng(seed)).tolist()
        kept = [one for one in found if one != UNK_ID]
        assert kept == sorted(kept)
        assert len(kept) <= 10
        assert all(pair != (UNK_ID, UNK_ID) for pair in pairwise(found))
