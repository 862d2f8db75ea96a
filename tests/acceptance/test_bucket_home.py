"""A home whose artifacts are in a bucket: the same promises, and no credentials anywhere."""

from pathlib import Path

import pytest

from raypipe.app.look import look
from tests.conftest import Project
from tests.lakefs import LakeFS

FLOW = """\
from pathlib import Path

from raypipe import pipeline, step
from raypipe.engine.context import current


@step
def write(text: str) -> Path:
    folder = current().scratch / "made"
    folder.mkdir(exist_ok=True)
    (folder / "text.txt").write_text(text)
    return folder


@step
def read(folder: Path) -> str:
    return (folder / "text.txt").read_text().upper()


@step
def spoil(folder: Path) -> int:
    file = folder / "text.txt"
    file.chmod(0o644)
    file.write_text("spoiled")
    return 0


@pipeline
def flow(text: str = "a"):
    return {"read": read(write(text))}


@pipeline
def spoiling(text: str = "a"):
    return {"spoilt": spoil(write(text))}
"""


@pytest.fixture
def flow(project: Project, lakefs_server: LakeFS, monkeypatch) -> Project:
    place = f"s3://{lakefs_server.create()}/main/home"
    given = {"RAYPIPE_ARTIFACTS": place, "AWS_ENDPOINT_URL": lakefs_server.url}
    for name, value in (given | lakefs_server.environment).items():
        monkeypatch.setenv(name, value)
    project.write("flow.py", FLOW)
    return project


def home_of(project: Project) -> Path:
    return project.folder / ".raypipe"


def test_what_is_kept_in_a_bucket_is_found_again_and_mended_when_it_is_lost(flow: Project) -> None:
    first = flow.run("flow.py:flow")
    assert first.result["outputs"] == {"read": "A"}
    assert flow.run("flow.py:flow").executed == []
    assert not (home_of(flow) / "artifacts").exists()

    workshop = look(home_of(flow))
    written = {step["name"]: step["digest"] for step in first.result["steps"]}["write"]
    (folder,) = workshop.codec.blobs(workshop.artifacts.read(written))
    workshop.artifacts.remove(folder)

    assert flow.raypipe("plan", "flow.py:flow", "--json").executed == ["write"]
    said = flow.raypipe("doctor", "--verify", "--json")
    assert said.code == 7
    assert {"gone: the next run makes it anew"} == {
        one["detail"] for one in said.result["checks"] if one["name"].startswith("artifact ")
    }
    assert flow.run("flow.py:flow").executed == ["write"]
    assert workshop.artifacts.verify(folder)


def test_a_step_that_changes_what_it_is_given_spoils_its_copy_alone(flow: Project) -> None:
    said = flow.raypipe("run", "flow.py:spoiling", "--json")
    assert said.code == 6
    assert "changed 'made', which it was given" in said.result["error"]["message"]
    again = flow.run("flow.py:flow")
    assert again.result["outputs"] == {"read": "A"}
    assert again.executed == ["read"]


def test_credentials_are_written_nowhere(flow: Project, lakefs_server: LakeFS) -> None:
    flow.run("flow.py:flow")
    wrong = flow.raypipe(
        "run", "flow.py:flow", "--set", "text=b", "--json", AWS_SECRET_ACCESS_KEY="wrong-secret"
    )
    assert wrong.code == 7
    assert "ACCESS_DENIED" in wrong.result["error"]["message"]
    assert "main/home/artifacts/" in wrong.result["error"]["message"]
    secrets = (lakefs_server.secret_key, lakefs_server.access_key, "wrong-secret")
    texts = [file.read_bytes() for file in home_of(flow).rglob("*") if file.is_file()]
    for secret in secrets:
        assert not any(secret.encode() in text for text in texts)
        assert secret not in wrong.err + wrong.out


def test_a_home_keeps_its_place_and_a_place_its_home(flow: Project, tmp_path) -> None:
    flow.run("flow.py:flow")
    other = flow.raypipe("run", "flow.py:flow", "--home", str(tmp_path / "other"))
    assert other.code == 7
    assert "belongs to another home" in other.err
