"""Half a minute of everything at once on small packages: no error but the provoked ones, and nothing is left open."""

from pathlib import Path

from benchmarks.soak import Run, Sample, guarded, soak, summary, table
from tests.packages import SUMMARIES, copy_package, every_task


def test_a_short_soak_has_no_error_but_the_provoked_ones_and_leaves_nothing_open(tmp_path: Path) -> None:
    copy_package(SUMMARIES, every_task(tmp_path), "summarize-en")
    with guarded(tmp_path) as (service, key, grpc_port):
        run = soak(service, 0.5, 4, key, grpc_port)
    assert not run.errors, dict(run.errors)
    assert {"a version opened anew", "gRPC", "/v2 generate", "lines", "streamed summary", "leaving"} <= set(run.answers)
    assert not {"files", "threads"} & set(run.grown()), table(run)


def test_what_grows_is_named_and_what_only_warms_up_is_not() -> None:
    flat = [Sample(at, 200.0 if at > 10 else 100.0, 50, 20) for at in range(100)]
    grows = [Sample(at, 200.0 + at, 50 + at, 20) for at in range(100)]
    assert Run(100 / 60, flat).grown() == []
    assert Run(100 / 60, grows).grown() == ["pss_mb", "files"]
    assert "pss_mb, files grew" in summary(Run(100 / 60, grows))


def test_memory_is_told_by_tenths_of_the_run() -> None:
    run = Run(100 / 60, [Sample(at, 200.0 if at >= 10 else 100.0, 50, 20) for at in range(0, 100, 5)])
    assert run.series("pss_mb") == [100.0, *[200.0] * 9]
    assert "in MB: 100, 200, 200," in table(run)
