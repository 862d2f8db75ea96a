"""The gateway beside bare Ray Serve and plain FastAPI: CPU of all server processes a request.

One row of Open Inference Protocol JSON, 16 connections, servers in turn, the median of the rounds.
What Ray's processes cost at rest is in it; the load's own is not.
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from bench_common import row

from raypipe.stages.serving.oip import datatype_of
from raypipe.stages.serving.processes import end_marked, free_ports, marked
from raypipe.store.segments import SegmentWriter

ROOT = Path(__file__).parent.parent
RAYPIPE = [sys.executable, "-m", "raypipe"]
FLIGHTS = ROOT / "data" / "flights"
CONNECTIONS = 16
SECONDS = 4.0
ROUNDS = 5
TICK = os.sysconf("SC_CLK_TCK")

NUMBERS = """
name: numbers
data:
  dataset: local://numbers/main
  label: late
  key: [number]
  split: {by: hash, columns: [number]}
preprocessing:
  groups:
    - {kind: numeric, columns: [%s]}
training:
  model: {kind: tabular_mlp, hidden: [64, 64]}
  epochs: 1
analysis:
  resamples: 50
"""
COLUMNS = [f"x{n}" for n in range(20)]


# --- models -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Project:
    """A folder with a home, in which raypipe is run."""

    folder: Path

    def raypipe(self, *arguments: str) -> dict[str, Any]:
        """Run a command that must succeed, and return what it says."""
        command = [*RAYPIPE, *arguments, "--json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode not in (0, 3):
            raise SystemExit(f"{' '.join(arguments)}: {done.stderr}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def register(self, settings: str, *files: Path) -> None:
        """Take a model through its cycle."""
        name = Path(settings).stem
        data = ["--to", f"local://{name}/main", "--config", settings]
        self.raypipe("data", "import", *map(str, files), *data)
        first = self.raypipe("run", settings, "--runtime", "inline")
        self.raypipe("review", "approve", first["reviews"][0]["id"], "--by", "bench")
        done = self.raypipe("run", settings, "--runtime", "inline")
        assert done["status"] == "succeeded", done


def make(folder: Path) -> Project:
    """Make a project with a model of 20 numbers and, where its data is there, that of flights."""
    project = Project(folder)
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[project]\nname = 'bench'\nversion = '0'\n")
    random = np.random.default_rng(0)
    values = random.normal(size=(len(COLUMNS), 4000))
    late = values[:3].sum(axis=0) + random.normal(size=4000) > 0
    columns = {"number": np.arange(4000), **dict(zip(COLUMNS, values, strict=True)), "late": late}
    pq.write_table(pa.table(columns), folder / "numbers.parquet")
    (folder / "numbers.yaml").write_text(NUMBERS % ", ".join(COLUMNS))
    project.register("numbers.yaml", folder / "numbers.parquet")
    if (FLIGHTS / "2013-01.parquet").exists():
        settings = yaml.safe_load((ROOT / "configs" / "flights.yaml").read_text())
        del settings["tuning"], settings["analysis"]
        settings["training"]["epochs"] = 1
        (folder / "flights.yaml").write_text(yaml.safe_dump(settings))
        (folder / "configs").mkdir()
        shutil.copy(ROOT / "configs" / "flights_features.py", folder / "configs")
        project.register("flights.yaml", *(FLIGHTS / f"2013-0{n}.parquet" for n in (1, 2)))
    return project


def bundle_of(project: Project, model: str) -> str:
    """Return the folder of a model's bundle."""
    return project.raypipe("models", "show", model)["model"]["bundle"]


def bodies(project: Project, model: str, table: pa.Table, file: Path) -> Path:
    """Write requests, one a line: each of one row."""
    from raypipe.app.ask import as_json
    from raypipe.values.transform import Transform

    features = Transform.load(Path(bundle_of(project, model)) / "transform").signature.features
    columns = as_json(table.select([feature.name for feature in features]))
    with file.open("wb") as out:
        for number in range(table.num_rows):
            inputs = [
                {
                    "name": one.name,
                    "datatype": datatype_of(one),
                    "shape": [1],
                    "data": [columns[one.name][number]],
                }
                for one in features
            ]
            out.write(orjson.dumps({"inputs": inputs}) + b"\n")
    return file


# --- servers ------------------------------------------------------------------------------------


@dataclass
class Server:
    """A server that is up: where it is asked, and what its processes carry."""

    name: str
    port: int
    path: str
    bodies: Path
    mark: str
    took: list[float] = field(default_factory=list)
    """CPU µs a request, by round."""
    rates: list[float] = field(default_factory=list)
    halves: list[float] = field(default_factory=list)

    def spent(self) -> float:
        """Return the CPU seconds of all its processes so far."""
        return sum(map(cpu_of, marked(self.mark)))

    def load(self, seconds: float) -> dict[str, Any]:
        """Ask it for so long, from another process."""
        script = ROOT / "scripts" / "bench_load.py"
        command = [script, self.port, self.path, seconds, CONNECTIONS, self.bodies]
        done = subprocess.run(
            [sys.executable, *map(str, command)], check=True, capture_output=True, text=True
        )
        said = json.loads(done.stdout)
        if said["failed"]:
            raise SystemExit(f"{self.name}: {said['failed']} requests failed")
        return said

    def measure(self) -> None:
        """Ask it for a round."""
        before = self.spent()
        said = self.load(SECONDS)
        self.took.append((self.spent() - before) / said["requests"] * 1e6)
        self.rates.append(said["rate"])
        self.halves.append(said["p50"])


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process, all its threads together."""
    try:
        after_name = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(after_name[11]) + int(after_name[12])) / TICK


@contextlib.contextmanager
def gateway(project: Project, level: str, folder: Path) -> Iterator[tuple[int, str]]:
    """Have a gateway up that keeps its log so, in a home of its own."""
    home = Path(shutil.copytree(project.folder / ".raypipe", folder, symlinks=True))
    settings = project.folder / f"{level}.yaml"
    settings.write_text(
        (project.folder / "numbers.yaml").read_text() + f"serving: {{log: {level}}}"
    )
    own = ("--home", str(home))
    (port,) = free_ports(1)
    project.raypipe("serve", "start", str(settings), "--port", str(port), *own)
    try:
        mark = json.loads((home / "serve" / "gateway.json").read_text())["mark"]
        yield port, f"RAYPIPE_GATEWAY={mark}"
    finally:
        project.raypipe("serve", "stop", *own)


@contextlib.contextmanager
def plain(kind: str, *arguments: str) -> Iterator[tuple[int, str]]:
    """Have a plain server up."""
    (port,) = free_ports(1)
    value = f"bench-{os.urandom(4).hex()}"
    mark = f"RAYPIPE_GATEWAY={value}"
    if kind == "serve":
        arguments = (*arguments, value)
    script = str(ROOT / "scripts" / "bench_servers.py")
    process = subprocess.Popen(
        [sys.executable, script, kind, str(port), *arguments],
        env={**os.environ, "RAYPIPE_GATEWAY": value, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: process.poll() is None and listens(port))
        yield port, mark
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        end_marked(mark)
        process.wait()


def listens(port: int) -> bool:
    """Say whether a plain server answers."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/infer", b'{"inputs": []}')
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until(condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("a server did not come up")
        time.sleep(0.1)


# --- measuring ----------------------------------------------------------------------------------


def at_rest(servers: Sequence[Server], seconds: float = 5.0) -> dict[str, float]:
    """Return the CPU seconds a second of servers that nobody asks."""
    before = [server.spent() for server in servers]
    time.sleep(seconds)
    return {
        server.name: (server.spent() - spent) / seconds
        for server, spent in zip(servers, before, strict=True)
    }


def appended(folder: Path, times: int = 20_000) -> float:
    """Return the CPU µs of keeping a record of the size that a row of 20 numbers has."""
    record = {
        "kind": "request",
        "id": "0" * 32,
        "columns": {name: [0.123456789] for name in COLUMNS},
        "outputs": {"late_probability": [0.5], "late_predicted": [True]},
    }
    body = orjson.dumps(record)
    writer = SegmentWriter(folder, level="process")
    began = time.process_time()
    for _ in range(times):
        writer.append(body)
    spent = time.process_time() - began
    writer.close()
    return spent / times * 1e6


def main() -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory(prefix="rpb-", dir="/tmp") as place,
        contextlib.ExitStack() as s,
    ):
        folder = Path(place)
        project = make(folder / "p")
        bundle = bundle_of(project, "numbers")
        table = pq.read_table(folder / "p" / "numbers.parquet").slice(0, 200)
        numbers = bodies(project, "numbers", table, folder / "numbers.jsonl")
        kept = s.enter_context(gateway(project, "process", folder / "a"))
        held = s.enter_context(gateway(project, "memory", folder / "b"))
        token = folder / "c"
        token.mkdir()
        bare = s.enter_context(plain("serve", bundle, str(token)))
        fast = s.enter_context(plain("fastapi", bundle))
        asked = "/v2/models/numbers/infer"
        servers = [
            Server("gateway, log: process", kept[0], asked, numbers, kept[1]),
            Server("gateway, log: memory", held[0], asked, numbers, held[1]),
            Server("bare Ray Serve", bare[0], "/infer", numbers, bare[1]),
            Server("plain FastAPI", fast[0], "/infer", numbers, fast[1]),
        ]
        if (project.folder / "flights.yaml").exists():
            table = pq.read_table(FLIGHTS / "2013-02.parquet").slice(0, 200)
            lines = bodies(project, "flights", table, folder / "flights.jsonl")
            path = "/v2/models/flights/infer"
            servers.append(Server("gateway, flights", kept[0], path, lines, kept[1]))
        for server in servers:
            server.load(2.0)
        rest = at_rest(servers)
        for _ in range(ROUNDS):
            for server in servers:
                server.measure()
        tell(servers, rest)
    with tempfile.TemporaryDirectory() as place:
        row("keeping a record, SegmentWriter.append alone", appended(Path(place)), None, "µs")


def tell(servers: Sequence[Server], rest: dict[str, float]) -> None:
    """Print what was found."""
    ours, memory, *others = servers
    print("CPU of all server processes a request (infer, one row of 20 numbers, 16 connections)")
    row(ours.name, middle(ours.took), 640, "µs")
    for server in (memory, *others):
        row(server.name, middle(server.took), None, "µs")
    shares = [one - other for one, other in zip(ours.took, memory.took, strict=True)]
    row("the log's share: process less memory", middle(shares), 30, "µs")
    for server in servers:
        said = f"{server.name}: {middle(server.rates):,.0f} requests a second, half of them within"
        row(said, middle(server.halves), None, "ms")
    for name, spent in rest.items():
        row(f"{name}: at rest, CPU a second", spent * 1000, None, "ms")
    print(
        f"load {' '.join(Path('/proc/loadavg').read_text().split()[:3])}, {ROUNDS} rounds of "
        f"{SECONDS:g} s; from {min(ours.took):.0f} to {max(ours.took):.0f} µs"
    )


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


if __name__ == "__main__":
    main()
