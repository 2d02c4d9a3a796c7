"""The two branches, blended."""

import pytest
import torch

from training.config import RunConfig
from training.models.classifier import LONG, SHORT, Classifier, build

IDS = torch.tensor([[2, 3, 4, 5], [7, 8, 0, 0]])
LENS = torch.tensor([4, 2])


def network(config: RunConfig, short: float = 0.75, long: float = 0.25) -> Classifier:
    torch.manual_seed(0)
    made = build(config, vocab_size=11, pad_id=0).eval()
    if made.ngrams is not None:
        made.ngram_shares.copy_(torch.tensor([short, long]))
        torch.nn.init.normal_(made.ngrams.table.weight)
        torch.nn.init.normal_(made.ngrams.bias)
    return made


def test_the_branches_are_added_by_their_shares(tiny: RunConfig) -> None:
    made = network(tiny)
    assert made.ngrams is not None
    made.ngram_shares.copy_(torch.tensor([0.75, 0.75]))
    wanted = 0.25 * made.recurrent(IDS, LENS) + 0.75 * made.ngrams(IDS, LENS)
    torch.testing.assert_close(made(IDS, LENS), wanted)


@pytest.mark.parametrize(
    ("tokens", "share"), [(1, 0.75), (SHORT, 0.75), (64, 0.5), (LONG, 0.25), (10 * LONG, 0.25)], ids=str
)
def test_the_share_moves_with_the_logarithm_of_the_length(tiny: RunConfig, tokens: int, share: float) -> None:
    assert network(tiny).ngram_share(torch.tensor([tokens])).tolist() == [[pytest.approx(share)]]


def test_attribution_and_bias_add_up_to_the_logits(tiny: RunConfig) -> None:
    made = network(tiny)
    ids, lens = torch.randint(1, 11, (3, 40)), torch.tensor([40, 20, 3])
    logits, shares = made.explained(ids, lens)
    torch.testing.assert_close(logits, made(ids, lens))
    torch.testing.assert_close(shares.sum(dim=1) + made.bias, logits, atol=1e-5, rtol=1e-5)


def test_without_ngrams_the_recurrent_branch_stands_alone(tiny: RunConfig) -> None:
    made = network(tiny.model_copy(update={"model": tiny.model.model_copy(update={"ngrams": False})}))
    assert made.ngrams is None
    logits, shares = made.explained(IDS, LENS)
    torch.testing.assert_close(logits, made.recurrent(IDS, LENS))
    torch.testing.assert_close(shares.sum(dim=1) + made.bias, logits, atol=1e-5, rtol=1e-5)
