"""A disk without room costs shared metrics, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packages import SUMMARIES, copy_package, copy_tiny
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


VERSIONS = """
import asyncio, struct, sys
from functools import partial
from pathlib import Path
from app.metrics import Metrics
from app.presence import Presence
from app.runtime.changes import Load, SetShadow
from app.runtime.opening import open_model
from app.runtime.providers import choose
from app.runtime.registry import Registry
from app.runtime.traffic import Shadow
from app.sharing import share

async def tell(folder, root):
    share(folder, 0)
    presence = Presence(Metrics("9", folder))
    registry = Registry(root, partial(open_model, provider=choose("cpu")))
    used = lambda: sum(struct.unpack("<i", file.read_bytes()[:4])[0] for file in folder.glob("*.db"))
    for name in ("tiny", "writer"):  # the first of a kind may bring a file of its own
        registry.commit(registry.prepare(Load(name, 1)))
    presence.follow(Registry(root, None).now, registry.now)
    for change in (Load("tiny", 2), Load("writer", 2), SetShadow("tiny", Shadow(2, 0.5))):
        before, had = registry.now, used()
        registry.commit(registry.prepare(change))
        presence.follow(before, registry.now)
        print(used() - had)

asyncio.run(tell(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def test_a_new_version_adds_to_the_files_what_the_page_says(tmp_path: Path) -> None:
    folder, root = tmp_path / "metrics", tmp_path / "models"
    folder.mkdir()
    for version in (1, 2):
        copy_tiny(root, "tiny", version)
        copy_package(SUMMARIES, root, "writer", version)
    ended = subprocess.run(
        [sys.executable, "-c", VERSIONS, str(folder), str(root)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    measured = [int(line) / 1000 for line in ended.stdout.splitlines() if line.isdigit()]
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    said = re.search(
        r"for each worker (\d+) kB where\nit classifies, (\d+) kB where it writes, and (\d+) kB more", page
    )
    assert said is not None
    assert measured == pytest.approx([float(number) for number in said.groups()], rel=0.15)
