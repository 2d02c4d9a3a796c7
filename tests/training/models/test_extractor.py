"""The extractor scores a document alike alone, in a batch, in chunks and in the form that is exported."""

import pytest
import torch

from training.extractive.config import NetworkConfig
from training.models.extractor import Extractor

CONFIG = NetworkConfig(embedding=5, hidden=3, document_hidden=4, positions=6)
ALIKE = CONFIG.model_copy(update={"likeness": True})

pytestmark = pytest.mark.parametrize("config", [CONFIG, ALIKE], ids=["plain", "likeness"])


def _network(config: NetworkConfig) -> Extractor:
    torch.manual_seed(2)
    return Extractor(config, 20, 0).eval()


def _sentences(*lens: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(sum(lens))
    ids = torch.zeros(len(lens), max(lens), dtype=torch.int64)
    for at, length in enumerate(lens):
        ids[at, :length] = torch.randint(1, 20, (length,))
    return ids, torch.tensor(lens)


def test_documents_of_a_batch_do_not_touch(config: NetworkConfig) -> None:
    network = _network(config)
    ids, lens = _sentences(4, 1, 3, 2, 5, 1, 1)
    with torch.inference_mode():
        together = network(ids, lens, torch.tensor([2, 5]))
        first = network(ids[:2, :4], lens[:2], torch.tensor([2]))
        second = network(ids[2:], lens[2:], torch.tensor([5]))

    torch.testing.assert_close(together[0, :2], first[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(together[1], second[0], atol=1e-6, rtol=0)


def test_the_exported_form_is_the_trained_one(config: NetworkConfig) -> None:
    network = _network(config)
    ids, lens = _sentences(4, 1, 3, 2, 5)
    with torch.inference_mode():
        scores, content = network.one(ids, lens)
        logits = network(ids, lens, torch.tensor([5]))

    torch.testing.assert_close(scores, torch.sigmoid(logits[0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(content.norm(dim=1), torch.ones(5), atol=1e-5, rtol=0)


def test_chunks_change_nothing(config: NetworkConfig) -> None:
    network = _network(config)
    ids, lens = _sentences(4, 1, 3, 2, 5, 1, 2, 2, 3)
    with torch.inference_mode():
        whole, parts = network.read(ids, lens), network.read_in_chunks(ids, lens)

    torch.testing.assert_close(parts.features, whole.features, atol=1e-6, rtol=0)
    torch.testing.assert_close(parts.content, whole.content, atol=1e-6, rtol=0)


def test_a_document_longer_than_the_positions_is_read(config: NetworkConfig) -> None:
    ids, lens = _sentences(*([2] * 9))

    assert _network(config)(ids, lens, torch.tensor([9])).shape == (1, 9)
