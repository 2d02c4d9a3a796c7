"""Timings."""

import json
from pathlib import Path

from tests.training.conftest import TinyRun
from tests.training.test_cli import call
from training.evaluate import open_served
from training.speed import BATCH, measure, processor


def test_every_graph_is_timed_at_every_length_that_it_takes_whole(run: TinyRun) -> None:
    found = measure(open_served(run.package, threads=1).package, lengths=(3, 25, 65), seconds=0.01)
    assert [(one.precision, one.tokens) for one in found.timings] == [
        (precision, tokens) for precision in ("fp32", "int8") for tokens in (3, 25)
    ]
    for one in found.timings:
        assert one.batch == BATCH
        assert one.alone_ms > 0
        assert one.texts_per_s > 0


def test_the_verb_prints_one_json_object(run: TinyRun) -> None:
    ended = call("speed", run.package, "--json")
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert found["processor"]
    assert {one["tokens"] for one in found["timings"]} == {25}


def test_a_processor_is_named_as_the_system_names_it(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Example 3000 @ 2.0GHz\nmodel name\t: Other\n", "utf-8")
    assert processor(cpuinfo) == "Example 3000 @ 2.0GHz"
    assert processor(tmp_path / "none")
