"""Reinforcement on ROUGE: what is drawn, what it scores, and which way the gradient goes."""

import pytest
import torch

from tests.training.summarize.conftest import TinyRun
from training.models.pointer import PointerGenerator
from training.models.pointer_step import PointerStep
from training.summarize import prepare, stages, vocabulary
from training.summarize.batches import PairBatch, batch_of
from training.summarize.greedy import greedy, step_of
from training.summarize.reward import SelfCritic, rouge, weighed, written
from training.summarize.vocabulary import EOS_ID, PAD_ID, UNK_ID


@pytest.fixture
def network(run: TinyRun) -> PointerGenerator:
    return stages.load_network(run.config, run.paths)


@pytest.fixture
def batch(run: TinyRun) -> PairBatch:
    pairs = prepare.dev_pairs(run.config, run.paths, 5)["tiny-news"][0]
    return batch_of([(pairs, row) for row in range(len(pairs))])


@pytest.fixture
def step(run: TinyRun, network: PointerGenerator) -> PointerStep:
    return step_of(network, vocabulary.load(run.paths.tokenizer))


def test_ids_are_scored_as_rouge_scores_words() -> None:
    summaries = torch.tensor([[20, 21, 22, EOS_ID], [20, 30, 21, 31], [40, EOS_ID, PAD_ID, PAD_ID]])
    references = torch.tensor([[20, 21, 22, EOS_ID, PAD_ID], [20, 21, 50, 51, 52], [41, 42, 43, EOS_ID, PAD_ID]])

    found = rouge(summaries, references)

    # 2 of 4 and 2 of 5 words, no couple of words, and both in order
    second = (2 * 2 / 9 + 0 + 2 * 2 / 9) / 3
    assert found.tolist() == pytest.approx([1.0, second, 0.0])


def test_a_word_counts_as_often_as_it_stands_in_both_and_unknown_ones_never() -> None:
    summaries = torch.tensor([[20, 20, 20, UNK_ID]])
    references = torch.tensor([[20, 20, UNK_ID, 21]])

    # 2 shared of 3 and 3, of couples 1 of 2 and 1, and 2 in order
    assert float(rouge(summaries, references)) == pytest.approx((2 * 2 / 6 + 2 * 1 / 3 + 2 * 2 / 6) / 3)


def test_the_greedy_one_is_that_of_the_dev_figures(step: PointerStep, batch: PairBatch) -> None:
    with torch.no_grad():
        first, drawn = written(step, batch, max_tokens=24)
        wanted = greedy(step, batch.ids, batch.lens, batch.kinds, max_tokens=24)

    told = [[one for one in row if one not in {PAD_ID, EOS_ID}] for row in first.tolist()]
    assert told == wanted
    assert drawn.shape == first.shape
    for row in drawn.tolist():
        assert set(row[row.index(EOS_ID) + 1 :] if EOS_ID in row else []) <= {PAD_ID}


def test_what_is_drawn_is_a_function_of_the_seed(run: TinyRun, network: PointerGenerator, batch: PairBatch) -> None:
    critic = SelfCritic(network.train(), vocabulary.load(run.paths.tokenizer))

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return float(critic.loss(batch).detach())

    assert loss(1) == loss(1)
    assert network.training


def test_a_step_along_the_gradient_raises_what_gained_and_lowers_what_lost(
    network: PointerGenerator, batch: PairBatch
) -> None:
    drawn = batch.targets.roll(1, dims=0)  # each source with another's summary, which the network would not write
    gains = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])[: len(drawn)]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02)

    def costs() -> list[float]:
        with torch.no_grad():
            alone = [torch.eye(len(drawn))[row] for row in range(len(drawn))]
            return [float(weighed(network, batch, drawn, one)) for one in alone]

    before = costs()
    weighed(network, batch, drawn, gains).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    moved = [after - first for after, first in zip(costs(), before, strict=True)]

    assert sum(gain * change for gain, change in zip(gains.tolist(), moved, strict=True)) < 0
