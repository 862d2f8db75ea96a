"""A home is bound to one place of artifacts, and a place to one home."""

import json

import pytest

from raypipe.errors import StoreError, UsageError
from raypipe.store.artifacts import ArtifactsPlace, bind, bound, open_artifacts
from raypipe.store.folder import FolderArtifacts
from raypipe.store.objects import ObjectArtifacts
from raypipe.store.paths import HomePaths


@pytest.fixture
def paths(tmp_path) -> HomePaths:
    return new_home(tmp_path, "home")


def new_home(folder, name: str) -> HomePaths:
    (folder / name).mkdir()
    return HomePaths(folder / name)


@pytest.fixture
def place(tmp_path) -> ArtifactsPlace:
    return ArtifactsPlace(artifacts=f"file://{tmp_path}/objects")


def test_a_home_that_is_told_nothing_keeps_artifacts_in_its_folder(paths):
    bind(paths, None)
    assert bound(paths) is None
    assert isinstance(open_artifacts(paths.home), FolderArtifacts)


def test_what_settings_name_is_found_by_whoever_opens_the_home(paths, place):
    bind(paths, place)
    bind(paths, None)
    stat = open_artifacts(paths.home).put_bytes(b"x")
    assert isinstance(open_artifacts(paths.home), ObjectArtifacts)
    assert open_artifacts(paths.home).read(stat.digest) == b"x"


def test_the_environment_names_the_place_of_a_new_home(paths, place, monkeypatch):
    monkeypatch.setenv("RAYPIPE_ARTIFACTS", place.artifacts)
    bind(paths, None)
    monkeypatch.delenv("RAYPIPE_ARTIFACTS")
    assert bound(paths) == place


def test_a_home_that_has_artifacts_keeps_its_place(paths, place, tmp_path):
    open_artifacts(paths.home).put_bytes(b"x")
    with pytest.raises(UsageError, match="keeps its artifacts in"):
        bind(paths, place)

    other = new_home(tmp_path, "other")
    bind(other, place)
    with pytest.raises(UsageError, match="keeps its artifacts in"):
        bind(other, ArtifactsPlace(artifacts=f"file://{tmp_path}/elsewhere"))


def test_two_homes_cannot_share_a_place(paths, place, tmp_path):
    bind(paths, place)
    with pytest.raises(StoreError, match="belongs to another home") as refused:
        bind(new_home(tmp_path, "other"), place)
    assert refused.value.hint


def test_a_home_that_moved_keeps_its_place(paths, place, tmp_path):
    bind(paths, place)
    moved = HomePaths(paths.home.rename(tmp_path / "moved"))
    bind(moved, place)
    assert bound(moved) == place


def test_a_torn_note_of_the_place_is_an_error_with_a_next_step(paths):
    paths.bound_artifacts.write_text(json.dumps({"no": "place"})[:5])
    with pytest.raises(StoreError, match="where the artifacts are") as torn:
        open_artifacts(paths.home)
    assert torn.value.hint


def test_a_credential_that_is_not_set_is_named_by_its_variable(paths, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    place = ArtifactsPlace(artifacts="s3://bucket/x", access_key="MY_KEY", secret_key="MY_SECRET")
    with pytest.raises(StoreError, match="MY_KEY is not set"):
        open_artifacts(paths.home, place=place)
