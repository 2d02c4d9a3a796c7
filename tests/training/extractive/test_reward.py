"""Reinforcement raises what ROUGE rewards, by probabilities of draws without replacement."""

from itertools import permutations

import numpy as np
import pytest
import torch

from training.extractive.reward import log_probability, reward_loss
from training.oracle import SetScorer
from training.rouge import scorer as rouge_of


def test_the_probabilities_of_all_draws_come_to_one() -> None:
    weights = torch.tensor([0.5, 0.2, 0.9, 0.1])
    draws = torch.tensor(list(permutations(range(4), 2)))

    assert float(log_probability(weights, draws).exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_a_set_has_the_figure_of_rouge() -> None:
    texts, summary = ["a dog ran", "it rained", "the cat sat"], "the cat sat as it rained"
    words = [rouge_of("en").tokenizer.tokenize(text) for text in (*texts, summary)]
    numbers = {word: at for at, word in enumerate(sorted({word for row in words for word in row}))}
    *said, wanted = [np.array([numbers[word] for word in row]) for row in words]

    found = SetScorer(said, [wanted]).score(np.array([[0, 1], [2, 1]]))

    # Their bigrams where two sentences meet do not count, so ROUGE-1 alone is the library's.
    plain = [rouge_of("en").score(" ".join(texts[at] for at in places), [summary]).r1 for places in ([0, 1], [2, 1])]
    assert found[0] < found[1]
    assert found[1] == pytest.approx((plain[1] + 2 * 3 / (3 + 5)) / 2)


def test_the_gradient_raises_the_sentence_that_is_rewarded() -> None:
    word = np.arange(4, dtype=np.int32)
    scorer = SetScorer([word[at : at + 1] for at in range(4)], [word[2:3]])
    logits = torch.zeros(1, 4, requires_grad=True)
    torch.manual_seed(1)

    loss = reward_loss(logits, torch.tensor([4]), (scorer,), most=1, samples=64)
    (gradient,) = torch.autograd.grad(loss, logits)

    assert int(gradient[0].argmin()) == 2
    assert float(gradient[0, 2]) < 0


def test_a_document_with_nothing_to_choose_counts_for_nothing() -> None:
    word = np.arange(2, dtype=np.int32)
    scorer = SetScorer([word, word], [word])

    assert float(reward_loss(torch.ones(1, 2), torch.tensor([2]), (scorer,), most=3, samples=4)) == 0.0
