"""Every target finds its figure in the runs, and has none where no run was kept."""

from benchmarks.side_by_side import Cell, Figures, as_json
from benchmarks.targets import figures, shown


def of_peers(cell: Cell, ours: float, best: float) -> dict[Cell, dict[str, Figures]]:
    found = {"sluice": Figures(ours, 1.0, 6.0, 0.1, 0), "mosec": Figures(best, 2.0, 10.0, 0.2, 0)}
    return {cell: {**found, "ray": Figures(best / 2, 9.0, 90.0, 2.0, 0)}}


def test_without_runs_every_target_is_there_and_none_is_met() -> None:
    found = figures({}, {})
    assert len(found) > 15
    assert not any(one.met for one in found)
    assert shown(found).startswith(f"0 of {len(found)} met, {len(found)} not measured.")


def test_ours_stands_against_the_fastest_peer_of_the_cell() -> None:
    results = of_peers(Cell(1, "mixed", 64), 300.0, 200.0)
    values = {one.name: one for one in figures({"side-by-side": as_json(results, {})}, {})}
    assert values["mixed texts, 64 connections: req/s, to mosec"].value == 1.5
    assert values["mixed texts, 64 connections: req/s, to mosec"].met
    assert values["mixed texts, 64 connections: p99, to mosec"].value == 0.6


def test_many_texts_a_request_stand_against_the_bare_loop_where_both_took_turns() -> None:
    results = of_peers(Cell(32, "long", 8), 850.0, 500.0)
    section = as_json(results, {"long": 1000.0}, {"long": {"per_s": 0.91, "per_cpu_s": 0.88}})
    values = {one.name: one for one in figures({"side-by-side": section}, {})}
    head = "32 {} texts a POST, 8 connections, the peers' model: texts/s, to the bare loop"
    assert (values[head.format("long")].value, values[head.format("long")].met) == (0.91, True)
    assert values[head.format("short")].value is None


def test_summaries_are_held_to_the_ratios_with_all_beams() -> None:
    ratios = {"service / reads and steps": 0.9, "decoder / static": 1.5}
    cases = [{"beams": 1, "ratios": dict.fromkeys(ratios, 0.1)}, {"beams": 4, "ratios": ratios}]
    found = [one for one in figures({}, {"decoding": {"cases": cases}}) if one.name.startswith("summaries")]
    assert [one.met for one in found] == [True, False]
