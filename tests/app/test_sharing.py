"""A disk without room costs shared metrics, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ROOT

WORKER = """
import resource, signal, sys
from pathlib import Path
from app.metrics import Metrics
from app.sharing import share
folder, most = Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
share(folder, 0)
metrics = Metrics("9", folder)
for at in range(2_000):
    metrics.requests.labels(f"/{at}", "200").inc(at)
    metrics.requests.labels(f"/{at}", "200").inc(1)
assert [metrics.requests.labels(f"/{at}", "200")._value.get() for at in range(2_000)] == [at + 1 for at in range(2_000)]
print(metrics.exposition().decode())
"""


def run(folder: Path, most_bytes: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", WORKER, str(folder), str(most_bytes)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("most_bytes", [0, 1 << 16, 1 << 17])
def test_counting_goes_on_where_the_files_cannot_grow(tmp_path: Path, most_bytes: int) -> None:
    ended = run(tmp_path, most_bytes)
    assert "metrics_not_shared" in ended.stdout
    shown = [line for line in ended.stdout.splitlines() if line.startswith("sluice_requests_total")]
    assert len(shown) < 2_000
    assert bool(shown) == bool(most_bytes)


def test_where_there_is_room_every_series_is_shared(tmp_path: Path) -> None:
    ended = run(tmp_path, 1 << 24)
    assert "metrics_not_shared" not in ended.stdout
    assert sum(line.startswith("sluice_requests_total") for line in ended.stdout.splitlines()) == 2_000
