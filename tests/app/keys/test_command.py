"""``sluice keys``."""

from pathlib import Path

from typer.testing import CliRunner

from app.cli import app
from app.keys.ring import KeyRing

RUN = CliRunner()


def test_a_new_key_is_shown_once_and_its_line_makes_it_hold(tmp_path: Path) -> None:
    ended = RUN.invoke(app, ["keys", "new", "--name", "ci", "--scope", "predict", "--expires-in-days", "2"])
    assert ended.exit_code == 0, ended.output
    secret = ended.stderr.splitlines()[1]
    assert secret not in ended.stdout
    file = tmp_path / "keys.toml"
    file.write_text(ended.stdout, "utf-8")
    found = KeyRing(file).find(secret.encode())
    assert found is not None
    assert (found.name, sorted(found.scopes)) == ("ci", ["predict"])
    assert found.expires is not None


def test_a_file_is_listed_without_its_hashes(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    made = RUN.invoke(app, ["keys", "new", "--name", "ci", "--scope", "admin", "--items-per-minute", "9"])
    file.write_text(made.stdout, "utf-8")
    assert RUN.invoke(app, ["keys", "list", str(file)]).stdout == "ci  admin  9 items/min  without an end\n"


def test_a_scope_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    ended = RUN.invoke(app, ["keys", "new", "--name", "ci", "--scope", "root"])
    assert ended.exit_code == 2
    assert "should be 'predict', 'admin' or 'metrics'" in ended.stderr


def test_a_bad_name_and_a_bad_file_are_said_on_one_line(tmp_path: Path) -> None:
    named = RUN.invoke(app, ["keys", "new", "--name", "C I", "--scope", "predict"])
    assert (named.exit_code, named.stderr.count("\n")) == (2, 1)
    listed = RUN.invoke(app, ["keys", "list", str(tmp_path / "nowhere")])
    assert (listed.exit_code, listed.stderr.count("\n")) == (2, 1)
