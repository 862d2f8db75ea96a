"""The gateway as a person asks for it: run it here, start it in the background, look, stop."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raypipe.app.assemble import Workshop
from raypipe.app.gateway import (
    GatewayState,
    claimed,
    find,
    log_file,
    state_file,
    told,
)
from raypipe.app.look import look, workshop_of
from raypipe.app.routes import dashboard_of, served, tell
from raypipe.config.serving import ServingConfig
from raypipe.engine.records import Json
from raypipe.errors import ClusterError, RaypipeError
from raypipe.runtime.on_ray import temporary_folder
from raypipe.stages.serving.declare import Gateway
from raypipe.stages.serving.processes import end_marked, start_time
from raypipe.store.paths import HomePaths

START_TIMEOUT = 180.0
STOP_TIMEOUT = 40.0
LOOK_EVERY = 1.0
"""Seconds between two looks at the gateway, and most seconds between two sealings of its log."""
SAID = 15
"""Last lines of the log that are told where a gateway did not come up."""


@dataclass(frozen=True, kw_only=True)
class ServeRequest:
    """What a person asks of a gateway; what is None is as the settings say."""

    settings: Path | None = None
    host: str | None = None
    port: int | None = None
    replicas: int | None = None
    home: Path | None = None

    def config(self) -> ServingConfig:
        """Read the settings of serving, with what was given over them."""
        config = ServingConfig()
        if self.settings is not None:
            from raypipe.config.load import load

            config = load(self.settings).serving
        given = {"host": self.host, "port": self.port, "replicas": self.replicas}
        return config.model_copy(update={k: v for k, v in given.items() if v is not None})


# --- in the foreground --------------------------------------------------------------------------


def serve_run(request: ServeRequest, say: Callable[[Json], None]) -> None:
    """Have a gateway up until this process is interrupted; `say` is told when it is ready.

    ClusterError if its port is taken, if another is up in this home, or if its Ray is lost.
    """
    config = request.config()
    workshop = workshop_of(request.home, near=request.settings)
    paths = workshop.paths
    with claimed(paths):
        _remove_left_over(paths)
        require_port(config.host, config.port)
        state = _this_process(paths, config)
        state.write(paths)
        try:
            _serve(workshop, state, say)
        except KeyboardInterrupt:  # how it is ended
            pass
        finally:
            with unheard():
                _remove(paths, state)


def _this_process(paths: HomePaths, config: ServingConfig) -> GatewayState:
    return GatewayState(
        pid=os.getpid(),
        started=start_time(os.getpid()) or 0,
        since=time.time(),
        status="starting",
        mark=os.urandom(8).hex(),
        gateway=_gateway(paths, config),
        keep=config.keep,
        folder=str(temporary_folder()),
    )


def _gateway(paths: HomePaths, config: ServingConfig) -> Gateway:
    return Gateway(
        home=str(paths.home),
        host=config.host,
        port=config.port,
        replicas=config.replicas,
        log=config.log,
        seal_after=config.seal_after,
        seal_bytes=config.seal_bytes,
        largest_body=config.largest_body,
    )


def _serve(workshop: Workshop, state: GatewayState, say: Callable[[Json], None]) -> None:
    from raypipe.stages.serving.on_ray import start_ray

    dashboard = start_ray(workshop.paths.home, state.mark, Path(state.folder))
    try:
        state = replace(state, dashboard=dashboard)
        state.write(workshop.paths)
        fault = _told(workshop, state)
        _wait_until_it_answers(state)
        state = replace(state, status="ready")
        state.write(workshop.paths)
        say({**_about(workshop, state), "fault": fault})
        _watch(workshop, state)
    finally:
        with unheard():
            _close(workshop.paths, state)


def _told(workshop: Workshop, state: GatewayState) -> str | None:
    """Tell the gateway what there is; what it cannot load is said, and keeps it from nothing."""
    try:
        tell(workshop, state, START_TIMEOUT)
    except RaypipeError as error:
        if isinstance(error, ClusterError):
            raise
        return str(error)
    return None


def _wait_until_it_answers(state: GatewayState) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _is_live(state):
        if time.monotonic() > deadline:
            raise ClusterError(f"the gateway does not answer at {state.url}")
        time.sleep(0.05)


def _is_live(state: GatewayState) -> bool:
    import http.client

    host, port = state.url.removeprefix("http://").rsplit(":", 1)
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=5)
    try:
        connection.request("GET", "/v2/health/live")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _watch(workshop: Workshop, state: GatewayState) -> None:
    """Seal the request log now and then, until Ray is lost or this process is interrupted."""
    from raypipe.stages.serving.on_ray import is_up
    from raypipe.store.segments import seal

    seal_at = 0.0
    while is_up():
        if time.monotonic() >= seal_at:
            with contextlib.suppress(RaypipeError):  # a full disk: the gateway tells its callers
                seal(workshop.paths.requests)
            seal_at = time.monotonic() + state.gateway.seal_after
        time.sleep(LOOK_EVERY)
    raise ClusterError("the Ray of the gateway ended", hint="start it again: raypipe serve start")


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Hear no Ctrl-C and no SIGTERM in the body: what cleans up is not left half way."""
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, signal.SIG_IGN) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def _close(paths: HomePaths, state: GatewayState) -> None:
    """Let what was asked be answered, then end Ray."""
    from raypipe.stages.serving.on_ray import close_ray

    with contextlib.suppress(RaypipeError):
        dashboard_of(paths, state).delete()
    close_ray()


# --- in the background --------------------------------------------------------------------------


def start(request: ServeRequest) -> Json:
    """Start a gateway that outlives this process, and wait until it answers.

    One that is up already is left as it is. ClusterError says why it did not come up.
    """
    workshop = workshop_of(request.home, near=request.settings)
    paths = workshop.paths
    config = request.config()
    if (state := find(paths)) is None:
        _remove_left_over(paths)
        require_port(config.host, config.port)
        process = _background(workshop, request)
        return {**_wait_until_ready(workshop, process), "already": False}
    if state.status != "ready":
        return {**_wait_until_ready(workshop, None), "already": True}
    return {**_about(workshop, state), "already": True}


def _background(workshop: Workshop, request: ServeRequest) -> "subprocess.Popen[bytes]":
    log = log_file(workshop.paths)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = request.config()
    options = {"--host": config.host, "--port": config.port, "--replicas": config.replicas}
    settings = [] if request.settings is None else [str(request.settings.absolute())]
    with log.open("wb") as file:
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
            return _about(workshop, state)
        ended = process.poll() is not None if process else state is None
        if ended and find(workshop.paths) is None:
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


# --- looking and stopping -----------------------------------------------------------------------


def status(home: Path | None) -> Json:
    """Return whether a gateway is up, and what it holds."""
    workshop = look(home)
    state = find(workshop.paths)
    if state is None:
        left = GatewayState.read(workshop.paths)
        return {"up": False, "crashed": left is not None}
    return {"up": state.status == "ready", "status": state.status, **_about(workshop, state)}


def _about(workshop: Workshop, state: GatewayState) -> dict[str, Any]:
    replicas = told(workshop.paths, _replicas(workshop, state))
    return {
        "url": state.url,
        "pid": state.pid,
        "since": state.since,
        "log": state.gateway.log,
        "replicas": [one["pid"] for one in replicas],
        "faults": [one["fault"]["message"] for one in replicas if one["fault"]],
        "models": {
            name: {
                "champion": model.champion,
                "shares": dict(model.shares),
                "versions": list(model.versions),
            }
            for name, model in served(workshop, state.keep).items()
        },
    }


def _replicas(workshop: Workshop, state: GatewayState) -> list[int]:
    try:
        return dashboard_of(workshop.paths, state).replicas() or []
    except ClusterError:
        return []


def stop(home: Path | None) -> Json:
    """End the gateway and every process of its Ray, also where it was killed half way.

    Only processes that carry the gateway's own mark are ended.
    """
    paths = look(home).paths
    state = GatewayState.read(paths)
    if state is None:
        return {"stopped": False, "processes": 0}
    if state.is_alive:
        os.kill(state.pid, signal.SIGTERM)
        _wait_for_the_end(state)
    ended = _remove_left_over(paths)
    return {"stopped": True, "url": state.url, "pid": state.pid, "processes": ended}


def _wait_for_the_end(state: GatewayState) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT
    while state.is_alive:
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.pid, signal.SIGKILL)
            deadline = time.monotonic() + STOP_TIMEOUT
        time.sleep(0.05)


def _remove_left_over(paths: HomePaths) -> int:
    """End and remove what a gateway that is gone left behind; return how many processes."""
    state = GatewayState.read(paths)
    return 0 if state is None else _remove(paths, state)


def _remove(paths: HomePaths, state: GatewayState) -> int:
    ended = end_marked(state.marked)
    if state.folder:
        shutil.rmtree(state.folder, ignore_errors=True)
    shutil.rmtree(paths.replica(0).parent, ignore_errors=True)
    state_file(paths).unlink(missing_ok=True)
    return ended


def require_port(host: str, port: int) -> None:
    """Raise ClusterError unless a gateway can listen there, before anything is started."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        taken = "port {} of {} is taken by another process".format(port, host)
        said = taken if error.errno == 98 else f"nothing can listen at {host}:{port}: {error.strerror}"
        raise ClusterError(said, hint=f"choose another: --port {_another(port)}") from error


def _another(port: int) -> int:
    return port + 1 if port < 65535 else port - 1

