"""Steps as Ray tasks: in parallel, each with its resources, on this machine or on a cluster."""

import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raypipe.engine.context import append_event
from raypipe.engine.ports import CallOutcome, Runtime, StepCall
from raypipe.errors import ClusterError, StepFailed, UsageError
from raypipe.runtime.limits import OVER, out_of_time
from raypipe.runtime.notes import notes_in
from raypipe.runtime.passing import Blobs, Held, Passing, Wrap
from raypipe.runtime.processes import (
    adopt_orphans,
    children,
    end,
    marked,
    start_time,
    started_since,
)
from raypipe.runtime.shortage import HINT, shortage_of
from raypipe.runtime.stop import interruptible

QUIET = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
"""Variables that keep Ray from printing, from calling home, and from waiting."""
RAYS_OWN = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
"""Resources that each node has, and what they are called there."""
LOOK, STALLED = 1.0, 3.0
"""Seconds between two looks at steps with a timeout; without an end before all are looked at."""
HEADLESS = 15.0
"""Seconds without an answer of the cluster's head after which a run gives it up."""
PATIENCE = 10.0
"""Seconds before it is said that no node has what a step asks for."""
SWEEP = 0.7
"""Seconds that the ends of attempts on other nodes are waited for."""
MAKERS = 4
"""The part of what may be held in memory that one call may add."""
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
    log: Path | None = None
    """Where what Ray says of its workers is kept; None: nowhere."""
    waits: Callable[[str, str], None] = lambda step, what: None
    """Is told of a step, and for what it waits."""
    in_memory: float = 0.25
    """Share of a node's object store for what steps of the run pass on there."""


class RayRuntime:
    """Runs calls as Ray tasks; Ray starts with the first one. Each call is tried once."""

    room = 500
    """Each holds a claim, which is an open file, and a place in what Ray is asked about."""

    def __init__(
        self, execute: Callable[[StepCall, Wrap], CallOutcome], options: RayOptions
    ) -> None:
        self._execute = execute
        self._options = options
        self._calls: dict[Any, StepCall] = {}
        self._passing: dict[Any, tuple[Any, tuple[Any, ...]]] = {}
        """Where a call puts what it passes on, and what it was lent, for calls with either."""
        self._held: Held | None = None
        self._function: Any = None
        """What Ray runs; made once, since Ray takes each for a function of its own."""
        self._refused: list[CallOutcome] = []
        self._submitted: dict[str, float] = {}
        """When calls were submitted that no node has room for, until that was said."""
        self._seen: dict[tuple[str, int, float], float] = {}
        """When attempts were seen first."""
        self._room: list[dict[str, float]] = []
        """Resources of the nodes, as last asked for."""
        self._sweeps: list[Any] = []
        self._temporary: Path | None = None
        self._before: dict[int, int] = {}
        """Children of this process that are none of Ray's."""
        self._started = self._adopted = False
        self._looked = self._ended = self._answered = time.monotonic()
        self._head = ""
        """Where the cluster's head listens."""

    def submit(self, call: StepCall) -> None:
        """Hand a call to Ray."""
        self._start()
        import ray

        if wanted := self._too_much(call):
            if self._options.address is None:
                self._refused.append(CallOutcome(id=call.id, error=_no_room(call, wanted)))
                return
            self._submitted[call.id] = time.monotonic()
        if self._function is None:
            self._function = ray.remote(_run)
        held = self._held = self._held or Held(self._memory())
        room = held.bound // MAKERS if call.passed_on else 0
        remote = self._function.options(
            name=call.step,
            num_returns=2 if room else 1,
            num_cpus=call.resources.get("num_cpus", 1),
            num_gpus=call.resources.get("num_gpus", 0),
            memory=call.resources.get("memory"),
            resources={
                name: amount for name, amount in call.resources.items() if name not in RAYS_OWN
            },
            max_retries=0,
        )
        root = call.root if self._options.root is None else self._options.root
        sent = replace(call, function=None, listen=None, give_up=None, root=root)
        lent = held.lend(call.stats)
        returned = remote.remote(self._execute, sent, room, *lent)
        reference, passed = returned if room else (returned, None)
        self._calls[reference] = call
        if room or lent:
            self._passing[reference] = passed, lent

    def wait(self, seconds: float) -> list[CallOutcome]:
        """Return the calls that ended, waiting at most `seconds` for the first."""
        if self._refused:
            refused, self._refused = self._refused, []
            return refused
        if not self._calls:
            return []
        import ray

        done, _ = ray.wait(
            list(self._calls), num_returns=len(self._calls), timeout=0, fetch_local=False
        )
        if not done:
            done, _ = ray.wait(list(self._calls), num_returns=1, timeout=seconds)
        now = time.monotonic()
        if done:
            self._ended = now
        elif now - self._looked > LOOK:
            self._looked = now
            self._require_head(now)
            self._look_after(now)
        outcomes = [self._outcome(reference) for reference in done]
        return [outcome for outcome in outcomes if outcome is not None]

    def close(self) -> None:
        """Leave the cluster; a Ray of our own ends with all its processes."""
        if not self._started:
            return
        import ray

        for reference, call in self._calls.items():
            with contextlib.suppress(Exception):
                ray.cancel(reference, force=True)
            self._end_attempt(call)
        if self._sweeps:
            with contextlib.suppress(Exception):
                ray.wait(self._sweeps, num_returns=len(self._sweeps), timeout=SWEEP)
        self._calls.clear()
        self._passing.clear()
        self._held = self._function = None
        ray.shutdown()
        self._started = False
        self._end_own()

    # --- watching -------------------------------------------------------------------------------

    def _require_head(self, now: float) -> None:
        """Raise ClusterError once the head has not answered for long.

        Ray would wait a minute for it, and then end this process without a word.
        """
        host, _, port = self._head.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=LOOK).close()
            self._answered = now
        except OSError as error:
            if now - self._answered > HEADLESS:
                self._calls.clear()
                self._sweeps.clear()
                raise ClusterError(
                    f"the head of the cluster at {self._head} does not answer any more: "
                    f"{error.strerror or error}",
                    hint="start it again, then run again: what was recorded is kept",
                ) from error

    def _look_after(self, now: float) -> None:
        """End attempts that nobody else ends: over their time and stuck, or half dead.

        A worker whose forked child holds its sockets is not missed by Ray when it dies.
        """
        for call in self._calls.values():
            if call.timeout is not None or now - self._ended > STALLED:
                attempt = _attempt_of(call)
                if attempt and self._is_overdue(call, attempt, now):
                    append_event(call.events, {"event": "timeout", "run": call.run})
                    self._end_attempt(call)
                elif attempt and _is_gone(attempt):
                    self._end_attempt(call)
        for name, since in list(self._submitted.items()):
            if now - since > PATIENCE:
                self._tell_waiting(name)

    def _is_overdue(self, call: StepCall, attempt: dict[str, Any], now: float) -> bool:
        """Say whether an attempt is over its time by more than its own process lets pass."""
        seen = self._seen.setdefault((call.id, attempt["pid"], attempt["time"]), now)
        return call.timeout is not None and now - seen > call.timeout + OVER + 2

    def _tell_waiting(self, name: str) -> None:
        del self._submitted[name]
        for call in self._calls.values():
            if call.id == name and (wanted := self._too_much(call)):
                self._options.waits(call.step, f"{wanted}, which no node of the cluster has now")

    def _too_much(self, call: StepCall) -> str:
        """Return what a call asks for that no node has, or nothing."""
        import ray

        wanted = {RAYS_OWN.get(name, name): amount for name, amount in call.resources.items()}
        if _has_room(self._room, wanted):
            return ""
        self._room = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if _has_room(self._room, wanted):
            return ""
        most = {name: max((node.get(name, 0) for node in self._room), default=0) for name in wanted}
        short = [name for name, amount in wanted.items() if amount > most[name]] or list(wanted)
        shown = {ray_name: name for name, ray_name in RAYS_OWN.items()}
        return ", ".join(f"{shown.get(name, name)}={wanted[name]:g}" for name in short)

    def _end_attempt(self, call: StepCall) -> None:
        """End the worker of a call by force, and what the step started, on whichever node."""
        attempt = _attempt_of(call)
        if attempt is None:
            return
        mark = f"{call.run}:{call.step}"
        if attempt["host"] == socket.gethostname():
            _sweep(attempt["pid"], attempt["started"], mark)
            return
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        with contextlib.suppress(Exception):
            there = NodeAffinitySchedulingStrategy(attempt["node"], soft=False)
            remote = ray.remote(_sweep).options(
                num_cpus=0, scheduling_strategy=there, max_retries=0
            )
            self._sweeps.append(remote.remote(attempt["pid"], attempt["started"], mark))

    def _memory(self) -> int:
        """Return how many bytes may be held in memory: all of them may lie on one node."""
        stores = [node.get("object_store_memory", 0) for node in self._room]
        return int(self._options.in_memory * min(stores, default=0))

    def _outcome(self, reference: Any) -> CallOutcome | None:
        """Return how a call ended; None where it is sent again, for want of what it was lent."""
        import ray
        from ray.exceptions import ObjectLostError

        call = self._calls.pop(reference)
        passed, lent = self._passing.pop(reference, (None, ()))
        held = self._held
        assert held is not None
        held.give_back(lent)
        try:
            outcome: CallOutcome
            outcome, sizes = ray.get(reference)
        except Exception as error:
            if lent and isinstance(error, ObjectLostError):  # before the step began
                for bundle in lent:
                    held.drop(bundle)
                self.submit(call)
                return None
            failed = _failure(call, error)
            self._end_attempt(call)
            return CallOutcome(id=call.id, error=failed)
        if sizes:
            held.hold(passed, sizes)
        return outcome

    # --- starting -------------------------------------------------------------------------------

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
        self._before = children()
        keep_errors(self._options.log)
        try:
            with interruptible():
                if self._options.address is None:
                    self._start_own(ray)
                else:
                    self._join(ray, self._options.address)
        except KeyboardInterrupt:
            self._end_own()
            raise
        except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as error:
            self._end_own()
            raise _cannot_start(self._options.address, error) from error
        self._started = True
        self._head = str(ray.get_runtime_context().gcs_address)
        self._answered = time.monotonic()

    def _start_own(self, ray: Any) -> None:
        self._adopted = adopt_orphans()  # what a killed worker leaves comes to this process
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

    def _end_own(self) -> None:
        """End what is left of a Ray of our own; orphans go where they went before it.

        Else a Ray whose driver was killed would come to this process, which waits for none: its
        workers look whether their raylet is there, and a raylet nobody waits for seems to be.
        """
        if self._options.address is None:
            end(lambda: started_since(self._before), patience=0)
            adopt_orphans(self._adopted)
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


# --- in workers ---------------------------------------------------------------------------------


def _run(
    execute: Callable[[StepCall, Wrap], CallOutcome], call: StepCall, room: int, *given: Blobs
) -> tuple[Any, ...]:
    """Run a call, saying first which process does, for who may have to end it.

    What it passes on is an object of its own, which the driver owns: it is there when this process
    is not, and never comes to a driver on another node.
    """
    import ray

    if call.scratch.is_dir():
        begun = {
            "event": "attempt",
            "run": call.run,
            "pid": os.getpid(),
            "started": start_time(os.getpid()),
            "time": time.time(),
            "host": socket.gethostname(),
            "node": ray.get_runtime_context().get_node_id(),
        }
        append_event(call.events, begun)
    passing = Passing(given, room)
    outcome = execute(call, passing.around)
    answer = outcome, passing.sizes
    return (answer, passing.kept) if room else answer


def _sweep(pid: int, started: int, mark: str) -> None:
    """Kill a worker, and what a step started there: it is asked to end no more."""
    if start_time(pid) == started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end(lambda: marked(mark), patience=0)


# --- what became of a call ----------------------------------------------------------------------


def _attempt_of(call: StepCall) -> dict[str, Any] | None:
    """Return what the last attempt at a call said of itself; None before it begins."""
    said: dict[str, Any] | None = None
    with contextlib.suppress(OSError):
        for line in call.events.read_bytes().splitlines():
            if line.startswith((b'{"event":"attempt"', b'{"event":"timeout"')):
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if event["run"] == call.run:
                        said = {**(said or {}), **event}
    return said


def _is_gone(attempt: dict[str, Any]) -> bool:
    """Say whether a worker on this machine is dead."""
    here: bool = attempt["host"] == socket.gethostname()
    return here and start_time(attempt["pid"]) != attempt["started"]


def _failure(call: StepCall, error: Exception) -> Exception:
    """Return what is said of a task whose worker gave no outcome."""
    from ray import exceptions as known

    attempt = _attempt_of(call)
    if attempt and attempt["event"] == "timeout" and call.timeout is not None:
        return out_of_time(call.step, call.timeout)
    text = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, known.RuntimeEnvSetupError):
        return ClusterError(
            f"a worker for step {call.step!r} cannot start: {text}",
            hint="look at the cluster's nodes: disk, network, Python's version",
        )
    if shortage := shortage_of(error):
        who = {attempt["pid"]: "its worker"} if attempt else {}
        return StepFailed(
            f"step {call.step!r} {shortage.told(notes_in(call.scratch) or who, 'its worker')}",
            step=call.step,
            kind=type(error).__name__,
            cause="lost",
            hint=f"let it hold less at once (such as training.batch_size), or {HINT}. A run with "
            "--resume goes on from what was kept",
        )
    lost = (known.NodeDiedError, known.LocalRayletDiedError, known.OwnerDiedError)
    node = isinstance(error, lost) or ("node" in text and "died" in text)
    return StepFailed(
        f"step {call.step!r} lost its {'node' if node else 'worker'}: "
        f"{type(error).__name__}: {text}",
        step=call.step,
        kind=type(error).__name__,
        cause="node" if node else "lost",
        hint="look at the machine's memory; give the step `memory=` or `retries=`",
    )


def _has_room(nodes: list[dict[str, float]], wanted: dict[str, float]) -> bool:
    return any(all(node.get(n, 0) >= amount for n, amount in wanted.items()) for node in nodes)


def _no_room(call: StepCall, wanted: str) -> UsageError:
    return UsageError(
        f"step {call.step!r} asks for {wanted}, which this machine's Ray does not have",
        hint="ask for less, or run on a cluster that has it: --address",
    )


def keep_errors(log: Path | None) -> None:
    """Write what Ray says of its workers to the run's log: a driver is told what it means.

    Ray prints it on standard output, which belongs to the command.
    """
    from ray._private import worker

    def keep(data: dict[str, Any], ignore_prefix: bool = False) -> None:
        if log is not None:
            with contextlib.suppress(OSError):
                log.parent.mkdir(parents=True, exist_ok=True)
                with log.open("a", encoding="utf-8") as file:
                    file.writelines(f"{line}\n" for line in data["lines"])

    worker.print_to_stdstream = keep


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
