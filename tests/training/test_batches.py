"""Which rows come when, and in what company."""

from itertools import islice

import numpy as np
import pytest
import torch

from training.batches import Batch, Source, TrainBatches, class_weights, collate, cut
from training.config import LoopConfig, RunConfig
from training.corpus import Corpus, pack
from training.losses import batch_loss

THREE = np.array([True, True, True])


def corpus(lens: list[int], labels: list[int] | None = None) -> Corpus:
    rows = [np.arange(2, 2 + size, dtype=np.int32) for size in lens]
    return pack(rows, np.array(labels or [0] * len(lens)), THREE)


def source(lens: list[int], rows_per_epoch: int) -> Source:
    return Source(corpus(lens), rows_per_epoch, np.ones(len(lens), dtype=np.float32))


@pytest.fixture
def loop(tiny: RunConfig) -> LoopConfig:
    return tiny.loop.model_copy(update={"max_cells": 12, "max_rows": 3, "max_train_tokens": 5})


def test_collate_pads_to_the_longest_and_keeps_the_lengths() -> None:
    ids, lens = collate([np.array([4, 5, 6], np.int32), np.array([7], np.int32)], pad_id=0)
    assert ids.tolist() == [[4, 5, 6], [7, 0, 0]]
    assert lens.tolist() == [3, 1]


def test_a_cut_holds_every_row_once_within_cells_and_rows() -> None:
    lens = np.array([5, 1, 2, 9, 30, 1, 2, 4])
    batches = cut(lens, max_cells=12, max_rows=3)
    assert sorted(np.concatenate(batches).tolist()) == list(range(8))
    for index in batches:
        assert len(index) <= 3
        assert len(index) == 1 or len(index) * lens[index].max() <= 12


def test_class_weights_make_classes_count_alike_at_one_and_as_they_are_at_zero() -> None:
    rows = corpus([1] * 4, [0, 0, 0, 1])
    assert class_weights(rows, 0.0).tolist() == [1, 1, 1, 1]
    even = class_weights(rows, 1.0)
    assert even[:3].sum() == pytest.approx(even[3])
    assert even.mean() == pytest.approx(1)


def lengths(batches: list[Batch]) -> list[int]:
    return sorted(int(size) for batch in batches for size in batch.lens)


def test_an_epoch_draws_the_rows_that_each_source_is_due(loop: LoopConfig) -> None:
    batches = TrainBatches([source([1, 2], 6), source([4] * 10, 5)], loop, 0, seed=1)
    assert lengths(list(batches)) == [1, 1, 1, 2, 2, 2, 4, 4, 4, 4, 4]


def test_successive_epochs_walk_through_all_rows_of_a_source(loop: LoopConfig) -> None:
    batches = TrainBatches([source([1, 2, 3, 4], 2)], loop, 0, seed=1)
    plan_batches = 2 * len(batches)
    assert lengths(list(islice((batch for _ in range(9) for batch in batches), plan_batches))) == [1, 2, 3, 4]


def test_a_long_row_is_seen_from_its_start_or_up_to_its_end(loop: LoopConfig) -> None:
    batches = TrainBatches([source([9], 40)], loop, 0, seed=1)
    seen = {tuple(row) for batch in batches for row in batch.ids.tolist()}
    assert seen == {(2, 3, 4, 5, 6), (6, 7, 8, 9, 10)}


def test_the_state_takes_up_with_the_batch_that_would_have_come_next(loop: LoopConfig) -> None:
    def fresh() -> TrainBatches:
        return TrainBatches([source([1, 2, 3, 4, 5, 6], 7)], loop, 0, seed=1)

    unbroken, killed, resumed = fresh(), fresh(), fresh()
    wanted = [batch.ids.tolist() for _ in range(3) for batch in unbroken]
    done = [batch.ids.tolist() for batch in islice(killed, 2)]
    resumed.load_state_dict(killed.state_dict())
    rest = [batch.ids.tolist() for _ in range(3) for batch in resumed]
    assert done + rest == wanted
    assert len(wanted) == 3 * len(unbroken)


@pytest.mark.parametrize("processes", [2, 5])
def test_processes_share_a_batch_so_that_their_mean_loss_is_its_own(
    tiny: RunConfig, loop: LoopConfig, processes: int
) -> None:
    rows = Source(corpus([1, 2, 3, 4, 5], [0, 1, 2, 0, 1]), 5, np.array([0.5, 1, 2, 1.5, 1], dtype=np.float32))
    shares = [TrainBatches([rows], loop, 0, seed=1) for _ in range(processes)]
    for rank, batches in enumerate(shares):
        batches.share(rank, processes)
    for whole, *parts in zip(TrainBatches([rows], loop, 0, seed=1), *shares, strict=True):
        logits = {int(size): torch.randn(3) for size in whole.lens}  # a row's own, whoever has it
        losses = [
            batch_loss(torch.stack([logits[int(size)] for size in part.lens]), part, tiny.loop)
            for part in (whole, *parts)
        ]
        torch.testing.assert_close(torch.stack(losses[1:]).mean(), losses[0])
        counted = [int(size) for part in parts for size, weight in zip(part.lens, part.weights, strict=True) if weight]
        assert sorted(counted) == sorted(whole.lens.tolist())
