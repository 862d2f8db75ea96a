"""What every test starts from.

An environment with nothing of the machine's, and the command as a process.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from raypipe.runtime.on_ray import token_file
from tests import browser as browsers
from tests.lakefs import LakeFS, Unavailable, lakefs

if TYPE_CHECKING:
    from tests.postgres import Postgres

# No time limit an example, since other work may slow the machine; the same examples each time, and
# nothing kept between runs, so that a run says the same of the same code.
settings.register_profile("raypipe", deadline=None, derandomize=True, database=None)
settings.load_profile("raypipe")


SERVERS = {"postgres", "lakefs", "lakefs_server", "browser"}
"""Fixtures and kinds of a store with a server, or a browser, of their own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what needs a server out of scripts/check."""
    for item in items:
        kinds = item.name.partition("[")[2].rstrip("]").split("-")
        if SERVERS & {*getattr(item, "fixturenames", ()), *kinds}:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("RAYPIPE_", "RAY_", "LAKECTL_")) and name != "RAYPIPE_VENV":
            monkeypatch.delenv(name)
    # Whether this machine has deepchecks' environment is no matter of most tests.
    monkeypatch.setenv("RAYPIPE_DEEPCHECKS", "/nowhere")


@pytest.fixture(scope="session")
def ray_token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The token of each Ray that a test starts in this process, which shows all of them one."""
    return token_file(tmp_path_factory.mktemp("token"))


@pytest.fixture(scope="session")
def lakefs_server() -> Iterator[LakeFS]:
    """A lakeFS server with a user; tests make repositories of their own in it."""
    try:
        with lakefs() as server:
            yield server
    except Unavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def browser() -> Iterator[browsers.Browser]:
    """A browser without a window; each test opens pages of its own in it."""
    try:
        with browsers.a_browser() as found:
            yield found
    except browsers.Unavailable as missing:
        pytest.skip(str(missing))


@dataclass(frozen=True)
class Said:
    """What a command printed and exited with."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The last JSON line."""
        return json.loads(self.out.strip().splitlines()[-1])

    @property
    def actions(self) -> dict[str, str]:
        """Step to action."""
        return {step["name"]: step["action"] for step in self.result["steps"]}

    @property
    def executed(self) -> list[str]:
        """Steps that were executed, or would be."""
        return [name for name, action in self.actions.items() if action == "execute"]


def _hear_ctrl_c() -> None:
    """A shell's background job, such as these tests may be in, ignores it, and so its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Project:
    """A user's project in a folder of its own, with the command to be run in it."""

    folder: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a file; what is replaced must be there."""
        path = self.folder / name
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start the command in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "raypipe", *arguments],
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_hear_ctrl_c,
        )

    def raypipe(self, *arguments: str, timeout: float = 120, **environment: str) -> Said:
        """Run the command to its end."""
        process = self.start(*arguments, **environment)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
        return Said(process.returncode, out, err)

    def run(self, *arguments: str, **environment: str) -> Said:
        """Run `raypipe run … --json`, which must succeed."""
        said = self.raypipe("run", *arguments, "--json", **environment)
        assert said.code == 0, said.err + said.out
        return said


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project with a home of its own."""
    project = Project(tmp_path)
    project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
    return project


@pytest.fixture
def wait_until() -> Any:
    """Wait for something to become true."""

    def wait(condition: Any, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def postgres() -> Iterator["Postgres"]:
    """A Postgres server for the tests of one process; each takes a schema of its own."""
    from tests.postgres import OLDEST, a_postgres, binaries

    if binaries() is None:
        pytest.skip(f"no Postgres {OLDEST} or later on this machine (Debian: postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is missing: pip install 'raypipe[postgres]'")
    with a_postgres() as server:
        yield server


def kill_group(process: "subprocess.Popen[str]") -> None:
    """kill -9 of a whole process group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def counts(log: Path, names: Sequence[str]) -> dict[str, int]:
    """How often each step wrote its name in a log."""
    written = log.read_text().split() if log.exists() else []
    return {name: written.count(name) for name in names}
