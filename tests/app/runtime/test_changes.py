"""Changes of the registry: prepared beside what serves, made in one step, refused without a trace."""

import gc
import pickle
import shutil
import weakref
from pathlib import Path

import pytest

from app.errors import ChangeRefused, ModelNotFound, ModelUnavailable, RequestError
from app.modelpack.store import survey
from app.runtime.changes import Change, Load, Plan, Reload, SetAliases, SetShadow, Unload
from app.runtime.registry import Registry
from app.runtime.snapshot import Snapshot
from app.runtime.traffic import Alias, Shadow, Traffic
from tests.app.runtime.test_registry import registry
from tests.packages import SUMMARIES, copy_package, copy_tiny


@pytest.fixture
def two(tmp_path: Path) -> Registry:
    for version in (1, 2):
        copy_tiny(tmp_path, version=version)
    return registry(tmp_path)


def make(opened: Registry, change: Change) -> Snapshot:
    prepared = opened.prepare(change)
    opened.commit(prepared)
    return prepared.snapshot


def aliases(**versions: int | None) -> SetAliases:
    return SetAliases("tiny", {name: Alias(version, 1.0) for name, version in versions.items()})


def test_a_reload_opens_what_came_closes_what_went_and_keeps_the_rest(two: Registry, tmp_path: Path) -> None:
    kept = two.get("sentiment", "tiny", 2)
    copy_tiny(tmp_path, version=3)
    shutil.rmtree(tmp_path / "tiny" / "1")
    prepared = two.prepare(Reload())
    assert two.get("sentiment", "tiny").package.version == 2, "nothing changes before it is committed"
    assert (prepared.outcome.loaded, prepared.outcome.unloaded) == ((("tiny", 3),), (("tiny", 1),))
    two.commit(prepared)
    assert two.get("sentiment", "tiny").package.version == 3
    assert two.get("sentiment", "tiny", 2) is kept
    with pytest.raises(ModelNotFound):
        two.get("sentiment", "tiny", 1)


def test_a_reload_of_one_package_leaves_the_others_alone(two: Registry, tmp_path: Path) -> None:
    copy_tiny(tmp_path, "films", 1)
    copy_tiny(tmp_path, "tiny", 3)
    assert make(two, Reload("films")).names == ["films", "tiny"]
    assert sorted(two.versions("tiny")) == [1, 2]
    with pytest.raises(ModelNotFound):
        two.prepare(Reload("nobody"))


def test_what_is_unloaded_stays_so_over_reloads_until_it_is_loaded(two: Registry) -> None:
    make(two, Unload("tiny", 2))
    make(two, Reload())
    assert two.get("sentiment", "tiny").package.version == 1
    with pytest.raises(ModelUnavailable):
        two.get("sentiment", "tiny", 2)
    assert [(entry.version, entry.state) for entry in two.now.refused] == [(2, "unloaded")]
    assert two.failed == []
    make(two, Load("tiny", 2))
    assert two.get("sentiment", "tiny").package.version == 2


def test_a_load_opens_anew_and_what_it_replaces_goes_when_nobody_holds_it(two: Registry) -> None:
    old = two.get("sentiment", "tiny", 2)
    session = weakref.ref(old.sessions[0])
    make(two, Load("tiny", 2))
    assert two.get("sentiment", "tiny", 2) is not old
    assert session() is not None, "whoever is under way still has it"
    del old
    gc.collect()
    assert session() is None


def refuse(opened: Registry, change: Change) -> str:
    before = opened.now
    with pytest.raises(RequestError) as refused:
        opened.prepare(change)
    assert opened.now is before
    return str(refused.value)


def test_what_cannot_be_is_refused_and_changes_nothing(two: Registry, tmp_path: Path) -> None:
    make(two, aliases(stable=1, canary=2))
    (copy_tiny(tmp_path, version=3) / "model.onnx").unlink()
    assert "model.onnx: missing" in refuse(two, Load("tiny", 3))
    assert "not in the models folder" in refuse(two, Load("tiny", 9))
    assert "not in the models folder" in refuse(two, Load("../tiny"))
    assert "tiny/2 is named by canary" in refuse(two, Unload("tiny", 2))
    assert "version 9 of model 'tiny' is not here" in refuse(two, Unload("tiny", 9))
    assert "names version 3, not open; expected one of [1, 2]" in refuse(two, aliases(stable=3))
    assert "alias 'latest' names version 1; expected no version" in refuse(two, aliases(latest=1))
    assert "alias 'stable' names version None; expected a version" in refuse(two, aliases(stable=None))
    assert "'nobody' is not here" in refuse(two, SetAliases("nobody", {}))
    assert "'nobody' is not here" in refuse(two, SetShadow("nobody", Shadow(1, 0.5)))
    reason = "no shadow: version 3 of model 'tiny' is not open; expected one of [1, 2]"
    assert refuse(two, SetShadow("tiny", Shadow(3, 0.5))) == reason
    copy_package(SUMMARIES, tmp_path, "writer")
    make(two, Load("writer"))
    assert "is for summarize; expected one that classifies" in refuse(two, SetShadow("writer", Shadow(1, 0.5)))


def test_a_shadow_stands_beside_aliases_and_ends_when_its_candidate_is_closed(two: Registry) -> None:
    make(two, SetShadow("tiny", Shadow(2, 0.5)))
    snapshot = make(two, aliases(stable=1))
    assert snapshot.candidates["tiny"] == (two.get("sentiment", "tiny", 2), Shadow(2, 0.5))
    assert two.pick("sentiment", "tiny").alias == "stable", "a shadow answers nobody"
    make(two, Load("tiny", 2))
    assert two.now.candidates["tiny"].model is two.get("sentiment", "tiny", 2), "opened anew it is tried on"
    prepared = two.prepare(Unload("tiny", 2))
    assert prepared.ended == {"tiny": "version 2 of model 'tiny' is not open; expected one of [1]"}
    two.commit(prepared)
    assert two.now.candidates == {}
    assert two.now.traffic["tiny"] == Traffic({"stable": Alias(1, 1.0)})
    make(two, Load("tiny", 2))
    assert two.now.candidates == {}, "what has ended does not come back by itself"


def test_a_shadow_ends_when_asked_and_when_its_folder_is_gone(two: Registry, tmp_path: Path) -> None:
    make(two, SetShadow("tiny", Shadow(1, 0.5)))
    assert make(two, SetShadow("tiny", None)).candidates == {}
    make(two, SetShadow("tiny", Shadow(1, 0.5)))
    shutil.rmtree(tmp_path / "tiny" / "1")
    assert make(two, Reload()).candidates == {}


def test_traffic_given_at_the_start_holds_but_for_shadows_that_cannot_be(two: Registry, tmp_path: Path) -> None:
    given = {"tiny": Traffic(shadow=Shadow(1, 0.5)), "other": Traffic(shadow=Shadow(1, 0.5))}
    started = Registry(tmp_path, two._open_package, given)
    prepared = started.prepare_all()
    assert prepared.ended == {"other": "version 1 of model 'other' is not open; expected one of []"}
    assert set(prepared.snapshot.candidates) == {"tiny"}


def test_a_folder_that_is_empty_by_mistake_closes_nothing(two: Registry, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "tiny")
    assert "no package of the models folder can be opened" in refuse(two, Reload())
    tmp_path.rmdir()
    assert "the models folder is not there" in refuse(two, Reload())


def test_a_version_that_is_named_outlives_its_folder_and_says_so(two: Registry, tmp_path: Path) -> None:
    make(two, aliases(stable=1))
    shutil.rmtree(tmp_path / "tiny" / "1")
    snapshot = make(two, Reload())
    assert snapshot.troubles == {("tiny", 1): "its folder is gone, and stays open because of what names it: stable"}
    assert two.pick("sentiment", "tiny").alias == "stable"


def test_an_alias_leads_to_its_version_and_latest_to_the_highest(two: Registry) -> None:
    make(two, aliases(stable=1, canary=2))
    found = {two.pick("sentiment", "tiny", name).model.version: name for name in ("stable", "canary")}
    assert found == {"1": "stable", "2": "canary"}
    assert two.pick("sentiment", "tiny", "latest").model.version == "2"
    assert {two.pick("sentiment", "tiny", None, str(key)).alias for key in range(50)} == {"stable", "canary"}
    default = two.default("sentiment", "en", "some key")
    assert default is not None
    assert default == two.pick("sentiment", "tiny", None, "some key")
    with pytest.raises(ModelNotFound, match=r"no alias 'blue'; expected one of \['canary', 'latest', 'stable'\]"):
        two.pick("sentiment", "tiny", "blue")


def test_a_process_that_starts_later_comes_up_with_the_same(two: Registry, tmp_path: Path) -> None:
    (copy_tiny(tmp_path, version=3) / "model.onnx").unlink()
    make(two, Reload())
    make(two, aliases(stable=1))
    make(two, SetShadow("tiny", Shadow(1, 0.5)))
    make(two, Unload("tiny", 2))
    copy_tiny(tmp_path, version=4)
    plan: Plan = pickle.loads(pickle.dumps(two.now.plan))  # noqa: S301 - as it passes between processes
    later = Registry(tmp_path, two._open_package)
    later.open_all(plan)
    assert later.now.plan == two.now.plan
    assert later.names == two.names
    assert sorted(later.versions("tiny")) == [1, 2, 3]


def test_a_process_that_starts_later_opens_no_other_bytes_than_its_siblings(two: Registry, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "tiny" / "2")
    copy_tiny(tmp_path, version=2, edit=lambda manifest: manifest.update(description="another"))
    later = Registry(tmp_path, two._open_package)
    later.open_all(two.now.plan)
    assert [(entry.version, entry.reason.partition(":")[0]) for entry in later.failed] == [(2, "manifest.json")]


def test_names_that_begin_with_a_dot_are_no_packages(tmp_path: Path) -> None:
    copy_tiny(tmp_path / ".incoming-1")
    copy_tiny(tmp_path)
    assert list(survey(tmp_path)) == [("tiny", 1)]


def test_a_refused_change_crosses_to_another_process_whole() -> None:
    error = ChangeRefused("because")
    assert str(pickle.loads(pickle.dumps(error))) == "because"  # noqa: S301
