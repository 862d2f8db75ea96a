"""The process that a gateway lives and dies with: its Ray, what it holds, its log, its end."""

import contextlib
import errno
import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raypipe.app.assemble import Workshop
from raypipe.app.gateway import GatewayState, claimed, cut_log, state_file, told
from raypipe.app.look import workshop_of
from raypipe.app.routes import dashboard_of, served, tell
from raypipe.config.serving import ServingConfig
from raypipe.engine.records import Json
from raypipe.errors import ClusterError, RaypipeError, StoreError
from raypipe.fault_points import fault_point
from raypipe.runtime.on_ray import temporary_folder
from raypipe.stages.serving.declare import Gateway
from raypipe.stages.serving.processes import end_marked, start_time
from raypipe.store.paths import HomePaths

START_TIMEOUT = 180.0
GRACE = 2.0
"""Seconds that processes have to end by themselves whose gateway is gone."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the gateway, and fewest between two sealings of its log."""


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


def serve_run(request: ServeRequest, say: Callable[[Json], None]) -> None:
    """Have a gateway up until this process is interrupted; `say` is told when it is ready.

    ClusterError if its port is taken, if another is up in this home, or if its Ray is lost.
    """
    config = request.config()
    workshop = workshop_of(request.home, near=request.settings)
    paths = workshop.paths
    with claimed(paths):
        remove_left_over(paths)
        require_port(config.host, config.port)
        state = _this_process(paths, config)
        state.write(paths)
        fault_point("gateway.entered")
        try:
            _serve(workshop, state, say)
        except KeyboardInterrupt:  # how it is ended
            pass
        finally:
            with unheard():
                remove(paths, state)
                _seal(paths)


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
        _tell(workshop, state)
        _wait_until_it_answers(state)
        state = replace(state, status="ready")
        state.write(workshop.paths)
        _tell(workshop, state)  # what was recorded meanwhile was told to nobody
        say(about(workshop, state))
        _watch(workshop, state)
    finally:
        with unheard():
            _close(workshop.paths, state)


def _tell(workshop: Workshop, state: GatewayState) -> None:
    """Tell the gateway what there is; what it cannot load is shown, and keeps it from nothing."""
    with contextlib.suppress(StoreError):
        tell(workshop, state, START_TIMEOUT)


def _wait_until_it_answers(state: GatewayState) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not is_live(state):
        if time.monotonic() > deadline:
            raise ClusterError(f"the gateway does not answer at {state.url}")
        time.sleep(0.05)


def is_live(state: GatewayState) -> bool:
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
    """Seal the request log now and then, until Ray is lost or this process is interrupted.

    And cut short what this process prints.
    """
    from raypipe.stages.serving.on_ray import is_up

    seal_at = 0.0
    while is_up():
        if time.monotonic() >= seal_at:
            _seal(workshop.paths)
            cut_log(workshop.paths)
            seal_at = time.monotonic() + state.gateway.seal_after
        time.sleep(LOOK_EVERY)
    raise ClusterError("the Ray of the gateway ended", hint="start it again: raypipe serve start")


def _seal(paths: HomePaths) -> None:
    """Seal what can be; whatever is wrong with the log, the gateway answers on."""
    from raypipe.store.segments import seal

    try:
        seal(paths.requests)
    except RaypipeError:  # of a full disk the gateway tells those who ask it
        pass
    except Exception:
        logging.getLogger("raypipe.serving").exception("the request log cannot be sealed")


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


def remove_left_over(paths: HomePaths) -> None:
    """End and remove what a gateway that is gone left behind; one that is up is left alone."""
    state = GatewayState.read(paths)
    if state is not None and not state.is_alive:
        remove(paths, state)


def remove(paths: HomePaths, state: GatewayState) -> int:
    """End and remove what is left of one gateway; return how many processes.

    Another that was started meanwhile keeps its own.
    """
    ended = end_marked(state.marked, patience=GRACE)
    if state.folder:
        shutil.rmtree(state.folder, ignore_errors=True)
    now = GatewayState.read(paths)
    if now is not None and now.mark == state.mark:  # else another began meanwhile
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
        said = f"nothing can listen at {host}, port {port}: {error.strerror}"
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            here = "give an address of this machine: --host 127.0.0.1, or 0.0.0.0 for all of them"
            raise ClusterError(said, hint=here) from error
        if error.errno == errno.EADDRINUSE:
            said = f"port {port} of {host} is taken by another process"
        another = max(1024, port + 1) if port < 65535 else port - 1
        raise ClusterError(said, hint=f"choose another: --port {another}") from error


def about(workshop: Workshop, state: GatewayState) -> dict[str, Any]:
    """Return what is known of a gateway that is up."""
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
    if not state.dashboard:  # its Ray starts still
        return []
    try:
        return dashboard_of(workshop.paths, state).replicas() or []
    except ClusterError:
        return []
