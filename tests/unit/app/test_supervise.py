"""What a gateway left behind is removed, and never what another holds that is up."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from raypipe.app.gateway import CLAIM, GatewayState
from raypipe.app.serving import stop
from raypipe.app.supervise import remove, remove_left_over
from raypipe.stages.serving.declare import MARK, Gateway
from raypipe.stages.serving.processes import marked, start_time
from raypipe.store.claims import FileClaims
from raypipe.store.paths import HomePaths
from tests.conftest import Project

GONE = 2**22 + 1
"""No process has this number."""


@pytest.fixture
def paths(tmp_path: Path) -> HomePaths:
    return HomePaths(tmp_path / "home")


def written(paths: HomePaths, pid: int) -> GatewayState:
    gateway = Gateway(
        home=str(paths.home),
        host="127.0.0.1",
        port=8000,
        replicas=1,
        log="process",
        seal_after=60,
        seal_bytes=1 << 26,
        largest_body=1 << 22,
    )
    folder = paths.home.parent / f"ray-{os.urandom(4).hex()}"
    folder.mkdir()
    state = GatewayState(
        pid=pid,
        started=start_time(pid) or 0,
        since=0.0,
        status="ready",
        mark=os.urandom(8).hex(),
        gateway=gateway,
        keep=3,
        folder=str(folder),
    )
    state.write(paths)
    return state


def test_what_a_gateway_that_is_gone_left_behind_is_removed(paths: HomePaths) -> None:
    state = written(paths, GONE)
    env = {**os.environ, MARK: state.mark}
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=env)
    try:
        remove_left_over(paths)
        left.wait(timeout=30)
    finally:
        left.kill()
    assert marked(state.marked) == []
    assert GatewayState.read(paths) is None
    assert not Path(state.folder).exists()


def test_who_clears_away_leaves_a_gateway_alone_that_came_up_meanwhile(paths: HomePaths) -> None:
    """Two are started, or one is stopped and started, at the same moment."""
    before = written(paths, GONE)
    now = written(paths, os.getpid())
    remove_left_over(paths)
    remove(paths, before)
    assert GatewayState.read(paths) == now
    assert Path(now.folder).exists()
    assert not Path(before.folder).exists()


def test_a_gateway_that_has_not_told_of_itself_yet_is_waited_for_and_stopped(
    paths: HomePaths,
) -> None:
    starts = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from raypipe.store.claims import FileClaims\n"
        "from raypipe.store.paths import HomePaths\n"
        "from tests.unit.app.test_supervise import written\n"
        "import os\n"
        "paths = HomePaths(Path(sys.argv[1]))\n"
        f"claim = FileClaims(paths.claims).claim({CLAIM!r})\n"
        "print('claimed', flush=True)\n"
        "time.sleep(0.5)\n"
        "written(paths, os.getpid())\n"
        "time.sleep(60)\n"
    )
    paths.home.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", starts, str(paths.home)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        assert FileClaims(paths.claims).is_held(CLAIM)
        said = stop(paths.home)
    finally:
        process.kill()
        process.communicate()
    assert (said["stopped"], said["pid"]) == (True, process.pid)
    assert GatewayState.read(paths) is None


def test_a_gateway_whose_ray_starts_still_is_starting(project: Project) -> None:
    from raypipe.app.look import workshop_of

    home = project.folder / ".raypipe"
    workshop_of(home)
    replace(written(HomePaths(home), os.getpid()), status="starting").write(HomePaths(home))
    said = project.raypipe("serve", "status")
    assert (said.code, said.out) == (8, "The gateway is starting.\n")
