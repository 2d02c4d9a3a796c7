"""Metrics are in place before the first request, and workers share them without leaving files behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.metrics import Metrics

WORKER = """
import sys
from pathlib import Path
from app.metrics import Metrics
from app.sharing import share
folder, slot = Path(sys.argv[1]), int(sys.argv[2])
share(folder, slot)
metrics = Metrics("9", folder)
metrics.declare_route("/x", ["200"])
metrics.requests.labels("/x", "200").inc(5)
metrics.queue_rows.set(3)
metrics.ready.set(slot)
if len(sys.argv) > 3:
    print(metrics.exposition().decode())
"""


def worker(folder: Path, slot: int, *, show: bool = False) -> str:
    command = [sys.executable, "-c", WORKER, str(folder), str(slot), *(["show"] if show else [])]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout


def test_every_series_stands_before_the_first_request() -> None:
    metrics = Metrics("9")
    metrics.declare_route("/v1/sentiment", ["200", "429"])
    metrics.of_model("m", "1")
    metrics.declare_items("m", "1", "sentiment", ["ok", "empty_text"])
    text = metrics.exposition().decode()
    for line in (
        'sluice_requests_total{code="429",route="/v1/sentiment"} 0.0',
        'sluice_request_duration_seconds_bucket{le="0.0001",route="/v1/sentiment"} 0.0',
        'sluice_items_total{code="empty_text",model="m",task="sentiment",version="1"} 0.0',
        'sluice_queue_duration_seconds_count{model="m",version="1"} 0.0',
        'sluice_cells_total{kind="padding",model="m",version="1"} 0.0',
        'sluice_rejected_total{reason="queue_full"} 0.0',
        'sluice_dropped_total{reason="expired"} 0.0',
        "sluice_queue_rows 0.0",
        'sluice_build_info{version="9"} 1.0',
    ):
        assert line in text
    assert "process_resident_memory_bytes" in text
    assert "_created" not in text


def test_workers_are_added_up_and_their_processes_too(tmp_path: Path) -> None:
    worker(tmp_path, 0)
    text = worker(tmp_path, 1, show=True)
    assert 'sluice_requests_total{code="200",route="/x"} 10.0' in text
    assert "sluice_queue_rows 6.0" in text
    assert "sluice_ready 0.0" in text, "one worker that is not ready makes the service not ready"
    assert "process_cpu_seconds_total" in text


def test_a_restarted_worker_counts_on_in_the_same_files(tmp_path: Path) -> None:
    worker(tmp_path, 0)
    before = sorted(file.name for file in tmp_path.iterdir())
    for _ in range(3):
        text = worker(tmp_path, 0, show=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == before
    assert 'sluice_requests_total{code="200",route="/x"} 20.0' in text
    assert "sluice_queue_rows 3.0" in text, "a gauge must not remember a process that is gone"


@pytest.mark.parametrize("name", ["requests", "items", "rejected"])
def test_counters_end_in_total(name: str) -> None:
    assert f"sluice_{name}_total" in Metrics("9").exposition().decode()
