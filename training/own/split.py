"""Three parts of a table: stratified, a function of the seed, and no text in two of them."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from training.own.examples import Example
from training.own.faults import Faults

Part = Literal["train", "dev", "test"]
PARTS: tuple[Part, ...] = ("train", "dev", "test")
HELD_OUT_SHARE = 0.1


def split(found: Sequence[Example], parts: Sequence[Part], seed: int) -> dict[Part, list[Example]]:
    """Return the rows by part, in file order: a tenth of each class for each of `parts`, the rest to train on.

    Rows that share a text (`Example.key`) stay together, in the stratum of the first one's class.
    """
    together = defaultdict(list)
    for one in found:
        together[one.key].append(one)
    strata = defaultdict(list)
    for group in together.values():
        strata[group[0].label].append(group)
    chosen: dict[Part, list[Example]] = {"train": [], **{part: [] for part in parts}}
    for label, groups in sorted(strata.items()):
        random.Random(f"{seed} {label}").shuffle(groups)  # noqa: S311 - a split, not a secret
        wanted = max(1, round(HELD_OUT_SHARE * sum(map(len, groups))))
        left = groups
        for part in parts:
            taken, left = _take(left, wanted)
            chosen[part] += taken
        chosen["train"] += [one for group in left for one in group]
    return {part: sorted(rows, key=lambda one: one.place) for part, rows in chosen.items()}


def _take(groups: list[list[Example]], wanted: int) -> tuple[list[Example], list[list[Example]]]:
    """Return rows of whole groups, as many as fit into `wanted` and one group at least; and the groups left."""
    taken: list[Example] = []
    left = []
    for group in groups:
        if len(taken) + len(group) <= wanted:
            taken += group
        else:
            left.append(group)
    if not taken:
        smallest = min(left, key=len)
        left.remove(smallest)
        taken = smallest
    return taken, left


def without_shared(found: Mapping[Part, list[Example]], faults: Mapping[Part, Faults]) -> dict[Part, list[Example]]:
    """Return the parts without the texts that a later part holds too; each such row is a fault of its file."""
    kept = dict(found)
    for at, part in enumerate(PARTS):
        later = {one.key: (other, one) for other in PARTS[at + 1 :] for one in found.get(other, ())}
        kept[part] = [one for one in found.get(part, ()) if one.key not in later]
        for one in found.get(part, ()):
            if one.key in later:
                other, twin = later[one.key]
                faults[part].row(
                    one.place, "in another split", f"its text is also in {faults[other].path}, {twin.place}"
                )
    return kept
