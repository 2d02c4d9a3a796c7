"""The table of faults says what the tests said."""

from pathlib import Path

from benchmarks.faults import Fault, read, summary, table, tried

REPORT = """<testsuites><testsuite>
<testcase name="test_a_clock_that_jumps_changes_nothing"><properties>
<property name="figure" value="200 answered"/></properties></testcase>
<testcase name="test_a_full_disk"><failure message="no">no</failure></testcase>
<testcase name="test_many_connections"><skipped message="few files"/></testcase>
</testsuite></testsuites>"""


def test_each_fault_has_a_line_with_what_came_of_it_and_its_figure(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT, "utf-8")
    faults = read(tmp_path / "report.xml")
    assert faults == [
        Fault("a clock that jumps changes nothing", "survived", "200 answered"),
        Fault("a full disk", "FAILED", ""),
        Fault("many connections", "not tried", ""),
    ]
    assert summary(faults).startswith("1 of 3 survived (")
    assert "| a full disk | FAILED |  |" in table(faults)


def test_a_fault_that_is_tried_is_told_with_the_figure_of_its_test() -> None:
    (fault,) = tried("tests/e2e/test_faults.py::test_a_session_that_raises_fails_that_text_alone")
    assert (fault.came, fault.figure) == ("survived", "8 of 24 texts raised and failed, 16 were answered")
