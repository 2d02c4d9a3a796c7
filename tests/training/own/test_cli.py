"""The command: what it takes, and what it says where something is not right."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.training.conftest import TINY
from tests.training.own.tables import delimited, rows, written
from training.cli import app


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, words)])


def test_exactly_one_of_config_and_data_is_wanted() -> None:
    for words in ((), (TINY, "--data", "my.csv")):
        ended = call(*words)
        assert ended.exit_code == 2
        assert "either CONFIG" in ended.stderr


def test_an_option_of_ones_own_table_is_not_taken_with_a_config() -> None:
    ended = call(TINY, "--seed", "1", "--label-column", "stars")
    assert ended.exit_code == 2
    assert "--label-column, --seed: only with --data" in " ".join(ended.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--text-column", "body"), "no column 'body'; it has 'review', 'stars'"),
        (("--label-column", "review", "--text-column", "review"), "are both 'review'"),
        (("--separator", ";"), "no column 'review'; it has 'review,stars'; it looks separated by ','"),
        (("--encoding", "ascii"), "is not ascii"),
        (("--name", "No Name"), "small letters, digits and hyphens"),
        (("--test", "none.csv"), "none.csv: cannot be read"),
    ],
)
def test_what_a_person_can_put_right_is_a_message_and_status_1(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    table = written(tmp_path / "my.csv", delimited([*rows(60), ("café", "5")]))
    columns = ("--text-column", "review", "--label-column", "stars")
    ended = call("--data", table, *columns, *words, "--runs", tmp_path, "--models", tmp_path)
    assert ended.exit_code == 1
    assert ended.stderr.startswith("error: ")
    assert message in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["my.csv"]


def test_an_empty_text_is_refused_with_its_row(tmp_path: Path) -> None:
    table = written(tmp_path / "my.csv", delimited([*rows(60), ("", "5")], header=("text", "label")))
    ended = call("--data", table, "--runs", tmp_path, "--models", tmp_path)
    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == [
        f"error: {table}: row 62: 'text' is empty",
        "Put it right, or leave out bad rows with --skip-bad.",
    ]
