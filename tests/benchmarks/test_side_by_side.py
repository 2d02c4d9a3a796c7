"""The side-by-side tables say what the run's lines say."""

import json
from typing import Any

from benchmarks.side_by_side import Cell, as_json, bare_loop, brief, of_json, read, shown, table


def line(peer: str, req_s: float, **more: Any) -> str:
    row = {"kind": "single", "set": "short", "connections": 8, "p50_ms": 2.0, "p99_ms": 10.0, "cpu_s_per_1k": 0.25}
    return json.dumps({"peer": peer, "req_s": req_s, "errors": 0, **row, **more})


def test_a_cell_is_the_median_of_its_rounds_and_the_sum_of_their_errors() -> None:
    found = read([line("mosec", 100), line("mosec", 300, errors=2), line("mosec", 110)])
    assert found[Cell(1, "short", 8)]["mosec"].texts_s == 110
    assert found[Cell(1, "short", 8)]["mosec"].errors == 2


def test_ours_stands_against_the_fastest_peer_of_the_cell_and_the_bare_loop() -> None:
    lines = [line("sluice", 300, p99_ms=5.0), line("mosec", 200), line("litserve", 40)]
    shown = table(read(lines), bare={"short": 600.0})
    assert "| short | 8 | 1 | 300, 2.00, 5.0, 0.25 | mosec: 200, 10.0, 0.25 | 1.50 | 0.50 | 0.50 |" in shown


def test_a_request_of_32_texts_counts_each_of_them() -> None:
    found = read([line("sluice", 10, kind="batch32")])
    assert found[Cell(32, "short", 8)]["sluice"].texts_s == 320


def test_the_short_texts_of_the_mixed_run_are_mixed_and_stand_last() -> None:
    found = read([line("sluice", 10), line("sluice", 5, set="long")], [line("sluice", 7)])
    assert [cell.kind for cell in found] == ["short", "long", "mixed"]


def test_starts_and_failures_are_no_measurements() -> None:
    assert read([json.dumps({"peer": "ray", "kind": "failed", "error": "x"})]) == {}


def test_the_bare_loop_is_its_best_order_on_all_cores_of_texts_as_they_come() -> None:
    found = [(1, False, 9.0), (2, False, 7.0), (2, False, 8.0), (2, True, 9.5)]
    rows = [{"set": "short", "procs": procs, "sorted": far, "texts_s": rate} for procs, far, rate in found]
    assert bare_loop(map(json.dumps, rows)) == {"short": 8.0}


def test_a_peer_that_answers_nothing_is_beaten_by_no_ratio() -> None:
    shown = table(read([line("sluice", 300), line("mosec", 0, p99_ms=0.0)]), bare={})
    assert "| 300, 2.00, 10.0, 0.25 | mosec: 0, 0.0, 0.25 | - | - | - |" in shown


def test_what_took_turns_with_the_bare_loop_is_told_below_the_tables() -> None:
    results = read([line("sluice", 300)])
    run = {"measured_at": "2026-11-22T00:00:00", "machine": {"cores": 2}}
    told = shown({**run, **as_json(results, {}, {"long": {"per_s": 0.91, "per_cpu_s": 0.876}})})
    assert told.endswith("as shares of its texts/s: long 0.91, by CPU time 0.88.")
    assert "in turn" not in shown({**run, **as_json(results, {})})


def test_a_run_is_the_same_after_json() -> None:
    results, bare = read([line("sluice", 300), line("mosec", 200, kind="batch32")]), {"short": 600.0}
    assert of_json(json.loads(json.dumps(as_json(results, bare)))) == (results, bare)
    assert of_json(None) == ({}, {})


def test_the_brief_table_has_each_target_in_the_cells_that_were_run_and_the_best_first() -> None:
    lines = [
        line("mosec", 200, connections=64),
        line("sluice", 300, connections=64),
        line("sluice", 10, kind="batch32"),
    ]
    shown = brief(as_json(read(lines), {})).splitlines()
    assert shown == [
        "| texts/s, p99 ms | short texts, 64 connections | 32 short texts a request, 8 |",
        "|---|---|---|",
        "| **Sluice** | 300, 10.0 | 320, 10.0 |",
        "| mosec | 200, 10.0 | - |",
    ]
