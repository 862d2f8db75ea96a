"""Steps as Ray tasks: in parallel, each with its resources, on this machine or on a cluster."""

import contextlib
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raypipe.engine.ports import CallOutcome, Runtime, StepCall
from raypipe.errors import ClusterError, StepFailed

QUIET = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
"""Variables that keep Ray from printing, from calling home, and from waiting."""
CONNECT_TIMEOUT = 5.0
"""Seconds that a cluster's head has to answer."""


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Which Ray, and what its workers are given."""

    home: Path
    """Keeps the token that Ray's processes trust one another by."""
    address: str | None = None
    """A running cluster (host:port or "auto"); None: a Ray of our own on this machine."""
    cpus: int | None = None
    """CPUs of a Ray of our own; None: the machine's."""
    shared: bool = False
    """Each node of the cluster sees the home."""
    snapshot: Callable[[], Path] | None = None
    """Makes a folder with the project's code, which workers of a cluster are given."""
    root: Path | None = None
    """Where workers find the project's root from the folder that they start in; None: as here."""


class RayRuntime:
    """Runs calls as Ray tasks; Ray starts with the first one."""

    room = 500
    """Each holds a claim, which is an open file, and a place in what Ray is asked about."""

    def __init__(self, execute: Callable[[StepCall], CallOutcome], options: RayOptions) -> None:
        self._execute = execute
        self._options = options
        self._calls: dict[Any, StepCall] = {}
        self._function: Any = None
        """What Ray runs; made once, since Ray takes each for a function of its own."""
        self._temporary: Path | None = None
        self._started = False

    def submit(self, call: StepCall) -> None:
        """Hand a call to Ray."""
        self._start()
        import ray

        cpus = call.resources.get("num_cpus", 1)
        if self._function is None:
            self._function = ray.remote(_run)
        remote = self._function.options(
            name=call.step,
            num_cpus=cpus,
            num_gpus=call.resources.get("num_gpus", 0),
            memory=call.resources.get("memory"),
            resources={
                name: amount
                for name, amount in call.resources.items()
                if name not in {"num_cpus", "num_gpus", "memory"}
            },
            max_retries=call.retries,
        )
        root = call.root if self._options.root is None else self._options.root
        sent = replace(call, function=None, listen=None, root=root)
        self._calls[remote.remote(self._execute, sent)] = call

    def wait(self, seconds: float) -> list[CallOutcome]:
        """Return the calls that ended, waiting at most `seconds` for the first."""
        if not self._calls:
            return []
        import ray

        done, _ = ray.wait(
            list(self._calls), num_returns=len(self._calls), timeout=0, fetch_local=False
        )
        if not done:
            done, _ = ray.wait(list(self._calls), num_returns=1, timeout=seconds)
        return [self._outcome(reference) for reference in done]

    def close(self) -> None:
        """Leave the cluster; a Ray of our own ends with all its processes."""
        if not self._started:
            return
        import ray

        for reference in self._calls:
            with contextlib.suppress(Exception):
                ray.cancel(reference, force=True)
        self._calls.clear()
        self._function = None
        ray.shutdown()
        self._started = False
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _outcome(self, reference: Any) -> CallOutcome:
        import ray

        call = self._calls.pop(reference)
        try:
            outcome: CallOutcome = ray.get(reference)
        except Exception as error:
            text = str(error).strip().splitlines()
            failed = StepFailed(
                f"step {call.step!r} lost its worker: {type(error).__name__}: "
                f"{text[0] if text else ''}",
                step=call.step,
                kind=type(error).__name__,
                hint="look at the machine's memory; give the step `memory=` or `retries=`",
            )
            return CallOutcome(id=call.id, error=failed)
        return outcome

    def _start(self) -> None:
        if self._started:
            return
        own = self._options.address is None
        token = _own_token(self._options.home) if own else _cluster_token()
        for name, value in {**token, **QUIET}.items():  # Ray reads them once in a process's life
            os.environ.setdefault(name, value)
        logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
        import ray

        if ray.is_initialized():
            raise ClusterError(
                "this process is connected to a Ray already",
                hint="call ray.shutdown() first, or run with --runtime inline",
            )
        try:
            if self._options.address is None:
                self._start_own(ray)
            else:
                self._join(ray, self._options.address)
        except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as error:
            self._forget_temporary()
            raise _cannot_start(self._options.address, error) from error
        self._started = True

    def _start_own(self, ray: Any) -> None:
        self._temporary = temporary_folder()
        os.environ.setdefault(
            "RAY_task_events_report_interval_ms", "0"
        )  # nobody could ask for them
        ray.init(
            address="local",
            num_cpus=self._options.cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            _temp_dir=str(self._temporary),
        )

    def _join(self, ray: Any, address: str) -> None:
        _require_listener(address)
        environment: dict[str, Any] = {}
        if self._options.snapshot is not None:
            environment["working_dir"] = str(self._options.snapshot())
            # Inside a job whose working directory is another, Ray would refuse one of the two.
            os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
        ray.init(
            address=address,
            runtime_env=environment,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
        )
        nodes = sum(node["Alive"] for node in ray.nodes())
        if nodes > 1 and not self._options.shared:
            ray.shutdown()
            raise _not_shared(self._options.home, nodes)

    def _forget_temporary(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


def _run(execute: Callable[[StepCall], CallOutcome], call: StepCall) -> CallOutcome:
    return execute(call)


def _cluster_token() -> dict[str, str]:
    """Show a cluster the person's token where there is one, as `ray start` would ask for it.

    Ray reads these variables when it is imported.
    """
    given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    there = given or Path("~/.ray/auth_token").expanduser().exists()
    return {"RAY_AUTH_MODE": "token"} if there else {}


def _own_token(home: Path) -> dict[str, str]:
    """Keep Ray's own token in the home, readable by its owner alone."""
    if os.environ.get("RAY_AUTH_MODE") or os.environ.get("RAY_AUTH_TOKEN"):
        return {}
    return {"RAY_AUTH_TOKEN_PATH": str(token_file(home))}


def token_file(home: Path) -> Path:
    """Return the file with the token of a home's own Rays; it is made where there is none."""
    path = home / "ray_auth_token"
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
    return path


def temporary_folder() -> Path:
    """Make Ray's folder under a short path (its sockets' names are limited).

    Drop those of dead drivers.
    """
    base = Path(tempfile.gettempdir())
    for old in base.glob("rp-*"):
        pid = old.name.split("-")[1]
        if pid.isdigit() and not Path("/proc", pid).exists() and old.stat().st_uid == os.getuid():
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"rp-{os.getpid()}-", dir=base))


def _require_listener(address: str) -> None:
    """Raise an OSError if nobody listens at an address: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT).close()


def _not_shared(home: Path, nodes: int) -> ClusterError:
    return ClusterError(
        f"the cluster has {nodes} nodes, and the home {str(home)!r} may be a folder of this one "
        "alone: what steps make elsewhere would be lost",
        hint="where each node sees it under the same path, say so: --set runtime.shared=true "
        "(--shared for a script); else move it there, or use one node",
    )


def _cannot_start(address: str | None, error: Exception) -> ClusterError:
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    if address is None:
        return ClusterError(
            f"Ray cannot start on this machine: {first}",
            hint="look for a full /tmp or /dev/shm and for limits on processes; "
            "or run with --runtime inline",
        )
    return ClusterError(
        f"there is no Ray cluster at {address!r}: {first}",
        hint="start one with `ray start --head`, or leave --address away for a Ray of your own",
    )


def _fits(runtime: RayRuntime) -> Runtime:
    return runtime
