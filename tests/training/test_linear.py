"""The fit of the n-gram branch."""

import numpy as np
import torch

from training import linear, prepare
from training.batches import Source, collate
from training.config import RunConfig
from training.corpus import pack
from training.models.ngrams import NgramBranch
from training.paths import RunPaths


def branch_of(config: RunConfig) -> NgramBranch:
    return NgramBranch(config.model.ngram_orders, config.model.ngram_buckets, len(config.labels))


def test_the_branch_computes_what_was_fitted(tiny: RunConfig, prepared: RunPaths) -> None:
    sources, dev = prepare.sources(tiny, prepared), prepare.dev(tiny, prepared)
    fitted = linear.fit(sources, dev, tiny, lambda _: None)
    branch = branch_of(tiny)
    fitted.copy_to(branch)
    rows = [dev["tiny"].row(at) for at in range(9)]
    wanted = linear.count(dev["tiny"], tiny.model)[:9] @ fitted.weights + fitted.bias
    with torch.inference_mode():
        found = branch(*collate(rows, 0)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_strength_with_the_best_dev_figure_is_kept(tiny: RunConfig, prepared: RunPaths) -> None:
    fitted = linear.fit(prepare.sources(tiny, prepared), prepare.dev(tiny, prepared), tiny, lambda _: None)
    assert set(fitted.dev) == set(tiny.ngrams.l2)
    assert fitted.dev[fitted.l2] == max(fitted.dev.values())


def test_a_binary_set_leaves_neutral_where_it_was(tiny: RunConfig, prepared: RunPaths) -> None:
    (source,) = prepare.sources(tiny, prepared)
    dev = prepare.dev(tiny, prepared)
    kept = np.flatnonzero(source.corpus.labels != 1)
    rows = [source.corpus.row(int(at)) for at in kept]
    binary = Source(pack(rows, source.corpus.labels[kept], np.array([True, False, True])), 100, source.weights[kept])
    fitted = linear.fit([binary], dev, tiny, lambda _: None)
    assert not fitted.weights[:, 1].any()
    assert fitted.bias[1] == 0
    assert fitted.weights[:, 0].any()


def test_ngrams_do_not_reach_from_one_row_into_the_next(tiny: RunConfig) -> None:
    rows = [np.array([5, 6], np.int32), np.array([7], np.int32)]
    counted = linear.count(pack(rows, np.array([0, 0]), np.array([True] * 3)), tiny.model)
    assert counted[0].sum() == np.float32(3 / np.sqrt(2))
    assert counted[1].sum() == 1
