"""The gateway in the background: started, looked at, stopped."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from raypipe.app.assemble import Workshop
from raypipe.app.gateway import GatewayState, find, is_claimed, log_file
from raypipe.app.look import look, workshop_of
from raypipe.app.supervise import (
    START_TIMEOUT,
    ServeRequest,
    about,
    is_live,
    remove,
    remove_left_over,
    require_port,
)
from raypipe.engine.records import Json
from raypipe.errors import ClusterError
from raypipe.store.paths import HomePaths

STOP_TIMEOUT = 40.0
SAID = 15
"""Last lines of the log that are told where a gateway did not come up."""


def start(request: ServeRequest) -> Json:
    """Start a gateway that outlives this process, and wait until it answers.

    One that is up already is left as it is. ClusterError says why it did not come up.
    """
    workshop = workshop_of(request.home, near=request.settings)
    paths = workshop.paths
    config = request.config()
    if (state := find(paths)) is None:
        remove_left_over(paths)
        require_port(config.host, config.port)
        process = _background(workshop, request)
        return {**_wait_until_ready(workshop, process), "already": False}
    if state.status != "ready":
        return {**_wait_until_ready(workshop, None), "already": True}
    return {**about(workshop, state), "already": True}


def _background(workshop: Workshop, request: ServeRequest) -> "subprocess.Popen[bytes]":
    log = log_file(workshop.paths)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = request.config()
    options = {"--host": config.host, "--port": config.port, "--replicas": config.replicas}
    settings = [] if request.settings is None else [str(request.settings.absolute())]
    log.unlink(missing_ok=True)
    with log.open("ab") as file:  # so that it can be cut short while it is written
        return subprocess.Popen(
            [
                sys.executable,
                *("-m", "raypipe", "serve", "run", *settings),
                *(str(word) for pair in options.items() for word in pair),
                *("--home", str(workshop.paths.home)),
            ],
            cwd=workshop.root,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, "PYTHONPATH": _python_path()},
            start_new_session=True,
        )


def _python_path() -> str:
    """Return what lets another Python find this raypipe, whatever its working folder."""
    import raypipe

    before = os.environ.get("PYTHONPATH")
    folder = str(Path(raypipe.__file__).parent.parent)
    if folder in sys.path[1:] and not before:
        return ""
    return folder + (os.pathsep + before if before else "")


def _wait_until_ready(workshop: Workshop, process: "subprocess.Popen[bytes] | None") -> Json:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        state = find(workshop.paths)
        if state is not None and state.status == "ready":
            return about(workshop, state)
        ended = process.poll() is not None if process else state is None
        if ended and not is_claimed(workshop.paths) and find(workshop.paths) is None:
            raise ClusterError(f"the gateway did not come up:\n{_last_words(workshop.paths)}")
        time.sleep(0.05)
    raise ClusterError(
        f"the gateway did not come up in {START_TIMEOUT:.0f} s:\n{_last_words(workshop.paths)}",
        hint="`raypipe serve stop` ends it",
    )


def _last_words(paths: HomePaths) -> str:
    log = log_file(paths)
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  {line}" for line in lines[-SAID:]) or "  it said nothing"


def status(home: Path | None) -> Json:
    """Return whether a gateway is up, and what it holds."""
    workshop = look(home)
    state = find(workshop.paths)
    if state is None:
        left = GatewayState.read(workshop.paths)
        return {"up": False, "crashed": left is not None}
    answers = state.status == "ready" and is_live(state)
    return {"up": answers, "status": state.status, **about(workshop, state)}


def stop(home: Path | None) -> Json:
    """End the gateway and every process of its Ray, also where it was killed half way.

    Only processes that carry the gateway's own mark are ended.
    """
    paths = look(home).paths
    state = _who_is_to_end(paths)
    if state is None:
        return {"stopped": False, "processes": 0}
    if state.is_alive:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(state.pid, signal.SIGTERM)
        _wait_for_the_end(state)
    ended = remove(paths, state)
    return {"stopped": True, "url": state.url, "pid": state.pid, "processes": ended}


def _who_is_to_end(paths: HomePaths) -> GatewayState | None:
    """Return what the gateway wrote of itself; one that starts just now does so in a moment."""
    deadline = time.monotonic() + STOP_TIMEOUT
    while (state := GatewayState.read(paths)) is None and is_claimed(paths):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return state


def _wait_for_the_end(state: GatewayState) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT
    while state.is_alive:
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.pid, signal.SIGKILL)
            deadline = time.monotonic() + STOP_TIMEOUT
        time.sleep(0.05)
