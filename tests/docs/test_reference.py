"""The reference pages say what the code says: nothing undocumented, nothing documented that is not there."""

import re
from pathlib import Path

import pytest

from app.codes import codes
from app.errors import ItemError, LineError, RequestError
from app.main import create_app
from app.measures.batches import DROPS
from app.measures.requests import REJECTIONS
from app.metrics import Metrics
from app.modelpack.manifest import Manifest
from app.settings import PREFIX, Settings
from tests.packages import PACKAGES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def first_cells(page: str, pattern: str) -> list[str]:
    """Return what the first column of the page's tables names, of the form ``pattern``."""
    return re.findall(rf"^\| `({pattern})`", (DOCS / page).read_text("utf-8"), re.MULTILINE)


def test_every_setting_is_documented_with_its_default_and_meaning() -> None:
    text = (DOCS / "settings.md").read_text("utf-8")
    for name, setting in Settings.model_fields.items():
        default = f"`{setting.default}`" if setting.default is not None else "none"
        assert f"| `{PREFIX}{name.upper()}` | {default} | {setting.description} |" in text


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert first_cells("settings.md", "SLUICE_[A-Z_]+") == [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]


def test_every_metric_is_documented_with_its_labels_and_none_else() -> None:
    documented = dict(
        re.findall(r"^\| `(sluice_\w+)` \| ([\w, ]*?) ?\|", (DOCS / "metrics.md").read_text("utf-8"), re.MULTILINE)
    )
    declared = {}
    for metric in vars(Metrics("1")).values():
        if hasattr(metric, "_labelnames"):
            name = metric._name + ("_total" if metric._type == "counter" else "")
            declared[name] = ", ".join(metric._labelnames)
    assert documented == declared


@pytest.mark.parametrize("reason", [*REJECTIONS, *DROPS])
def test_every_reason_is_documented(reason: str) -> None:
    assert f"`{reason}`" in (DOCS / "metrics.md").read_text("utf-8")


def test_every_route_is_documented_and_none_else() -> None:
    paths = create_app(Settings(models_dir=PACKAGES)).openapi()["paths"]
    served = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}
    tables = "".join(re.findall(r"^\|.*\|$", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[^`.]*)`", tables)) == served


def test_every_error_code_is_documented_with_its_status_and_none_else() -> None:
    text = (DOCS / "api.md").read_text("utf-8")
    documented = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.MULTILINE))
    assert documented == {(str(kind.status), code) for code, kind in codes(RequestError).items()}  # type: ignore[attr-defined]
    assert set(
        re.findall(r"^\| `(\w+_text|text_\w+|\w+_language|\w+_model|option_\w+)` \|", text, re.MULTILINE)
    ) == set(codes(ItemError))
    assert set(re.findall(r"^\| `(\w+_line|line_\w+)` \|", text, re.MULTILINE)) == set(codes(LineError))


def test_every_field_of_a_manifest_is_documented() -> None:
    table = (DOCS / "model-package.md").read_text("utf-8").partition("## manifest.json")[2].partition("\n## ")[0]
    fields = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    assert fields == [field.alias or name for name, field in Manifest.model_fields.items()]


@pytest.mark.parametrize("page", sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")]), ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links to {target}"
