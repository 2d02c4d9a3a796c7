"""A summarizer's TOML file."""

from pathlib import Path

import pytest

from tests.training.summarize.conftest import TINY
from training.errors import ConfigError
from training.summarize import config as configs


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = TINY.read_text("utf-8")
    assert old in text
    path = tmp_path / "edited.toml"
    path.write_text(text.replace(old, new), "utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[loop]\nepochs", "[loop]\nepoch", "unknown key 'loop.epoch'"),
        ('name = "tiny-chats"\nkind = "dialogue"', 'name = "tiny-news"\nkind = "dialogue"', "a name occurs twice"),
        ("abstract = 48 }", "abstract = 48 }\nmerges = 3", "unknown key 'vocabulary.merges'"),
        ("headline = 48, ", "", "kind = 'headline': expected one that vocabulary.max_tokens"),
        ("max = 6, default = 3", "max = 2, default = 3", "default: 3 is not within 1 to 2"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        configs.load(edited(tmp_path, old, new))
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("key", "complaint"),
    [("rows_per_epoch = 1", "rows_per_epoch is 0 everywhere"), ("scored = false", "none is scored")],
)
def test_a_run_that_learns_or_chooses_by_nothing_is_refused(tmp_path: Path, key: str, complaint: str) -> None:
    text = TINY.read_text("utf-8")
    for count in ("160", "120"):
        kept = "rows_per_epoch = 0" if key.startswith("rows") else f"rows_per_epoch = {count}\nscored = false"
        text = text.replace(f"rows_per_epoch = {count}", kept)
    path = tmp_path / "edited.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=complaint):
        configs.load(path)
