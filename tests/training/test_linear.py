"""The fit of the n-gram branch."""

import numpy as np
import pytest
import torch

from training import linear, prepare
from training.batches import Source, collate
from training.config import RunConfig
from training.corpus import pack
from training.models.ngrams import NgramBranch, bucket_ids
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


def bayesian(config: RunConfig, bayes: float) -> RunConfig:
    return config.model_copy(update={"ngrams": config.ngrams.model_copy(update={"bayes": bayes, "l2": (0.01,)})})


def test_an_ngram_that_is_as_common_in_every_class_is_held_shorter_by_bayes(
    tiny: RunConfig, prepared: RunPaths
) -> None:
    rows = [np.array(ids, np.int32) for ids in ([5, 9], [5, 9], [6, 9], [6, 9])]
    corpus = pack(rows, np.array([0, 0, 2, 2]), np.array([True, False, True]))
    telling, common = (bucket_ids(np.array([word]), 1, tiny.model.ngram_buckets) for word in (5, 9))
    dev = prepare.dev(tiny, prepared)
    found = [
        linear.fit([Source(corpus, 4, np.ones(4, np.float32))], dev, bayesian(tiny, bayes), lambda _: None).weights
        for bayes in (0.0, 1.0)
    ]
    gained = [np.abs(one[telling[0], 0]) - np.abs(one[common[0], 0]) for one in found]
    assert gained[1] > gained[0] > 0
    assert found[1][common[0], 0] == pytest.approx(0, abs=1e-3)


def test_the_branch_computes_what_was_fitted_with_bayes(tiny: RunConfig, prepared: RunPaths) -> None:
    dev = prepare.dev(tiny, prepared)
    fitted = linear.fit(prepare.sources(tiny, prepared), dev, bayesian(tiny, 0.5), lambda _: None)
    logits = linear.count(dev["tiny"], tiny.model) @ fitted.weights + fitted.bias
    assert fitted.dev[0.01] == np.mean(logits.argmax(axis=1) == dev["tiny"].labels) > 0.9
