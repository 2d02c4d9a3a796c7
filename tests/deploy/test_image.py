"""What goes into the image, read from its Dockerfile; scripts/check-container asks the image itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
INDEX_ARGS = ("PIP_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST")


def _stages() -> dict[str, str]:
    """Return the text of each stage by its name."""
    parts = re.split(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _pins(file: str) -> dict[str, str]:
    """Return the versions that a requirements file fixes."""
    lines = (ROOT / file).read_text("utf-8").splitlines()
    wanted = [line for line in lines if line.strip() and not line.lstrip().startswith(("#", "--"))]
    pins = [re.match(r"([\w.-]+)(?:\[[\w,]+\])?==([^\s;\\]+)", line) for line in wanted]
    assert None not in pins, wanted[pins.index(None)]
    return {pin[1].lower(): pin[2] for pin in pins if pin}


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([str(hadolint), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_build_without_a_target_makes_the_cpu_image() -> None:
    assert list(_stages())[-1] == "default"
    assert "FROM cpu AS default" in DOCKERFILE


def test_no_syntax_line_pulls_an_image() -> None:
    assert not re.search(r"^#\s*syntax\s*=", DOCKERFILE, re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize("stage", ["builder", "builder-cpu", "builder-gpu"])
def test_a_stage_that_installs_takes_its_index_from_arguments_without_a_value(stage: str) -> None:
    declared = re.findall(r"^ARG (\w+)$", _stages()[stage], re.MULTILINE)
    assert tuple(declared) == INDEX_ARGS


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_a_target_runs_as_a_numeric_user_that_is_not_root(target: str) -> None:
    assert re.findall(r"^USER (.+)$", _stages()[target], re.MULTILINE) == ["10001:10001"]


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_a_target_carries_the_list_of_its_parts(target: str) -> None:
    assert re.search(
        r"seal-environment .*\\\n +&& cyclonedx-py environment .*/opt/venv/bin/python$",
        _stages()[f"builder-{target}"],
        re.MULTILINE,
    )
    assert f"COPY --from=builder-{target} /sbom.json /app/" in _stages()[target]


def test_the_process_is_started_without_a_shell_so_that_it_gets_the_signal() -> None:
    assert re.search(r'^ENTRYPOINT \["sluice"\]$', DOCKERFILE, re.MULTILINE)
    assert re.search(r'^CMD \["serve"\]$', DOCKERFILE, re.MULTILINE)


def test_the_runtime_is_told_to_report_to_nobody() -> None:
    assert re.search(r"^(ENV)?\s+ORT_DISABLE_TELEMETRY=1", _stages()["base"], re.MULTILINE)


def test_nothing_of_training_or_tests_reaches_the_build() -> None:
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert (ROOT / ".dockerignore").read_text("utf-8").splitlines()[1] == "*"
    assert not [path for path in allowed if path.startswith(("training", "tests", "benchmarks", "docs", "."))]


@pytest.mark.parametrize("file", ["requirements.txt", "deploy/requirements-gpu.txt", "deploy/requirements-build.txt"])
def test_versions_are_exact_and_name_no_index_and_no_torch(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    assert "torch" not in _pins(file)
    assert not re.search(r"https?://|--index-url|--extra-index-url|--find-links", text)


def test_both_images_run_the_same_version_of_onnx_runtime() -> None:
    assert _pins("deploy/requirements-gpu.txt")["onnxruntime-gpu"] == _pins("requirements.txt")["onnxruntime"]


def test_the_gpu_image_replaces_onnx_runtime_and_adds_only_cuda() -> None:
    assert "sed -i '/^onnxruntime==/d' requirements.txt" in _stages()["builder-gpu"]
    added = set(_pins("deploy/requirements-gpu.txt")) - {"onnxruntime-gpu"}
    assert all(name.startswith("nvidia-") for name in added)
    assert not added & set(_pins("requirements.txt"))
