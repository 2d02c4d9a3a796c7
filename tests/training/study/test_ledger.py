"""The file of finished runs."""

from pathlib import Path

from training.study.ledger import Entry, Ledger
from training.study.runner import Outcome

OUTCOME = Outcome(score=0.5, parameters=7, epochs=2, steps=12, seconds_per_epoch=0.1, seconds=0.4, cpu_seconds=0.3)


def test_what_was_entered_is_there_when_opened_again(tmp_path: Path) -> None:
    Ledger(tmp_path / "new" / "runs.jsonl").add(Entry("a", OUTCOME))
    assert Ledger(tmp_path / "new" / "runs.jsonl").get("a") == Entry("a", OUTCOME)


def test_a_failed_run_has_its_reason_and_is_not_finished(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl")
    ledger.add(Entry("a", None, "ValueError: no"))
    again = Ledger(tmp_path / "runs.jsonl")
    assert again.get("a") == Entry("a", None, "ValueError: no")
    assert not again.finished("a")


def test_a_later_entry_replaces_an_earlier_one(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "runs.jsonl")
    ledger.add(Entry("a", None, "its process died"))
    ledger.add(Entry("a", OUTCOME))
    assert Ledger(tmp_path / "runs.jsonl").finished("a")


def test_a_line_that_a_kill_cut_off_is_forgotten_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    Ledger(path).add(Entry("a", OUTCOME))
    with path.open("a", encoding="utf-8") as lines:
        lines.write('{"key": "b", "outc')
    Ledger(path).add(Entry("c", OUTCOME))
    found = Ledger(path)
    assert found.finished("a")
    assert found.get("b") is None
    assert found.finished("c")
