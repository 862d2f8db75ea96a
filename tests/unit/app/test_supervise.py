"""What is known of a gateway that starts, and what is removed of one that is gone."""

import os
from dataclasses import replace
from pathlib import Path

from raypipe.app import supervise
from raypipe.app.gateway import GatewayState
from raypipe.app.supervise import remove_left_over
from raypipe.stages.serving.declare import Gateway
from raypipe.stages.serving.processes import start_time
from raypipe.store.paths import HomePaths
from tests.conftest import Project

STATE = GatewayState(
    pid=os.getpid(),
    started=start_time(os.getpid()) or 0,
    since=0.0,
    status="starting",
    mark="of-nobody",
    gateway=Gateway(
        home="/nowhere",
        host="127.0.0.1",
        port=8000,
        replicas=1,
        log="process",
        seal_after=60,
        seal_bytes=1 << 26,
        largest_body=1 << 22,
    ),
    keep=3,
)


def test_a_gateway_whose_ray_starts_still_is_starting(project: Project) -> None:
    from raypipe.app.look import workshop_of

    workshop_of(project.folder / ".raypipe")
    STATE.write(HomePaths(project.folder / ".raypipe"))
    said = project.raypipe("serve", "status")
    assert (said.code, said.out) == (8, "The gateway is starting.\n")


def test_what_another_gateway_wrote_meanwhile_stays(tmp_path: Path, monkeypatch) -> None:
    paths = HomePaths(tmp_path)
    STATE.write(paths)
    other = replace(STATE, mark="of-another")
    monkeypatch.setattr(supervise, "end_marked", lambda *_, **__: other.write(paths) or 0)
    remove_left_over(paths)
    assert GatewayState.read(paths) == other

    monkeypatch.setattr(supervise, "end_marked", lambda *_, **__: 0)
    remove_left_over(paths)
    assert GatewayState.read(paths) is None
