"""A key, and the file of keys."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.errors import KeysError
from app.keys.key import line_of, mint, parse, read

DIGEST = "ab" * 32


def test_a_minted_key_is_long_random_and_knowable_as_ours() -> None:
    first, second = mint(), mint()
    assert first != second
    assert first.startswith("sluice_")
    assert len(first) == len("sluice_") + 43


def test_a_line_holds_the_hash_and_not_the_key() -> None:
    secret = mint()
    line = line_of("ci", secret, {"scopes": ["predict", "admin"], "items_per_minute": 60, "expires": None})
    assert secret not in line
    (key,) = parse(line, "x")
    assert (key.name, sorted(key.scopes), key.items_per_minute) == ("ci", ["admin", "predict"], 60)
    assert key.sha256 == hashlib.sha256(secret.encode()).hexdigest()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2027-01-02", datetime(2027, 1, 2, tzinfo=UTC)),
        ("2027-01-02T03:04:05", datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2027-01-02T03:04:05+02:00", datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC) - timedelta(hours=2)),
    ],
)
def test_an_end_is_in_utc_where_no_zone_is_named(written: str, expected: datetime) -> None:
    (key,) = parse(f'ci = {{sha256 = "{DIGEST}", scopes = ["predict"], expires = {written}}}', "x")
    assert key.expires_at == expected.timestamp()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no key"),
        ("ci", "is not TOML"),
        ("ci = 3", "'ci' is no key"),
        (f'"C I" = {{sha256 = "{DIGEST}", scopes = ["predict"]}}', "'C I' is no key"),
        (f'ci = {{sha256 = "{DIGEST}"}}', "ci: scopes: field required"),
        (f'ci = {{sha256 = "{DIGEST}", scopes = []}}', "ci: scopes: frozenset should have at least 1 item"),
        (f'ci = {{sha256 = "{DIGEST}", scopes = ["root"]}}', "ci: scopes.0: input should be 'predict', 'admin'"),
        (f'ci = {{sha256 = "{DIGEST}", scopes = ["predict"], note = 1}}', "ci: note: extra inputs"),
        (f'ci = {{sha256 = "{DIGEST}", scopes = ["predict"], items_per_minute = 0}}', "ci: items_per_minute: "),
        (f'a = {{sha256 = "{DIGEST}", scopes = ["predict"]}}\n' * 2, "is not TOML"),
        (
            f'a = {{sha256 = "{DIGEST}", scopes = ["admin"]}}\nb = {{sha256 = "{DIGEST}", scopes = ["admin"]}}',
            "same",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(KeysError, match=r"keys\.toml") as refused:
        parse(text, "keys.toml")
    assert complaint in str(refused.value)


def test_a_key_in_the_place_of_its_hash_is_not_repeated_in_the_complaint() -> None:
    secret = mint()
    with pytest.raises(KeysError, match="sha256") as refused:
        parse(f'ci = {{sha256 = "{secret}", scopes = ["predict"]}}', "x")
    assert secret not in str(refused.value)


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "x" * 64, "a\n"])
def test_a_name_that_cannot_be_a_label_is_refused(name: str) -> None:
    with pytest.raises(KeysError, match="the name is"):
        line_of(name, mint(), {"scopes": ["predict"]})


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="nowhere"):
        read(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KeysError, match="binary"):
        read(tmp_path / "binary")
