"""The weighing of the branches."""

import numpy as np
import pytest
import torch

from tests.training.conftest import TinyRun
from training import blend, prepare
from training.batches import DevBatches
from training.train import load_network


@pytest.fixture
def dev(run: TinyRun) -> dict[str, DevBatches]:
    return {name: DevBatches(one, run.config.loop, 0) for name, one in prepare.dev(run.config, run.paths).items()}


def test_a_branch_that_knows_nothing_gets_the_smallest_share(run: TinyRun, dev: dict[str, DevBatches]) -> None:
    network = load_network(run.config, run.paths)
    assert network.ngrams is not None
    torch.nn.init.zeros_(network.ngrams.table.weight)
    with torch.no_grad():
        network.ngrams.bias.copy_(torch.tensor([0.0, 100.0, 0.0]))
    config = run.config.blend.model_copy(update={"ngram_shares": (0.0, 0.5, 1.0)})
    found = blend.blend(network, dev, run.config.sets, config, lambda _: None)
    assert found.ngram_shares == (0.0, 0.0)
    assert found.dev[1.0] == pytest.approx(1 / 3)
    assert found.chosen == found.dev[0.0]
    assert network.ngram_shares.tolist() == [0.0, 0.0]


def test_the_chosen_share_stands_in_the_network_and_adds_up(run: TinyRun, dev: dict[str, DevBatches]) -> None:
    network = load_network(run.config, run.paths)
    config = run.config.blend.model_copy(update={"ngram_shares": (0.25,)})
    found = blend.blend(network, dev, run.config.sets, config, lambda _: None)
    assert network.ngrams is not None
    parts = 0.75 * blend.run(network.recurrent, dev["tiny"]) + 0.25 * blend.run(network.ngrams, dev["tiny"])
    assert found.ngram_shares == (0.25, 0.25)
    np.testing.assert_allclose(blend.run(network, dev["tiny"]), parts, atol=1e-5)


def test_a_network_without_ngrams_has_share_zero(run: TinyRun, dev: dict[str, DevBatches]) -> None:
    network = load_network(run.config, run.paths)
    network.ngrams = None
    found = blend.blend(network, dev, run.config.sets, run.config.blend, lambda _: None)
    assert list(found.dev) == [0.0]
    assert network.ngram_shares.tolist() == [0.0, 0.0]


def test_short_and_long_texts_get_shares_of_their_own(run: TinyRun, dev: dict[str, DevBatches]) -> None:
    network = load_network(run.config, run.paths)
    config = run.config.blend.model_copy(update={"ngram_shares": (0.0, 0.25, 1.0)})
    lines: list[str] = []
    found = blend.blend(network, dev, run.config.sets, config, lines.append)
    assert network.ngram_shares.tolist() == list(found.ngram_shares)
    assert found.chosen >= max(found.dev.values())
    assert len(lines) == 4
    assert lines[-1].startswith(
        f"blend: n-grams {found.ngram_shares[0]:.2f} short, {found.ngram_shares[1]:.2f} long: dev {found.chosen:.4f}"
    )
