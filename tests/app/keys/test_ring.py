"""The ring: what holds now."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from app.errors import KeysError
from app.keys.key import line_of, mint
from app.keys.ring import KeyRing


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def write(file: Path, *lines: str) -> None:
    beside = file.with_suffix(".new")
    beside.write_text("\n".join(lines), "utf-8")
    beside.replace(file)


def line(name: str, secret: str, scopes: Sequence[str] = ("predict",), expires: str | None = None) -> str:
    return line_of(name, secret, {"scopes": scopes, "expires": expires})


def test_a_key_is_found_by_itself_alone(tmp_path: Path) -> None:
    mine, yours, nobodys = mint(), mint(), mint()
    file = tmp_path / "keys.toml"
    write(file, line("mine", mine), line("yours", yours, ["admin"]))
    ring = KeyRing(file)
    for secret, name in ((mine, "mine"), (yours, "yours")):
        found = ring.find(secret.encode())
        assert found is not None
        assert found.name == name
    for wrong in (nobodys.encode(), b"", mine.encode()[:-1], mine.encode() + b"x", b"x" * 10_000, b"\xff\x00"):
        assert ring.find(wrong) is None


def test_an_expired_key_is_no_key(tmp_path: Path) -> None:
    secret, file, wall = mint(), tmp_path / "keys.toml", Clock()
    write(file, line("ci", secret, expires="1970-01-02"))
    ring = KeyRing(file, wall=wall)
    assert ring.find(secret.encode()) is not None
    wall.now = 86_400.0
    assert ring.find(secret.encode()) is None


def test_a_changed_file_counts_after_a_second_or_at_once_when_hurried(tmp_path: Path) -> None:
    old, new, file, clock = mint(), mint(), tmp_path / "keys.toml", Clock()
    write(file, line("ci", old))
    ring = KeyRing(file, clock)
    write(file, line("ci", new))
    assert ring.find(old.encode()) is not None
    clock.now += 1.0
    assert ring.find(old.encode()) is None
    assert ring.find(new.encode()) is not None
    write(file, line("ci", new), line("other", old))
    ring.hurry()
    assert ring.find(old.encode()) is not None


@pytest.mark.parametrize("broken", ["ci = {", "", None])
def test_a_file_that_became_wrong_leaves_the_keys_that_were_good_until_it_is_mended(
    tmp_path: Path, broken: str | None
) -> None:
    old, new, file, clock = mint(), mint(), tmp_path / "keys.toml", Clock()
    write(file, line("ci", old))
    ring = KeyRing(file, clock)
    file.unlink()
    if broken is not None:
        write(file, broken)
    clock.now += 1.0
    assert ring.find(old.encode()) is not None
    write(file, line("ci", new))
    clock.now += 1.0
    assert ring.find(new.encode()) is not None


def test_a_ring_needs_a_good_file_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="nowhere"):
        KeyRing(tmp_path / "nowhere")
