"""On a home that has validated nothing yet, the schema that goes with the data counts."""

import os
import shutil
from pathlib import Path

import pytest

from raypipe.engine.records import Actor
from raypipe.store.versions import open_store
from raypipe.values.uri import parse_uri
from tests.acceptance import tiny
from tests.acceptance.test_schema import FILE, OBJECT, keep_file, schema
from tests.conftest import Project
from tests.lakefs import LakeFS

WIDER = "[AA, BB, CC, DD]"
"""Categories that a person wrote: no row has the last, so that nobody would infer it."""


def keep_edited(project: Project, dataset: str) -> str:
    """Let a schema that a person edited go with the data; return its text."""
    keep_file(project, dataset)
    project.edit(FILE, "[AA, BB, CC]", WIDER)
    said = project.raypipe("data", "schema", dataset, "--config", "tiny.yaml", "--commit")
    assert said.code == 0, said.err
    return (project.folder / FILE).read_text()


def elsewhere(project: Project, folder: Path) -> Project:
    """Return the project on another machine: the same settings, code and data, no home else."""
    shutil.copytree(project.folder, folder, ignore=shutil.ignore_patterns(".raypipe"))
    kept = project.folder / ".raypipe" / "versions"
    if kept.exists():  # in lakeFS the data is on a server
        shutil.copytree(kept, folder / ".raypipe" / "versions")
    return Project(folder)


def counts_elsewhere(project: Project, dataset: str, folder: Path) -> None:
    """The whole story on one repository, of whatever kind."""
    text = keep_edited(project, dataset)
    other = elsewhere(project, folder / "run")
    plan = other.raypipe("plan", "tiny.yaml", "--json").result
    assert "infer" not in [step["name"] for step in plan["steps"]]
    assert not (other.folder / FILE).exists()  # to plan writes nothing
    ran = other.raypipe("run", "tiny.yaml", "--json")
    assert ran.code == 0, ran.err
    assert (other.folder / FILE).read_text() == text

    third = elsewhere(project, folder / "import")
    part = tiny.write_shard(third, "part3", tiny.rows(60))
    said = third.raypipe("data", "import", part, "--to", dataset, "--config", "tiny.yaml")
    assert said.code == 0, said.err
    assert (third.folder / FILE).read_text() == text
    assert WIDER in schema(third, dataset)["schemas"]["tiny"]
    assert schema(third, dataset, "--config", "tiny.yaml")["accepted"]["differs"] == []


@pytest.mark.long
def test_it_is_taken_and_none_is_inferred(imported: Project, tmp_path: Path) -> None:
    counts_elsewhere(imported, "local://tiny/main", tmp_path)


@pytest.mark.long
def test_in_lakefs_too(
    project: Project, lakefs_server: LakeFS, tmp_path_factory: pytest.TempPathFactory, monkeypatch
) -> None:
    for name, text in lakefs_server.lakectl.items():
        monkeypatch.setenv(name, text)
    dataset = f"lakefs://tiny-{os.urandom(4).hex()}/main"
    for name, text in {
        "tiny.yaml": tiny.SETTINGS.replace("local://tiny/main", dataset),
        "my_features.py": tiny.FEATURES,
        "my_helpers.py": tiny.HELPERS,
        "my_model.py": tiny.MODEL,
    }.items():
        project.write(name, text)
    files = [tiny.write_shard(project, f"part{n}", tiny.rows(n * 20)) for n in range(3)]
    to = ["--to", dataset, "--config", "tiny.yaml", "--create"]
    said = project.raypipe("data", "import", *files, *to)
    assert said.code == 0, said.err
    counts_elsewhere(project, dataset, tmp_path_factory.mktemp("elsewhere"))


def test_a_file_that_a_person_deleted_is_inferred_again(registered: Project) -> None:
    """As the messages about a schema say; what goes with the data would bring the old one back."""
    keep_edited(registered, "local://tiny/main")
    (registered.folder / FILE).unlink()
    assert registered.raypipe("run", "tiny.yaml").code == 0
    assert WIDER not in (registered.folder / FILE).read_text()
    assert "[AA, BB, CC]" in (registered.folder / FILE).read_text()


def test_one_that_is_none_is_told_with_the_way_out(imported: Project, tmp_path: Path) -> None:
    versions = open_store(parse_uri("local://tiny/main"), imported.folder / ".raypipe")
    versions.put("main", OBJECT, imported.write("odd.yaml", "columns: 3\n"))
    versions.commit("main", "another client", Actor(user="ada", host="there"))
    other = elsewhere(imported, tmp_path / "other")
    said = other.raypipe("run", "tiny.yaml")
    assert said.code == 7
    assert OBJECT in said.err
    assert "schemas/tiny.yaml" in said.err
