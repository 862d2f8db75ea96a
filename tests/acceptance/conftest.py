"""Projects that several tests start from: made once, copied for each."""

import shutil
from pathlib import Path

import pytest

from tests.acceptance import tiny
from tests.conftest import Project


def _project(folder: Path) -> Project:
    folder.mkdir(exist_ok=True)
    project = Project(folder)
    project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
    return project


def _copy(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder, symlinks=True, dirs_exist_ok=True)
    return Project(folder)


@pytest.fixture(scope="session")
def _imported(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return tiny.make(_project(tmp_path_factory.mktemp("tiny") / "project"))


@pytest.fixture(scope="session")
def _trained(_imported: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = _copy(_imported, tmp_path_factory.mktemp("trained") / "project")
    said = tiny.run(project)
    assert said.result["status"] == "waiting", said.err
    return project


@pytest.fixture(scope="session")
def _registered(_trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = _copy(_trained, tmp_path_factory.mktemp("registered") / "project")
    tiny.approve(project)
    said = tiny.run(project)
    assert said.result["status"] == "succeeded", said.err
    return project


@pytest.fixture
def imported(_imported: Project, tmp_path: Path) -> Project:
    """The tiny project with its data imported, nothing run yet."""
    return _copy(_imported, tmp_path / "project")


@pytest.fixture
def trained(_trained: Project, tmp_path: Path) -> Project:
    """The tiny project whose first run waits for its review."""
    return _copy(_trained, tmp_path / "project")


@pytest.fixture
def registered(_registered: Project, tmp_path: Path) -> Project:
    """The tiny project with version 1.0.0."""
    return _copy(_registered, tmp_path / "project")
