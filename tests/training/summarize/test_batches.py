"""Batches of pairs."""

import numpy as np

from training.summarize.batches import DevPairs, TrainPairs, batch_of, cut
from training.summarize.config import StageConfig
from training.summarize.corpus import Pairs, Ragged
from training.summarize.vocabulary import BOS_ID, EOS_ID, UNK_ID

STAGE = StageConfig(epochs=1, max_cells=60, max_rows=3, target_cost=2, learning_rate=0.1)


def pairs(rows: int = 11, first: int = 10) -> Pairs:
    rng = np.random.default_rng(0)
    sources = [np.arange(first, first + int(rng.integers(1, 20)), dtype=np.int32) for _ in range(rows)]
    targets = [np.array([first + 1, UNK_ID, first, EOS_ID][: int(rng.integers(2, 5))], np.int32) for _ in range(rows)]
    return Pairs(Ragged.of(sources), Ragged.of(targets), np.full(rows, 4))


def test_inputs_are_the_targets_a_step_later_and_the_unknown_does_not_count() -> None:
    source, target = np.array([10, 11], np.int32), np.array([12, UNK_ID, EOS_ID], np.int32)
    one = Pairs(Ragged.of([source, source[:1]]), Ragged.of([target, target[:1]]), np.array([4, 5]))
    found = batch_of([(one, 0), (one, 1)])
    assert found.ids.tolist() == [[10, 11], [10, 0]]
    assert found.lens.tolist() == [2, 1]
    assert found.kinds.tolist() == [4, 5]
    assert found.inputs.tolist() == [[BOS_ID, 12, UNK_ID], [BOS_ID, 12, 0]]
    assert found.targets.tolist() == [[12, UNK_ID, EOS_ID], [12, 0, 0]]
    assert found.counted.tolist() == [[True, False, True], [True, False, False]]


def test_batches_hold_every_row_once_within_their_bounds() -> None:
    one = pairs()
    found = cut(one.sources.lens, one.targets.lens, STAGE)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(one)))
    for index in found:
        cells = len(index) * (one.sources.lens[index].max() + 2 * one.targets.lens[index].max())
        assert len(index) <= 3
        assert len(index) == 1 or cells <= 60


def test_dev_batches_say_which_rows_they_hold() -> None:
    dev = DevPairs(pairs(), STAGE)
    for index, batch in zip(dev.order, dev, strict=True):
        assert batch.lens.tolist() == dev.pairs.sources.lens[index].tolist()


def test_an_epoch_draws_what_each_set_is_due_and_later_ones_go_on() -> None:
    batches = TrainPairs([(pairs(11, 10), 6), (pairs(5, 50), 4)], STAGE, seed=3)
    seen = [int(one) for batch in batches for one in batch.ids[:, 0]]
    assert seen.count(10) == 6
    assert seen.count(50) == 4


def test_a_resumed_run_goes_on_with_the_next_batch() -> None:
    sources = [(pairs(11, 10), 8), (pairs(5, 50), 5)]
    unbroken = TrainPairs(sources, STAGE, seed=3)
    wanted = [batch.ids.tolist() for _ in range(3) for batch in unbroken]
    first, found = TrainPairs(sources, STAGE, seed=3), []
    for batch in first:
        found.append(batch.ids.tolist())
        if len(found) == 2:
            break
    second = TrainPairs(sources, STAGE, seed=3)
    second.load_state_dict(first.state_dict())
    while len(found) < len(wanted):
        found += [batch.ids.tolist() for batch in second]
    assert found == wanted


def test_the_head_is_spread_evenly() -> None:
    one = pairs()
    kept = one.head(3)
    assert [row.tolist() for row in (kept.sources.row(0), kept.sources.row(2))] == [
        one.sources.row(0).tolist(),
        one.sources.row(10).tolist(),
    ]
    assert one.head(20) is one
