"""Every fault of tests/e2e/test_faults.py against the real process, as a table in docs/reliability.md.

python -m benchmarks.faults [--page docs/reliability.md]
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree as ET  # nosec B405 - for the report that pytest writes just before

import typer

from benchmarks.report import RELIABILITY, fill, today

_TESTS = "tests/e2e/test_faults.py"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its name, what came of it, and the figure that the test gives."""

    name: str
    came: str
    figure: str


def main(page: Annotated[Path, typer.Option(help="Page whose figures are replaced.")] = RELIABILITY) -> None:
    """Let each fault happen, and write what came of it."""
    faults = tried(_TESTS)
    fill(page, "faults", summary(faults))
    fill(page, "faults-table", table(faults))
    typer.echo(table(faults))
    if any(fault.came != "survived" for fault in faults):
        raise typer.Exit(1)


def tried(tests: str) -> list[Fault]:
    """Run tests, each of a fault, and return what came of them."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "faults.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--timeout", "600", f"--junitxml={report}"]
        command += ["-o", "junit_family=xunit1", tests]  # the newer family has no place for a test's figure
        subprocess.run(command, check=False)
        return read(report)


def read(report: Path) -> list[Fault]:
    """Return the faults of a JUnit report, in the order in which they ran."""
    found = []
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  # nosec B314 - pytest's own file, written just now
        name = case.attrib["name"].removeprefix("test_").replace("_", " ")
        came = "survived"
        for tag, said in (("failure", "FAILED"), ("error", "FAILED"), ("skipped", "not tried")):
            if case.find(tag) is not None:
                came = said
        figures = [each.attrib["value"] for each in case.iter("property") if each.attrib["name"] == "figure"]
        found.append(Fault(name, came, "; ".join(figures)))
    return found


def summary(faults: list[Fault]) -> str:
    """Return the line's figure."""
    survived = sum(fault.came == "survived" for fault in faults)
    return f"{survived} of {len(faults)} survived ({today()})"


def table(faults: list[Fault]) -> str:
    """Return the faults as Markdown."""
    lines = [f"| {fault.name} | {fault.came} | {fault.figure} |" for fault in faults]
    return "\n".join(["| fault | | figure |", "|---|---|---|", *lines])


if __name__ == "__main__":
    typer.run(main)
