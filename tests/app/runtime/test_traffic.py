"""Aliases: shares by weight, the same key the same alias, and no more keys move than must."""

from collections import Counter

import pytest

from app.runtime.traffic import Alias, Shadow, Traffic, chance

KEYS = [f"user-{at}" for at in range(4000)]


def shares(**weights: float) -> dict[str, str | None]:
    traffic = Traffic({name: Alias(at, weight) for at, (name, weight) in enumerate(weights.items(), 1)})
    return {key: traffic.alias_for("m", key) for key in KEYS}


def test_requests_are_shared_out_by_weight() -> None:
    found = Counter(shares(stable=90, canary=10, old=0).values())
    assert found.keys() == {"stable", "canary"}
    assert found["canary"] / len(KEYS) == pytest.approx(0.1, abs=0.02)


def test_a_key_keeps_its_alias_and_a_change_of_weights_moves_only_keys_to_where_there_is_more() -> None:
    few, many = shares(stable=90, canary=10), shares(stable=60, canary=40)
    assert few == shares(stable=90, canary=10)
    assert all(many[key] == "canary" for key in KEYS if few[key] == "canary")


def test_packages_are_shared_out_apart() -> None:
    traffic = Traffic({"stable": Alias(1, 1.0), "canary": Alias(2, 1.0)})
    same = sum(traffic.alias_for("a", key) == traffic.alias_for("b", key) for key in KEYS)
    assert same / len(KEYS) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("aliases", "alias"),
    [({}, None), ({"canary": Alias(2)}, None), ({"stable": Alias(1), "canary": Alias(2)}, "stable")],
    ids=["none", "no stable", "stable"],
)
def test_without_weights_stable_answers_or_else_the_highest(aliases: dict[str, Alias], alias: str | None) -> None:
    assert Traffic(aliases).alias_for("m", "key") == alias


def test_what_names_a_version_is_told() -> None:
    traffic = Traffic({"stable": Alias(1), "blue": Alias(1), "latest": Alias(None, 5)})
    assert [traffic.names(version) for version in (1, 2)] == [["stable", "blue"], []]


def test_a_chance_is_even_and_never_zero() -> None:
    found = [chance("m", key) for key in KEYS]
    assert min(found) > 0
    assert max(found) <= 1
    assert sum(found) / len(found) == pytest.approx(0.5, abs=0.02)


def test_a_shadow_takes_its_share_of_the_keys_and_a_larger_one_those_and_more() -> None:
    few, many = ({key for key in KEYS if Shadow(2, share).takes("m", key)} for share in (0.1, 0.3))
    assert len(few) / len(KEYS) == pytest.approx(0.1, abs=0.02)
    assert len(many) / len(KEYS) == pytest.approx(0.3, abs=0.03)
    assert few < many
    assert all(Shadow(2, 1.0).takes("m", key) for key in KEYS)


def test_a_shadow_takes_as_much_of_what_an_alias_gets_as_of_all() -> None:
    canary = [key for key, alias in shares(stable=50, canary=50).items() if alias == "canary"]
    taken = sum(Shadow(2, 0.2).takes("m", key) for key in canary)
    assert taken / len(canary) == pytest.approx(0.2, abs=0.04)
