"""A full disk, lost permission, a ledger that others hold: told in words, and nothing is lost."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from raypipe.app.doctor import verify
from tests.conftest import Project, Said, counts

STEPS = ("small", "large", "worked", "total")

FLOW = """
from pathlib import Path

from raypipe import pipeline, step
from raypipe.engine.context import current

HERE = Path(__file__).parent


def ran(name):
    with (HERE / "log.txt").open("a") as file:
        file.write(name + "\\n")


@step
def small() -> int:
    ran("small")
    return 1


@step
def large(value: int) -> bytes:
    ran("large")
    return bytes(700_000)


@step
def worked(data: bytes) -> Path:
    ran("worked")
    file = current().scratch / "file.bin"
    file.write_bytes(b"x" * 700_000)
    return file


@step
def total(file: Path, data: bytes) -> int:
    ran("total")
    return file.stat().st_size + len(data)


@pipeline
def flow():
    data = large(small())
    return total(worked(data), data)
"""


@pytest.fixture
def flow(project: Project) -> Project:
    project.write("flow.py", FLOW)
    return project


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
    project.write("flow.py", FLOW)
    return digests(project.run("flow.py"))


def digests(said: Said) -> dict[str, str]:
    assert said.result["outputs"] == {"result": 1_400_000}
    return {step["name"]: step["digest"] for step in said.result["steps"]}


def mount(*arguments: str | Path) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine lets nobody mount here: {done.stderr.strip()}")


@pytest.fixture
def disk(flow: Project) -> Iterator[Path]:
    """A disk of a few megabytes that the home lies on."""
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a small disk")
    home = flow.folder / ".raypipe"
    home.mkdir()
    mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", home)
    try:
        yield home
    finally:
        subprocess.run(["umount", "-l", home], check=True)


def fill(disk: Path, free: int) -> Path:
    """Leave so many bytes free."""
    file = disk / "filler"
    with file.open("wb") as filler:
        size = max(0, shutil.disk_usage(disk).free - free)
        filler.write(bytes(size))
    return file


@pytest.mark.parametrize("free", [0, 4096, 20_000, 60_000, 150_000, 800_000, 1_600_000, 2_300_000])
def test_wherever_the_disk_becomes_full_it_is_told_and_the_next_run_goes_on(
    flow: Project, disk: Path, undisturbed: dict[str, str], free: int
) -> None:
    assert flow.raypipe("run", "flow.py", "--force", "none").code == 9  # makes an empty ledger
    filler = fill(disk, free)

    said = flow.raypipe("run", "flow.py", "--json")

    assert said.code == 7, said.out + said.err
    assert "free some space, then run again" in said.out + said.err
    assert "Traceback" not in said.err
    kept = counts(flow.folder / "log.txt", STEPS)
    filler.unlink()
    assert all(check.ok for check in verify(disk)), "something is torn"
    again = flow.run("flow.py")
    assert digests(again) == undisturbed
    after = counts(flow.folder / "log.txt", STEPS)
    assert all(after[name] - kept[name] == (name in again.executed) for name in STEPS)
    assert flow.run("flow.py").executed == []
    assert {run["status"] for run in runs_of(flow)} <= {"succeeded", "failed"}


def runs_of(flow: Project) -> list[dict]:
    return flow.raypipe("runs", "list", "--json").result["runs"]


def test_a_disk_that_may_only_be_read_is_told_and_what_is_there_can_be_seen(
    flow: Project, disk: Path
) -> None:
    flow.run("flow.py")
    mount("-o", "remount,ro", disk)
    try:
        said = flow.raypipe("run", "flow.py", "--json")
        assert said.code == 7
        assert "--home" in said.err
        assert "Traceback" not in said.err
        assert [run["status"] for run in runs_of(flow)] == ["succeeded"]
        plan = flow.raypipe("plan", "flow.py", "--json")
        assert {step["action"] for step in plan.result["steps"]} == {"hit"}
    finally:
        mount("-o", "remount,rw", disk)
    assert flow.run("flow.py").executed == []


NOBODY = 65534


def as_nobody(project: Project, *arguments: str) -> Said:
    """Run the command as a user who has no right that he was not given."""
    process = subprocess.run(
        [
            *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
            *(sys.executable, "-m", "raypipe", *arguments),
        ],
        cwd=project.folder,
        env={**os.environ, "HOME": str(project.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return Said(process.returncode, process.stdout, process.stderr)


@pytest.fixture
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The flow in a folder of a user who is not root, which root's permissions do not bind."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root may become a user whom permissions bind")
    folder = Path("/tmp") / f"rp-nobody-{os.urandom(4).hex()}"
    folder.mkdir(mode=0o755)
    try:
        project = Project(folder)
        project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
        project.write("flow.py", FLOW)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        if as_nobody(project, "--version").code:
            pytest.skip("another user cannot read this installation of raypipe")
        yield project
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("part", ["artifacts", "claims", "work", "."])
def test_a_folder_of_the_home_that_may_not_be_written_to_any_more_is_told_by_name(
    theirs: Project, part: str
) -> None:
    assert as_nobody(theirs, "run", "flow.py").code == 0
    theirs.edit("flow.py", "return 1", "return 2")
    home = theirs.folder / ".raypipe"
    (home / part).mkdir(exist_ok=True)
    os.chown(home / part, NOBODY, NOBODY)
    (home / part).chmod(0o500)

    said = as_nobody(theirs, "run", "flow.py")

    assert said.code == 7, said.err
    assert "permission" in said.err
    assert ".raypipe" in said.err
    assert "Traceback" not in said.err
    (home / part).chmod(0o700)
    assert as_nobody(theirs, "run", "flow.py").code == 0
    assert as_nobody(theirs, "run", "flow.py", "--json").executed == []


# --- a ledger that another holds ----------------------------------------------------------------


def test_a_ledger_that_is_held_for_a_while_is_waited_for_unnoticed(
    flow: Project, wait_until
) -> None:
    flow.run("flow.py")
    flow.edit("flow.py", "return 1", "return 2")
    with closing(sqlite3.connect(flow.folder / ".raypipe" / "ledger.db")) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        process = flow.start("run", "flow.py", "--json")
        try:
            wait_until(lambda: has_open(process.pid, "ledger.db"))
            assert process.poll() is None
            holder.rollback()
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert "locked" not in err


def has_open(pid: int, name: str) -> bool:
    """Whether a process has a file open."""
    with suppress(OSError):
        return any(fd.readlink().name == name for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_a_ledger_that_is_held_for_too_long_is_told_and_nothing_is_lost(
    flow: Project,
) -> None:
    flow.run("flow.py")
    flow.edit("flow.py", "return 1", "return 2")
    hasty = (
        "import sys\n"
        "from raypipe.cli.main import execute\n"
        "from raypipe.store.ledger import SqlLedger\n"
        "SqlLedger.open.__func__.__kwdefaults__['busy'] = 0.3\n"
        "sys.exit(execute(sys.argv[1:]))\n"
    )
    with closing(sqlite3.connect(flow.folder / ".raypipe" / "ledger.db")) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        done = subprocess.run(
            [sys.executable, "-c", hasty, "run", "flow.py"],
            cwd=flow.folder,
            env={**os.environ, "HOME": str(flow.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        holder.rollback()
    assert done.returncode == 7, done.stderr
    assert "another process holds it; look which, then run again" in done.stderr
    assert flow.run("flow.py").executed == ["small", "large"]
