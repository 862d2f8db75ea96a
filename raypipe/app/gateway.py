"""The gateway of a home, as it is known by what it wrote: which one is up, and what it holds."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from raypipe.errors import ClusterError
from raypipe.stages.serving.declare import MARK, Gateway
from raypipe.stages.serving.processes import start_time
from raypipe.store.claims import FileClaims
from raypipe.store.faults import disk_faults
from raypipe.store.paths import HomePaths

CLAIM = "gateway"
"""Held by the process that a gateway lives and dies with."""
LARGEST_LOG = 16 << 20
"""Bytes of what a gateway in the background prints, after which the file begins anew."""


@dataclass(frozen=True, kw_only=True)
class GatewayState:
    """What a gateway wrote of itself when it started."""

    pid: int
    """Of the process that it lives and dies with."""
    started: int
    """When that began, in the system's ticks; with `pid` it is known by that."""
    since: float
    status: Literal["starting", "ready"]
    mark: str
    """What all of its processes carry in their environment."""
    gateway: Gateway
    keep: int
    """Newest versions of a model that are loaded beside those that are named."""
    dashboard: str = ""
    folder: str = ""
    """Ray's own, which goes with it."""

    @property
    def url(self) -> str:
        """Where it is asked from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.gateway.host, self.gateway.host)
        return f"http://{host}:{self.gateway.port}"

    @property
    def marked(self) -> str:
        """The mark as it stands in an environment."""
        return f"{MARK}={self.mark}"

    @property
    def is_alive(self) -> bool:
        """Whether the process that wrote this is there still."""
        return start_time(self.pid) == self.started

    @classmethod
    def read(cls, paths: HomePaths) -> Self | None:
        """Return what the last gateway wrote, whether it is up or not; None if it is gone."""
        try:
            data = json.loads(state_file(paths).read_text())
            return cls(**{**data, "gateway": Gateway(**data["gateway"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ClusterError(
                f"{str(state_file(paths))!r} cannot be read: {error}",
                hint="it says which gateway is up; remove it if there is none",
            ) from error

    def write(self, paths: HomePaths) -> None:
        """Tell others of this gateway."""
        path = state_file(paths)
        with disk_faults(f"{str(path)!r} cannot be written"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            aside = path.with_suffix(".new")
            aside.write_text(json.dumps(asdict(self)))
            aside.replace(path)


def state_file(paths: HomePaths) -> Path:
    """Return the file that says which gateway is up."""
    return paths.serve / "gateway.json"


def log_file(paths: HomePaths) -> Path:
    """Return the file that a gateway in the background prints to."""
    return paths.serve / "gateway.log"


def cut_log(paths: HomePaths) -> None:
    """Begin that file anew once it is large; what it held is kept beside it until the next time.

    A line that is printed just then may be lost.
    """
    log = log_file(paths)
    with suppress(OSError):  # a full disk: the gateway answers on
        if log.stat().st_size > LARGEST_LOG:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)


@contextmanager
def claimed(paths: HomePaths) -> Iterator[None]:
    """Be the one gateway of a home in the body; ClusterError while there is another."""
    claim = FileClaims(paths.claims).claim(CLAIM, firm=True)
    if claim is None:
        state = GatewayState.read(paths)
        raise ClusterError(
            f"a gateway of this home is up already{f' at {state.url}' if state else ''}",
            hint="`raypipe serve status` shows it, `raypipe serve stop` ends it",
        )
    try:
        yield
    finally:
        claim.release()


def is_claimed(paths: HomePaths) -> bool:
    """Say whether a process is the gateway of a home, though it may not have told so yet."""
    return FileClaims(paths.claims).is_held(CLAIM)


def find(paths: HomePaths) -> GatewayState | None:
    """Return the gateway that is up, whether it is ready or still starts; None if none is."""
    state = GatewayState.read(paths)
    return state if state is not None and state.is_alive else None


def find_ready(paths: HomePaths) -> GatewayState:
    """Return the gateway that answers; ClusterError if none does."""
    state = find(paths)
    if state is None or state.status != "ready":
        crashed = GatewayState.read(paths) is not None and state is None
        what = (
            "is starting" if state else "is not up: its process ended" if crashed else "is not up"
        )
        raise ClusterError(
            f"the gateway of {str(paths.home)!r} {what}",
            hint="wait for `raypipe serve status`" if state else "start it: raypipe serve start",
        )
    return state


def told(paths: HomePaths, pids: list[int]) -> list[dict[str, Any]]:
    """Return what these processes of the gateway say that they hold; new ones say nothing yet."""
    found = []
    for pid in pids:
        try:
            said = json.loads(paths.replica(pid).read_text())
        except (FileNotFoundError, ValueError):
            continue
        if said["started"] == start_time(pid):
            found.append(said)
    return found
