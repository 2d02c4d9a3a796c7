"""The pages, from results made up for the test."""

from training.study.latency import Speed, Timing
from training.study.material import StudySet
from training.study.results import CellRuns, Results, Run, TechniqueRuns
from training.study.tables import ablation_page, cells_page, table


def runs(*scores: float | str) -> tuple[Run, ...]:
    return tuple(
        Run(seed=seed, failed=one)
        if isinstance(one, str)
        else Run(seed=seed, score=one, parameters=1234, epochs=2, seconds_per_epoch=1.5, seconds=4.0, cpu_seconds=3.5)
        for seed, one in enumerate(scores)
    )


def technique(name: str, off: tuple[Run, ...], on: tuple[Run, ...]) -> TechniqueRuns:
    return TechniqueRuns(
        name=name,
        group="Loop",
        paper="Someone 2001",
        note="",
        changes={"toy": {"off": {}, "on": {"loop.epochs": 3}}},
        runs={"toy": {"off": off, "on": on}},
    )


def results(*techniques: TechniqueRuns, cells: tuple[CellRuns, ...] = ()) -> Results:
    one = StudySet(name="toy", language="en", labels=("a", "b"), metric="macro_f1", train_rows=1000, dev_rows=100)
    return Results(
        name="toy",
        date="2001-02-03",
        machine={"torch": "1"},
        seeds=(0, 1, 2),
        sets=(one,),
        base={"loop": {"epochs": 2}},
        base_runs={"toy": runs(0.5, 0.6, 0.7)},
        techniques=techniques,
        cells=cells,
        latency_at={"model.hidden": 7},
    )


def test_a_line_has_both_sides_the_difference_and_the_cpu_seconds_of_an_epoch() -> None:
    page = ablation_page(results(technique("EMA", runs(0.50, 0.60, 0.70), runs(0.51, 0.62, 0.73))))
    assert "| EMA (Someone 2001) | toy | 60.0 ± 10.0 | 62.0 ± 11.0 | +2.0 [-0.5, +4.5] | 1.75 | 1.75 |" in page
    assert "| EMA | base | `loop.epochs = 3` |" in page
    assert "No interval leaves out zero." in page


def test_the_pages_say_what_the_seconds_are() -> None:
    found = results(technique("EMA", runs(0.5, 0.6), runs(0.5, 0.6)))
    assert all("CPU seconds of a whole run by its epochs" in page(found) for page in (ablation_page, cells_page))


def test_a_clear_difference_is_listed() -> None:
    page = ablation_page(results(technique("EMA", runs(0.50, 0.60, 0.70), runs(0.60, 0.70, 0.801))))
    assert "- EMA, toy: +10.0 [+9.9, +10.2]" in page


def test_a_failed_run_is_named_with_its_reason_and_the_others_count() -> None:
    page = ablation_page(results(technique("EMA", runs(0.50, 0.60, 0.70), runs("ValueError: no", 0.62, 0.72))))
    assert "- EMA, on, toy, seed 0: ValueError: no" in page
    assert "67.0 ± 7.1 | +2.0 [+2.0, +2.0]" in page


def test_a_technique_of_which_no_run_ended_has_empty_cells() -> None:
    page = ablation_page(results(technique("EMA", runs(0.5, 0.6, 0.7), runs("x", "x", "x"))))
    assert "| EMA (Someone 2001) | toy | 60.0 ± 10.0 | - | - | 1.75 | - |" in page


def test_the_cells_page_says_which_cell_has_no_int8_kernel() -> None:
    times = tuple(Timing(precision=one, rows=1, tokens=25, ms=ms) for one, ms in (("fp32", 0.5), ("int8", 0.25)))  # type: ignore[arg-type]
    lstm = Speed(parameters=9, fp32_mb=4, int8_mb=1, fp32_node="LSTM", int8_node="DynamicQuantizeLSTM", timings=times)
    gru = Speed(parameters=7, fp32_mb=3, int8_mb=2, fp32_node="GRU", int8_node="GRU", timings=times)
    cells = tuple(
        CellRuns(name=name, changes={}, runs={"toy": runs(*scores)}, speed=speed)
        for name, scores, speed in (("LSTM", (0.5, 0.6), lstm), ("GRU", (0.4, 0.5), gru))
    )
    page = cells_page(results(cells=cells))
    assert "GRU: the runtime has no int8 kernel for this cell" in page
    assert "| LSTM | 9 | int8 | 1.0 | DynamicQuantizeLSTM | 0.25 |" in page
    assert "| GRU | toy | 1,234 | 45.0 ± 7.1 | -10.0 [-10.0, -10.0] | 2.0 | 1.75 |" in page


def test_a_cell_that_cannot_be_exported_says_why() -> None:
    cell = CellRuns(name="X", changes={}, runs={"toy": runs(0.5)}, speed=Speed(parameters=9, failed="no such node"))
    assert "| X | 9 | no such node |" in cells_page(results(cells=(cell,)))


def test_short_lines_of_a_table_are_filled_up() -> None:
    assert table(["a", "b"], [["1"]]) == "| a | b |\n| --- | --- |\n| 1 |  |"
