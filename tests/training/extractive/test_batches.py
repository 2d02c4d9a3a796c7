"""Batches of documents: padded, walked in one endless order, and taken up again."""

import torch

from training.extractive.batches import DevDocuments, TrainDocuments, batch_of
from training.extractive.config import ExtractConfig
from training.extractive.prepare import DEV, TRAIN, opened
from training.paths import RunPaths


def test_a_batch_has_all_sentences_one_after_the_other(quoting_prepared: RunPaths) -> None:
    documents = opened(quoting_prepared, "tiny-news", DEV)

    batch = batch_of([documents.row(0), documents.row(1)])

    assert batch.counts.tolist() == [4, 4]
    assert batch.ids.shape == (8, int(batch.lens.max()))
    assert batch.ids[4, : batch.lens[4]].tolist() == documents.row(1).sentences[0].tolist()
    assert batch.labels.sum(dim=1).tolist() == [1.0, 1.0]


def test_dev_batches_hold_every_document_once(quoting: ExtractConfig, quoting_prepared: RunPaths) -> None:
    batches = DevDocuments(opened(quoting_prepared, "tiny-news", DEV), quoting.loop)

    assert sorted(int(at) for index in batches.order for at in index) == list(range(12))
    assert sum(len(batch.counts) for batch in batches) == 12


def test_a_walk_goes_on_where_it_stopped(quoting: ExtractConfig, quoting_prepared: RunPaths) -> None:
    sources = [(opened(quoting_prepared, "tiny-news", TRAIN), 160)]
    unbroken, broken = (TrainDocuments(sources, quoting.loop, seed=3) for _ in range(2))
    wanted = list(unbroken)

    walked = iter(broken)
    next(walked)
    resumed = TrainDocuments(sources, quoting.loop, seed=3)
    resumed.load_state_dict(broken.state_dict())
    found = next(iter(resumed))

    assert len(wanted) == len(unbroken)
    assert torch.equal(found.ids, wanted[1].ids)
