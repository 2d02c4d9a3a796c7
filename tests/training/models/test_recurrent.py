"""The recurrent branch: padding, explanation and gradients, whatever the settings."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from training.config import RunConfig
from training.models.config import ModelConfig
from training.models.masking import real
from training.models.recurrent import RecurrentBranch

VOCABULARY, CLASSES = 11, 4
IDS = torch.tensor([[2, 3, 4, 5, 6], [7, 8, 9, 0, 0], [10, 0, 0, 0, 0]])
LENS = torch.tensor([5, 3, 1])
POOLS = ("last", "max", "mean", "attention", "multihead")
EVERY_POOL = {"pooling": POOLS, "heads": 2}
NORMS = ("none", "batch", "layer")

CELLS = [
    {"cell": cell, "bidirectional": both, "layers": layers}
    for cell, both, layers in itertools.product(("lstm", "gru", "rnn"), (True, False), (1, 2))
]
POOLINGS = [{"pooling": (pool,), "heads": 2 if pool == "multihead" else None} for pool in POOLS]
NORMALIZED = [
    {"input_norm": first, "pooled_norm": second, **EVERY_POOL} for first, second in itertools.product(NORMS, NORMS)
]
FOR_STUDY = [
    {"recurrent_norm": "batch", "bidirectional": both, "layers": layers} for both, layers in ((True, 1), (False, 2))
]
SETTINGS: list[dict[str, Any]] = [
    {},
    *({**one, **EVERY_POOL} for one in CELLS),
    *POOLINGS,
    *NORMALIZED,
    *FOR_STUDY,
    {"bigram_buckets": 16},
]


def network(tiny: RunConfig, **settings: Any) -> RecurrentBranch:
    """Return a branch whose normalizations have seen a batch and whose gains and shifts are no longer one and zero."""
    torch.manual_seed(0)
    model = ModelConfig.model_validate(
        tiny.model.model_dump() | {"embedding_dropout": 0.0, "output_dropout": 0.0} | settings
    )
    branch = RecurrentBranch(model, VOCABULARY, CLASSES, pad_id=0)
    for name, weight in branch.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    with torch.no_grad():
        branch(IDS, LENS)
    return branch


def named(settings: dict[str, Any]) -> str:
    return "-".join(f"{key}={value}" for key, value in settings.items() if settings is not EVERY_POOL) or "default"


@pytest.fixture(params=SETTINGS, ids=named)
def branch(request: pytest.FixtureRequest, tiny: RunConfig) -> RecurrentBranch:
    return network(tiny, **request.param)


@pytest.fixture
def plain(tiny: RunConfig) -> RecurrentBranch:
    return network(tiny)


def test_there_is_one_logit_a_class(branch: RecurrentBranch) -> None:
    assert branch(IDS, LENS).shape == (3, CLASSES)


def test_padding_changes_no_answer(branch: RecurrentBranch) -> None:
    branch.eval()
    together = branch(IDS, LENS)
    for row, size in enumerate(LENS.tolist()):
        alone = branch(IDS[row : row + 1, :size], LENS[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-5)


def test_what_stands_in_the_padding_is_never_read(branch: RecurrentBranch) -> None:
    scribbled = torch.where(IDS == 0, 3, IDS)
    torch.testing.assert_close(branch(scribbled, LENS), branch(IDS, LENS))
    branch.eval()
    torch.testing.assert_close(branch(scribbled, LENS), branch(IDS, LENS))


def test_attribution_and_bias_add_up_to_the_logits(branch: RecurrentBranch) -> None:
    branch.eval()
    states, mask = branch.encode(IDS, LENS), real(IDS, LENS)
    shares = branch.attribution(states, mask)
    torch.testing.assert_close(shares.sum(dim=1) + branch.bias, branch(IDS, LENS), atol=1e-5, rtol=1e-5)
    assert not shares[~mask].any()


def test_a_gradient_reaches_every_parameter(branch: RecurrentBranch) -> None:
    wanted = torch.tensor([0, 1, 2])
    names, weights = zip(*branch.named_parameters(), strict=True)
    gradients = torch.autograd.grad(torch.nn.functional.cross_entropy(branch(IDS, LENS), wanted), weights)
    without = [name for name, gradient in zip(names, gradients, strict=True) if not gradient.any()]
    # A batch's mean takes out a constant: a shift before a batch normalization moves nothing.
    assert not [name for name in without if not name.endswith(("bias", "shift"))]


@pytest.mark.filterwarnings("error")
def test_it_trains_in_bfloat16(branch: RecurrentBranch) -> None:
    exact = branch(IDS, LENS)
    with torch.autocast("cpu", torch.bfloat16):
        rough = branch(IDS, LENS)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.15, rtol=0.1)
    assert all(one.isfinite().all() for one in torch.autograd.grad(rough.sum(), list(branch.head.parameters())))


def test_one_row_alone_can_be_trained_on(branch: RecurrentBranch) -> None:
    assert branch(IDS[:1, :1], torch.tensor([1])).isfinite().all()


def test_tokens_that_tie_for_a_maximum_share_it(plain: RecurrentBranch) -> None:
    state = torch.rand(1, 1, plain.encoder.states)
    shares = plain.attribution(state.expand(1, 4, -1), torch.ones(1, 4, dtype=torch.bool))
    torch.testing.assert_close(shares[0, 0], shares[0, 3])


def test_parameters_keep_the_names_that_torch_gives_them(tiny: RunConfig) -> None:
    names = {name for name, _ in network(tiny, layers=2).encoder.cells.named_parameters()}
    assert names == {name for name, _ in torch.nn.LSTM(3, 2, num_layers=2, bidirectional=True).named_parameters()}


def test_a_network_saved_under_former_names_is_read(plain: RecurrentBranch, tiny: RunConfig) -> None:
    other = RecurrentBranch(tiny.model, VOCABULARY, CLASSES, pad_id=0)
    saved: dict[str, Tensor] = {
        name.replace("encoder.cells.", "lstm.").replace("pooling.attention.", ""): weight
        for name, weight in plain.state_dict().items()
    }
    assert {"lstm.weight_ih_l0", "key.bias", "query.weight"} < set(saved)
    other.load_state_dict(saved)
    torch.testing.assert_close(other.eval()(IDS, LENS), plain.eval()(IDS, LENS), atol=0, rtol=0)


def test_a_pair_of_tokens_has_an_embedding_of_its_own(tiny: RunConfig) -> None:
    branch = network(tiny, bigram_buckets=64)
    one, other = (branch.embed(torch.tensor([ids]), torch.tensor([2])) for ids in ([2, 3], [4, 3]))
    assert not torch.allclose(one[0, 1], other[0, 1])
