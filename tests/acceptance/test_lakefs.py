"""The whole cycle on data in a real lakeFS: the answers of local data, and no credentials kept."""

import json
import os

import pytest

from raypipe.store.versions import open_store
from raypipe.values.uri import parse_uri
from tests.acceptance import tiny
from tests.conftest import Project
from tests.lakefs import LakeFS

SECRETS = ("LAKECTL_CREDENTIALS_ACCESS_KEY_ID", "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY")


@pytest.fixture
def on_lakefs(project: Project, lakefs_server: LakeFS, monkeypatch) -> Project:
    """The tiny project on a repository of its own, which an import with --create made."""
    for name, text in lakefs_server.lakectl.items():
        monkeypatch.setenv(name, text)
    return moved(project, f"lakefs://tiny-{os.urandom(4).hex()}/main")


def moved(project: Project, dataset: str) -> Project:
    project.write("tiny.yaml", tiny.SETTINGS.replace("local://tiny/main", dataset))
    project.write("my_features.py", tiny.FEATURES)
    project.write("my_helpers.py", tiny.HELPERS)
    project.write("my_model.py", tiny.MODEL)
    files = [tiny.write_shard(project, f"part{n}", tiny.rows(n * 20)) for n in range(3)]
    to = ["--to", dataset, "--config", "tiny.yaml", "--create"]
    said = project.raypipe("data", "import", *files, *to)
    assert said.code == 0, said.err
    return project


def cycle(project: Project, *arguments: str) -> list[str]:
    """Run to a version; return all that was printed."""
    waiting = tiny.run(project, *arguments)
    assert waiting.result["status"] == "waiting", waiting.err
    approved = tiny.approve(project)
    done = tiny.run(project, *arguments)
    assert done.result["status"] == "succeeded", done.err
    return [one.out + one.err for one in (waiting, approved, done)]


def metrics(project: Project) -> dict:
    shown = project.raypipe("models", "show", "tiny", "--json")
    assert shown.code == 0, shown.err
    return shown.result["model"]["metrics"]


@pytest.mark.long
def test_a_cycle_on_lakefs_gives_what_one_on_local_data_gives(on_lakefs, tmp_path_factory):
    local = Project(tmp_path_factory.mktemp("local"))
    local.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
    cycle(moved(local, "local://tiny/main"))
    on_local = metrics(local)

    cycle(on_lakefs)

    assert metrics(on_lakefs) == on_local
    again = tiny.run(on_lakefs)
    assert again.executed == []


def test_commits_say_which_runs_wrote_and_validated_them(on_lakefs) -> None:
    dataset = on_lakefs.folder.joinpath("tiny.yaml").read_text().split("dataset: ")[1].split()[0]
    uri = parse_uri(dataset)
    runs = on_lakefs.raypipe("runs", "list", "--json").result["runs"]
    by_pipeline = {one["pipeline"]: one["id"] for one in runs}
    newest = open_store(uri, on_lakefs.folder / ".raypipe").log(uri.ref)
    said = [one.meta for one in newest]
    assert by_pipeline["tiny.import"] in [one.get("raypipe.run") for one in said]
    assert by_pipeline[f"{uri.repo}.import"] in [one.get("raypipe.run") for one in said]
    assert {"raypipe.rows", "raypipe.run", "raypipe.data", "raypipe.evidence"} <= {
        name for one in said for name in one
    }


@pytest.mark.long
def test_no_credentials_are_written_or_printed(on_lakefs, lakefs_server):
    """Not in a ledger, an artifact, a log, an error or on the terminal, whoever is asked."""
    printed = cycle(on_lakefs)
    dataset = on_lakefs.folder.joinpath("tiny.yaml").read_text().split("dataset: ")[1].split()[0]
    for command in (["log"], ["show"], ["profile"], ["diff"]):
        other = ["main"] if command == ["diff"] else []
        said = on_lakefs.raypipe("data", *command, dataset, *other)
        assert said.code == 0, said.err
        printed.append(said.out + said.err)
    wrong = on_lakefs.raypipe("data", "log", dataset, **{SECRETS[1]: "x" * 40})
    gone = on_lakefs.raypipe("plan", "tiny.yaml", LAKECTL_SERVER_ENDPOINT_URL="http://127.0.0.1:9")
    assert (wrong.code, gone.code) == (7, 7)
    assert "does not know the credentials" in wrong.err
    assert "http://127.0.0.1:9" in gone.err
    assert "nothing answers there" in gone.err
    printed += [wrong.out + wrong.err, gone.out + gone.err]

    for secret in (lakefs_server.access_key, lakefs_server.secret_key):
        assert not any(secret in text for text in printed)
        kept = [file for file in on_lakefs.folder.rglob("*") if file.is_file()]
        assert len(kept) > 50
        assert [file for file in kept if secret.encode() in file.read_bytes()] == []


def test_settings_name_server_and_credentials(project, lakefs_server):
    """The home remembers what they said, for commands that have no settings; never the secrets."""
    dataset = f"lakefs://tiny-{os.urandom(4).hex()}/main"
    given = {"MY_KEY": lakefs_server.access_key, "MY_SECRET": lakefs_server.secret_key}
    project.write(
        "tiny.yaml",
        tiny.SETTINGS.replace("local://tiny/main", dataset)
        + f"store:\n  lakefs:\n    endpoint: {lakefs_server.url}\n"
        "    access_key: {env: MY_KEY}\n    secret_key: {env: MY_SECRET}\n",
    )
    file = tiny.write_shard(project, "part0", tiny.rows(0))
    to = ["--to", dataset, "--config", "tiny.yaml", "--create"]
    assert project.raypipe("data", "import", file, *to, **given).code == 0
    project.write("my_features.py", tiny.FEATURES)
    project.write("my_helpers.py", tiny.HELPERS)
    project.write("my_model.py", tiny.MODEL)
    plan = project.raypipe("plan", "tiny.yaml", **given)
    shown = project.raypipe("data", "show", dataset, "--json", **given)
    without = project.raypipe("data", "show", dataset)

    assert plan.code == 0, plan.err
    assert shown.result["dataset"]["rows"] == 400
    assert without.code == 7
    assert "MY_KEY is not set" in without.err


@pytest.mark.long
def test_settings_say_where_data_is_whatever_the_home_was_told_last(project, lakefs_server):
    """Of two settings files each command asks the server of its own."""
    dataset = f"lakefs://tiny-{os.urandom(4).hex()}/main"
    given = {"MY_KEY": lakefs_server.access_key, "MY_SECRET": lakefs_server.secret_key}
    store = "store: {lakefs: {endpoint: '%s', access_key: {env: MY_KEY}, secret_key: {env: %s}}}\n"
    settings = tiny.SETTINGS.replace("local://tiny/main", dataset)
    project.write("tiny.yaml", settings + store % (lakefs_server.url, "MY_SECRET"))
    project.write("my_features.py", tiny.FEATURES)
    project.write("my_helpers.py", tiny.HELPERS)
    project.write("my_model.py", tiny.MODEL)
    file = tiny.write_shard(project, "part0", tiny.rows(0))
    told = project.folder / ".raypipe" / "lakefs.json"
    elsewhere = json.dumps({"endpoint": "http://127.0.0.1:9", "access_key": "A", "secret_key": "B"})

    for command in (
        ("data", "init", dataset),
        ("data", "import", file, "--to", dataset),
        ("data", "branch", dataset, "work"),
        ("data", "diff", dataset, "work"),
        ("data", "profile", dataset),
        ("data", "merge", dataset, "work"),
        ("data", "report", dataset),
    ):
        if command[1] != "branch":  # which takes no settings
            told.parent.mkdir(mode=0o700, exist_ok=True)
            told.write_text(elsewhere)
            command = (*command, "--config", "tiny.yaml")
        said = project.raypipe(*command, **given)
        assert said.code == 0, (command, said.err)
    told.write_text(elsewhere)
    plan = project.raypipe("plan", "tiny.yaml", **given)
    assert plan.code == 0, plan.err


def test_a_repository_on_a_server_is_made_only_when_asked_for(project, lakefs_server, monkeypatch):
    for name, text in lakefs_server.lakectl.items():
        monkeypatch.setenv(name, text)
    file = tiny.write_shard(project, "part0", tiny.rows(0))
    said = project.raypipe("data", "import", file, "--to", "lakefs://nowhere/main")

    assert said.code == 9
    assert "no repository 'nowhere'" in said.err
    assert "--create" in said.err


def test_a_repository_is_made_on_the_server_that_settings_name(
    project: Project, lakefs_server: LakeFS, monkeypatch
) -> None:
    for name, text in lakefs_server.lakectl.items():
        monkeypatch.setenv(name, text)
    dataset = f"lakefs://tiny-{os.urandom(4).hex()}/main"
    missing = project.raypipe("data", "log", dataset)
    assert (missing.code, "has no repository" in missing.err) == (9, True)
    made, again = (project.raypipe("data", "init", dataset, "--json").result for _ in range(2))
    assert made["init"]["commit"] == again["init"]["commit"]
    assert ("note" in made["init"], "note" in again["init"]) == (False, True)
    assert project.raypipe("data", "log", dataset).code == 0
