"""The two branches, added."""

import torch

from training.config import RunConfig
from training.models.classifier import Classifier, build

IDS = torch.tensor([[2, 3, 4, 5], [7, 8, 0, 0]])
LENS = torch.tensor([4, 2])


def network(config: RunConfig, ngram_scale: float) -> Classifier:
    torch.manual_seed(0)
    made = build(config, vocab_size=11, pad_id=0).eval()
    made.recurrent_scale.fill_(0.25)
    made.ngram_scale.fill_(ngram_scale)
    if made.ngrams is not None:
        torch.nn.init.normal_(made.ngrams.table.weight)
        torch.nn.init.normal_(made.ngrams.bias)
    return made


def test_the_branches_are_added_with_their_scales(tiny: RunConfig) -> None:
    made = network(tiny, ngram_scale=3.0)
    assert made.ngrams is not None
    wanted = 0.25 * made.recurrent(IDS, LENS) + 3.0 * made.ngrams(IDS, LENS)
    torch.testing.assert_close(made(IDS, LENS), wanted)


def test_attribution_and_bias_add_up_to_the_logits(tiny: RunConfig) -> None:
    made = network(tiny, ngram_scale=2.0)
    logits, shares = made.explained(IDS, LENS)
    torch.testing.assert_close(logits, made(IDS, LENS))
    torch.testing.assert_close(shares.sum(dim=1) + made.bias, logits, atol=1e-5, rtol=1e-5)


def test_without_ngrams_the_recurrent_branch_stands_alone(tiny: RunConfig) -> None:
    made = network(tiny.model_copy(update={"model": tiny.model.model_copy(update={"ngrams": False})}), ngram_scale=2.0)
    assert made.ngrams is None
    logits, shares = made.explained(IDS, LENS)
    torch.testing.assert_close(logits, 0.25 * made.recurrent(IDS, LENS))
    torch.testing.assert_close(shares.sum(dim=1) + made.bias, logits, atol=1e-5, rtol=1e-5)
