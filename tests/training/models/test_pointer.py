"""The pointer-generator against plain loops, and its step against its own run over all steps at once."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from training.models.pointer import Decoded, PointerGenerator
from training.models.pointer_step import PointerStep, Stepped
from training.summarize.batches import PairBatch
from training.summarize.config import PointerConfig
from training.summarize.loss import losses

SIZE, PAD, UNK, BOS, LINE = 23, 0, 1, 2, 7
ROWS, SOURCE, STEPS = 3, 5, 4


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def network(seed: int = 0) -> PointerGenerator:
    torch.manual_seed(seed)
    made = PointerGenerator(PointerConfig(embedding=6, hidden=4, decoder=5, attention=3), SIZE, PAD)
    with torch.no_grad():
        made.bias.normal_()
        made.wear.bias.fill_(1.0)
    return made.eval()


def batch() -> PairBatch:
    lens = torch.tensor([5, 2, 4])
    ids = torch.tensor([[8, 9, 8, 10, 11], [12, 8, 0, 0, 0], [9, 9, 13, 14, 0]])
    targets = torch.tensor([[8, 10, 15, 3], [8, 3, 0, 0], [16, 9, 3, 0]])
    inputs = torch.cat([torch.full((ROWS, 1), BOS), targets[:, :-1]], dim=1)
    return PairBatch(ids, lens, torch.tensor([4, 5, 4]), inputs, targets, targets != PAD)


def step_of(made: PointerGenerator, digits: tuple[int, ...] = (15,)) -> PointerStep:
    return PointerStep(made, never=[PAD, BOS, LINE], only_copied=[UNK], digits=digits)


def stepped(
    made: PointerStep, rows: PairBatch, tokens: Tensor, state: Tensor, coverage: Tensor, **how: Tensor
) -> Stepped:
    source = made.network.read(rows.ids, rows.lens, rows.kinds)
    beams = (*tokens.shape, 1)
    usual = {"banned": torch.full(beams, -1), "free": torch.ones(len(tokens)), "k": torch.tensor([SIZE])} | how
    found: Stepped = made(tokens, state, coverage, source.memory, source.keys, rows.ids, rows.lens, *usual.values())
    return found


def first(made: PointerStep, rows: PairBatch, **how: Tensor) -> Stepped:
    state = made.network.read(rows.ids, rows.lens, rows.kinds).state.unsqueeze(1)
    tokens = torch.full((len(rows.lens), 1), BOS)
    return stepped(made, rows, tokens, state, torch.zeros(len(rows.lens), 1, rows.ids.shape[1]), **how)


def chances(found: Stepped) -> Tensor:
    """Return the probabilities by id, float32[R, K, V]."""
    return torch.zeros_like(found.logps).scatter(2, found.ids, found.logps.exp())


def test_the_loss_is_that_of_a_plain_loop_over_the_mixture() -> None:
    made, rows = network(), batch()
    decoded: Decoded = made(rows.ids, rows.lens, rows.kinds, rows.inputs)
    nats, twice = [], []
    for row in range(ROWS):
        covered = torch.zeros(SOURCE)
        for at in range(STEPS):
            attention = decoded.attention[row, at]
            if rows.counted[row, at]:
                write = torch.sigmoid(decoded.gates[row, at])
                mixed = write * torch.softmax(made.logits(decoded.features[row, at]), dim=0)
                for place in range(int(rows.lens[row])):
                    mixed[rows.ids[row, place]] += (1 - write) * attention[place]
                nats.append(-mixed[rows.targets[row, at]].log())
                twice.append(sum(min(float(a), float(c)) for a, c in zip(attention, covered, strict=True)))
            covered = covered + attention
    found = losses(made, decoded, rows, 0.0)
    assert float(found.plain) == pytest.approx(float(torch.stack(nats).mean()), rel=1e-5)
    assert float(found.coverage) == pytest.approx(sum(twice) / len(twice), rel=1e-5)
    assert float(found.smoothed) == float(found.plain)


def test_smoothing_mixes_in_the_mean_cost_of_all_entries() -> None:
    made, rows = network(), batch()
    decoded: Decoded = made(rows.ids, rows.lens, rows.kinds, rows.inputs)
    spread = -torch.log_softmax(made.logits(decoded.features[rows.counted]), dim=1).mean()
    found = losses(made, decoded, rows, 0.25)
    assert torch.allclose(found.smoothed, 0.75 * found.plain + 0.25 * spread, atol=1e-6)


def test_attention_sums_to_one_over_tokens_and_is_nothing_at_padding() -> None:
    rows = batch()
    decoded: Decoded = network()(rows.ids, rows.lens, rows.kinds, rows.inputs)
    assert torch.allclose(decoded.attention.sum(dim=2), torch.ones(ROWS, STEPS), atol=1e-6)
    assert float(decoded.attention[1, :, 2:].abs().max()) == 0.0
    assert torch.allclose(decoded.coverage[:, 2], decoded.attention[:, :2].sum(dim=1))


def test_what_was_attended_to_is_worth_less_the_next_time() -> None:
    made, rows = network(), batch()
    state = made.read(rows.ids, rows.lens, rows.kinds).state.unsqueeze(1)
    step, tokens = step_of(made), torch.full((ROWS, 1), BOS)
    covered = torch.zeros(ROWS, 1, SOURCE)
    covered[:, :, 0] = 1.0
    fresh = stepped(step, rows, tokens, state, torch.zeros_like(covered)).coverage
    worn = stepped(step, rows, tokens, state, covered).coverage - covered
    assert bool((worn[:, 0, 0] < fresh[:, 0, 0]).all())


def test_step_by_step_is_the_same_as_all_steps_at_once() -> None:
    made, rows = network(), batch()
    decoded: Decoded = made(rows.ids, rows.lens, rows.kinds, rows.inputs)
    step = step_of(made, digits=())
    state = made.read(rows.ids, rows.lens, rows.kinds).state.unsqueeze(1)
    coverage = torch.zeros(ROWS, 1, SOURCE)
    for at in range(STEPS):
        found = stepped(step, rows, rows.inputs[:, at : at + 1], state, coverage)
        attention = (found.coverage - coverage)[:, 0]
        assert torch.allclose(attention, decoded.attention[:, at], atol=1e-6)
        write = torch.sigmoid(decoded.gates[:, at : at + 1])
        logits = made.logits(decoded.features[:, at])
        logits[:, [PAD, UNK, BOS, LINE]] = -1e9
        mixed = write * torch.softmax(logits, dim=1)
        mixed = mixed.scatter_add(1, rows.ids, (1 - write) * attention)
        mixed[:, [PAD, BOS, LINE]] = 0.0
        assert torch.allclose(chances(found)[:, 0], mixed, atol=1e-6)
        state, coverage = found.state, found.coverage


def test_padding_and_neighbours_change_nothing() -> None:
    made, rows = network(), batch()
    together = first(step_of(made), rows)
    for row in range(ROWS):
        length = int(rows.lens[row])
        alone = PairBatch(*(part[row : row + 1] for part in rows))
        alone = alone._replace(ids=alone.ids[:, :length])
        found = first(step_of(made), alone)
        assert torch.allclose(chances(found), chances(together)[row : row + 1], atol=1e-6)
        assert torch.allclose(found.state, together.state[row : row + 1], atol=1e-6)


def test_a_kind_token_changes_what_is_read() -> None:
    made, rows = network(), batch()
    other = made.read(rows.ids, rows.lens, torch.full((ROWS,), 6))
    source = made.read(rows.ids, rows.lens, rows.kinds)
    assert float((other.memory - source.memory).abs().min(dim=2).values[:, 0].max()) > 0
    assert not torch.allclose(other.state, source.state)


def test_banned_ids_are_never_next_and_minus_one_bans_nothing() -> None:
    step, rows = step_of(network()), batch()
    open_ids = chances(first(step, rows))
    banned = torch.tensor([[[8, -1]], [[-1, -1]], [[9, 22]]])
    closed = chances(first(step, rows, banned=banned))
    expected = open_ids.clone()
    expected[0, 0, 8] = expected[2, 0, 9] = expected[2, 0, 22] = 0.0
    assert torch.allclose(closed, expected, atol=1e-7)


def test_a_digit_is_copied_only_unless_the_row_is_free() -> None:
    step, rows = step_of(network(), digits=(9, 15)), batch()
    found = first(step, rows, free=torch.tensor([0.0, 1.0, 0.0]))
    by_id = chances(found)[:, 0]
    assert by_id[0, 15] == by_id[2, 15] == 0.0
    assert by_id[1, 15] > 0.0
    place = int((found.ids[2, 0] == 9).nonzero())
    assert float(found.copied[2, 0, place]) == pytest.approx(1.0)


def test_what_may_not_be_written_is_not_and_the_unknown_token_may_be_copied() -> None:
    rows = batch()
    ids = rows.ids.clone()
    ids[0, 1], ids[2, 2] = UNK, LINE
    by_id = chances(first(step_of(network()), rows._replace(ids=ids)))[:, 0]
    assert float(by_id[:, [PAD, BOS, LINE]].abs().max()) == 0.0
    assert by_id[0, UNK] > 0.0
    assert by_id[1, UNK] == 0.0


def test_k_is_how_many_come_back_best_first() -> None:
    step, rows = step_of(network()), batch()
    found = first(step, rows, k=torch.tensor([4]))
    assert found.ids.shape == found.logps.shape == found.copied.shape == (ROWS, 1, 4)
    assert torch.equal(found.ids, first(step, rows).ids[:, :, :4])
    assert bool((found.logps.diff(dim=2) <= 0).all())


def test_beams_of_a_row_share_its_source() -> None:
    made, rows = network(), batch()
    state = made.read(rows.ids, rows.lens, rows.kinds).state.unsqueeze(1)
    tokens = torch.tensor([[8, 9], [10, 11], [12, 13]])
    coverage = torch.rand(ROWS, 2, SOURCE)
    both = stepped(step_of(made), rows, tokens, state.repeat(1, 2, 1), coverage)
    for beam in range(2):
        one = slice(beam, beam + 1)
        alone = stepped(step_of(made), rows, tokens[:, one], state, coverage[:, one])
        assert torch.allclose(chances(alone), chances(both)[:, one], atol=1e-6)
