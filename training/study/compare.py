"""`sluice-train compare`: does the runs of a comparison and writes what they say into a folder of pages."""

from pathlib import Path

from training import tokenizer
from training.study import pictures, tables
from training.study.latency import Speed, measure
from training.study.ledger import Ledger
from training.study.material import Material, lay_out
from training.study.plan import Comparison, jobs, run_config
from training.study.pool import run_all
from training.study.results import Results, collect
from training.train import Say

FOLDER = "ablation"
RESULTS = "results.json"


def compare(
    plan: Comparison, data: Path, root: Path, pages: Path, say: Say, *, processes: int, minutes: float
) -> Results:
    """Do what is left of the comparison, within `minutes`, and write its pages; what was not run is named there."""
    material = lay_out(plan.sets, plan.extra, data, root, plan.added)
    ledger = Ledger(root / "runs.jsonl")
    run_all(jobs(plan, material), material, ledger, say, processes=processes, minutes=minutes)
    found = collect(plan, material, ledger, speeds(plan, material, say))
    write(found, pages)
    say(f"compare: wrote {pages / 'ablation.md'}, {pages / 'cells-compared.md'} and {pages / FOLDER}")
    return found


def speeds(plan: Comparison, material: Material, say: Say) -> dict[str, Speed]:
    """Time every cell's graphs at serving size, if the plan asks for it."""
    if plan.latency is None:
        return {}
    one = next(one for one in plan.sets if one.name == plan.latency.set)
    found = {}
    for cell in plan.cells:
        config = run_config(
            plan.base,
            one,
            name=plan.name,
            seed=plan.seeds[0],
            changed=cell.on | plan.latency.at,
            where=f"cell {cell.name!r} at serving size",
        )
        vocabulary = tokenizer.load(material.prepare(config).tokenizer)
        found[cell.name] = measure(config, vocabulary.get_vocab_size(), plan.latency)
        say(f"compare: {cell.name}: {found[cell.name]}")
    return found


def write(found: Results, pages: Path) -> None:
    """Write results, pages and pictures."""
    folder = pages / FOLDER
    found.write(folder / RESULTS)
    (pages / "ablation.md").write_text(tables.ablation_page(found), encoding="utf-8")
    for one in found.sets:
        pictures.differences(found, one.name, folder / f"{one.name}.png")
    if found.cells:
        (pages / "cells-compared.md").write_text(tables.cells_page(found), encoding="utf-8")
        if any(cell.speed and cell.speed.timings for cell in found.cells):
            pictures.cells(found, folder / "cells.png")
