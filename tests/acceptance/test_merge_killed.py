"""A merge of data that dies anywhere leaves the branch as it was or as it should be."""

import signal
from itertools import count

import pytest

from raypipe.app.doctor import verify
from raypipe.engine.records import Actor
from raypipe.fault_points import VARIABLE
from raypipe.store.versions import VersionStore, open_store
from raypipe.values.uri import parse_uri
from tests.acceptance import tiny
from tests.conftest import Project

DATASET = "local://tiny/main"
OURS, THEIRS = "part-ours.parquet", "part-theirs.parquet"
ANN = Actor(user="ann", host="desk")
PLAIN = ("data", "merge", DATASET, "work")
VALIDATED = (*PLAIN, "--config", "tiny.yaml")
POINTS = (
    "import.noted",
    "import.branched",
    "commit.recorded",
    "branch.moved",
    "claim.taken",
    "result.recorded",
    "run.ended",
    "import.merged",
)
"""Points that a merge that validates comes to: of its branch, of its commits, of its run."""


@pytest.fixture
def two_branches(imported: Project) -> Project:
    """The tiny dataset with rows on main and on another branch that the other does not have."""
    versions = store(imported)
    versions.create_branch("work")
    for branch, path, first_day in (("main", OURS, 60), ("work", THEIRS, 80)):
        file = tiny.write_shard(imported, path.split(".")[0], tiny.rows(first_day))
        versions.put(branch, path, imported.folder / file)
        versions.commit(branch, "Mine", ANN)
    return imported


def store(project: Project) -> VersionStore:
    return open_store(parse_uri(DATASET), project.folder / ".raypipe")


def is_killed(project: Project, point: str, *command: str) -> bool:
    """Run a command that dies at a point, if it comes to it."""
    process = project.start(*command, **{VARIABLE: point})
    out, err = process.communicate(timeout=240)
    assert process.returncode in (0, -signal.SIGKILL), err + out
    return process.returncode == -signal.SIGKILL


def paths(project: Project) -> set[str]:
    return {stored.path for stored in store(project).list("main") if "part-" in stored.path}


def require_merged(project: Project, before: set[str], *command: str) -> None:
    """Merge again: all rows are there, by one merge, and nothing is left of the one that died."""
    said = project.raypipe(*command, "--json")
    assert said.code == 0, said.err
    versions = store(project)
    assert paths(project) == {*before, THEIRS}
    assert set(versions.branches()) == {"main", "work"}
    merges = [one for one in versions.log("main") if one.message == "Merge work into main"]
    assert merges
    notes = project.folder / ".raypipe" / "imports"
    assert not notes.exists() or not list(notes.iterdir())
    assert all(check.ok for check in verify(project.folder / ".raypipe"))


@pytest.mark.long
@pytest.mark.parametrize("point", ["commit.recorded", "branch.moved"])
def test_a_merge_that_dies_changed_nothing_and_is_made_by_the_next(two_branches, point):
    before, branches = paths(two_branches), store(two_branches).branches()
    assert is_killed(two_branches, point, *PLAIN)
    assert store(two_branches).branches() == branches
    require_merged(two_branches, before, *PLAIN)


@pytest.mark.long
@pytest.mark.parametrize("protected", [True, False])
@pytest.mark.parametrize("point", POINTS)
def test_a_merge_that_validates_and_dies_there_is_made_by_the_next(two_branches, point, protected):
    """Whenever it comes to the point: it dies at the first time, then at the second, …"""
    if protected:
        accepted = ("data", "accept", DATASET, "--reason", "mine")
        assert two_branches.raypipe(*accepted).code == 0
        assert two_branches.raypipe("data", "protect", DATASET).code == 0
    before = paths(two_branches)
    for time in count(1):
        if not is_killed(two_branches, f"{point}:{time}", *VALIDATED):
            break
        assert paths(two_branches) in (before, {*before, THEIRS})
    assert time > 1
    require_merged(two_branches, before, *VALIDATED)
