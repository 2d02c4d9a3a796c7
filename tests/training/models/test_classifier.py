"""The two branches, added."""

import torch

from training.config import RunConfig
from training.models.classifier import build

IDS = torch.tensor([[2, 3, 4, 5], [7, 8, 0, 0]])
LENS = torch.tensor([4, 2])


def test_the_branches_are_added_with_their_scales(tiny: RunConfig) -> None:
    torch.manual_seed(0)
    network = build(tiny, vocab_size=11, pad_id=0).eval()
    torch.nn.init.normal_(network.ngrams.table.weight)
    network.recurrent_scale.fill_(0.25)
    network.ngram_scale.fill_(3.0)
    wanted = 0.25 * network.recurrent(IDS, LENS) + 3.0 * network.ngrams(IDS, LENS)
    torch.testing.assert_close(network(IDS, LENS), wanted)


def test_attribution_and_bias_add_up_to_the_logits(tiny: RunConfig) -> None:
    torch.manual_seed(0)
    network = build(tiny, vocab_size=11, pad_id=0).eval()
    torch.nn.init.normal_(network.ngrams.table.weight)
    torch.nn.init.normal_(network.ngrams.bias)
    network.ngram_scale.fill_(2.0)
    logits, shares = network.explained(IDS, LENS)
    torch.testing.assert_close(logits, network(IDS, LENS))
    torch.testing.assert_close(shares.sum(dim=1) + network.bias, logits, atol=1e-5, rtol=1e-5)
