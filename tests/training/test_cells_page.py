"""The walk-through of docs/cells.md."""

import re
from math import exp, tanh

import torch

from training.cells_page import SENTENCE, trace, walk_through
from training.models.cells import GRUCell, LSTMCell, RecurrentLayer, RNNCell


def vectors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {token: torch.randn(1, 3) for token in dict.fromkeys(SENTENCE)}


def test_the_trace_ends_where_the_layer_does() -> None:
    tokens = vectors()
    inputs = torch.stack([tokens[token] for token in SENTENCE], dim=1)
    for cell in (RNNCell(3, 2), LSTMCell(3, 2), GRUCell(3, 2)):
        outputs, state = RecurrentLayer(cell)(inputs, torch.tensor([len(SENTENCE)]))
        steps = trace(cell, tokens)
        torch.testing.assert_close(torch.stack([step.values["h"] for step in steps], dim=1), outputs)
        torch.testing.assert_close([steps[-1].values[letter] for letter in "hc"[: len(state)]], [p[0] for p in state])


def test_the_same_token_twice_has_one_vector_and_two_states() -> None:
    for cell in (RNNCell(3, 2), LSTMCell(3, 2), GRUCell(3, 2)):
        _, _, first, second = trace(cell, vectors())
        assert (first.token, second.token) == ("画", "画")
        assert torch.equal(first.x, second.x)
        assert not torch.allclose(first.values["h"], second.values["h"])


def test_what_is_worked_out_by_hand_comes_out() -> None:
    lines = re.findall(r": (tanh|sigmoid)\((.*)\) = (\S+)$", walk_through(), re.MULTILINE)
    assert [squash for squash, _, _ in lines] == ["tanh", "sigmoid", "sigmoid"]
    for squash, terms, found in lines:
        total = 0.0
        for term in terms.split(" + "):
            product = 1.0
            for factor in re.findall(r"\((\S+?)\)", term):
                product *= float(factor)
            total += product
        wanted = tanh(total) if squash == "tanh" else 1 / (1 + exp(-total))
        # The weights are shown to three digits.
        assert abs(wanted - float(found)) < 0.002
