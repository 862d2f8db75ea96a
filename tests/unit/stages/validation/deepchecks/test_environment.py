"""Half of an environment is none, and it is said what is missing."""

import json
import sys

import pytest

from raypipe.config.deepchecks import DeepchecksConfig
from raypipe.errors import StoreError, UsageError
from raypipe.stages.validation.deepchecks.environment import (
    CONSTRAINTS,
    MARKER,
    Environment,
    digest_of,
    environment_folder,
    find_environment,
    install,
    usable,
)


def whole(folder):
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / MARKER).write_text(json.dumps({"constraints": digest_of(CONSTRAINTS)}))
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("RAYPIPE_DEEPCHECKS")
    return tmp_path / "env"


def test_one_that_is_whole_is_found_and_not_made_again(folder):
    whole(folder)
    assert isinstance(find_environment(str(folder)), Environment)
    assert install(folder, python="/no/such/python") is False


def test_an_install_looks_at_the_folder_that_it_is_given_whatever_the_variable_names(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAYPIPE_DEEPCHECKS", str(whole(tmp_path / "other")))
    with pytest.raises(UsageError, match="deepchecks needs Python"):
        install(folder, python="/no/such/python")
    monkeypatch.setenv("RAYPIPE_DEEPCHECKS", "/nowhere")
    assert install(whole(folder), python="/no/such/python") is False


def test_one_without_its_marker_is_half_made(folder):
    (whole(folder) / MARKER).unlink()
    none = f"deepchecks is not installed: there is no environment in {str(folder)!r}."
    assert find_environment(str(folder)) == none
    for torn in ("", "[]", '"x"', "{}"):
        (folder / MARKER).write_text(torn)
        assert find_environment(str(folder)) == none


def test_one_of_other_versions_is_none(folder):
    (whole(folder) / MARKER).write_text(json.dumps({"constraints": "others"}))
    assert "other versions" in find_environment(str(folder))


def test_one_whose_python_is_gone_is_none(folder):
    python = whole(folder) / "bin" / "python"
    python.unlink()
    python.symlink_to("/no/such/python")
    assert "no Python any more" in find_environment(str(folder))


def test_the_variable_comes_before_settings_and_the_cache_after(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert str(environment_folder()).startswith("/cache/raypipe/deepchecks-")
    assert str(environment_folder("/given")) == "/given"
    monkeypatch.setenv("RAYPIPE_DEEPCHECKS", "/named")
    assert str(environment_folder("/given")) == "/named"


def test_a_missing_one_stops_only_where_it_is_required(folder):
    settings = DeepchecksConfig(environment=str(folder))
    assert isinstance(usable(settings), str)
    assert usable(settings.model_copy(update={"use": "off"})) == ""
    with pytest.raises(UsageError, match="`required`, but deepchecks is not installed"):
        usable(settings.model_copy(update={"use": "required"}))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 3 13", "it is Python 3.13"),
        ("echo 'No module named ensurepip' >&2; exit 1", "(No module named ensurepip)"),
    ],
)
def test_a_python_that_does_not_suit_is_named_with_the_reason(folder, tmp_path, script, said):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    with pytest.raises(UsageError) as refused:
        install(folder, python=str(python))
    assert str(refused.value).startswith("deepchecks needs Python 3.11 or 3.12: ")
    assert said in str(refused.value)
    assert not folder.exists()


def test_a_folder_of_other_things_is_left_alone(folder):
    folder.mkdir()
    (folder / "mine").write_text("precious")
    with pytest.raises(UsageError, match="is no virtual environment, and is not empty"):
        install(folder)
    assert (folder / "mine").read_text() == "precious"


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] > (3, 12), reason="deepchecks needs Python 3.11 or 3.12")
def test_an_install_that_fails_says_what_pip_said_and_leaves_nothing(folder, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder.parent))
    with pytest.raises(StoreError, match="pip could not install deepchecks") as failed:
        install(folder, python=sys.executable)
    assert "ERROR" in str(failed.value)
    assert [entry.name for entry in folder.parent.iterdir()] == ["env.lock"]
