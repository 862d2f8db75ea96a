"""The ledger with many runs in it, and sixteen drivers on one of them in Postgres."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread

from bench_common import row

from raypipe.app import inspect
from raypipe.app.prepare import plan
from raypipe.app.request import RunRequest
from raypipe.app.run import run
from raypipe.app.why import why
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import PostgresUrl, parse
from tests import scale
from tests.postgres import Postgres, a_postgres, binaries

DRIVERS = 16
COUNT = 300
"""Steps of each driver; half of them are those of the next one too."""
SEARCHES = {
    "a metric": "auc > 0.7",
    "a setting": "training.epochs == 3",
    "both": "auc > 0.99 and training.epochs == 3",
    "a setting that none has": "training.epochs == 99",
}
DURABLE = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"}

FLOW = """
from raypipe import pipeline, step


@step
def load() -> int:
    return 1


@step
def train(rows: int) -> int:
    return rows


@pipeline
def flow():
    return train(load())
"""

MANY = """
from raypipe import pipeline, step


@step
def one(number: int) -> int:
    return number


@pipeline
def flow(first: int = 0, count: int = 300):
    return {str(number): one(number) for number in range(first, first + count)}
"""

WRITER = """
import sys
from dataclasses import replace
from tests.contract.test_ledger_postgres import FINGERPRINT, RESULT, RUN
from raypipe.store.ledger import SqlLedger
from raypipe.store.postgres_url import parse
ledger = SqlLedger.open(parse(sys.argv[1]))
mine = replace(RUN, id=f"20260101-000001-{sys.argv[2]}")
ledger.start_run(mine)
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[3])):
    ledger.record(replace(RESULT, key=f"{sys.argv[2]} {n}", run=mine.id), FINGERPRINT)
"""


def main() -> None:
    """Measure and print."""
    os.environ.pop("RAYPIPE_HOME", None)
    with tempfile.TemporaryDirectory(prefix="raypipe-bench-") as name:
        many_runs("SQLite", Path(name), None)
        if binaries() is None:
            print("no Postgres on this machine: the rest was left out")
            return
        with a_postgres(**DURABLE) as server:
            many_runs("Postgres", Path(name), server)
        with a_postgres(**DURABLE) as server:
            drivers(Path(name), server)
            writers(server)


# --- a hundred thousand runs --------------------------------------------------------------------


def many_runs(what: str, folder: Path, server: Postgres | None) -> None:
    """Print what a call costs in a store of very many runs, its server's share included."""
    project = folder / what
    project.mkdir()
    (project / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    script = project / f"flow_{what}.py"  # one process imports both
    script.write_text(FLOW)
    home = project / ".raypipe"
    home.mkdir()
    place: Path | PostgresUrl = home / "ledger.db"
    if server is not None:
        os.environ["RAYPIPE_LEDGER"] = server.url()
        place = parse(os.environ["RAYPIPE_LEDGER"])
    scale.fill(place, target=str(script))
    request = RunRequest(target=str(script), home=home)
    run(request)
    middle = scale.run_id(scale.RUNS // 2)
    calls: dict[str, Callable[[], object]] = {
        "runs list": lambda: inspect.runs(home),
        "runs show": lambda: inspect.run(middle, home),
        "plan": lambda: plan(request),
        "why": lambda: why(request, "train"),
    }
    for what_of, where in SEARCHES.items():
        calls[f"--where, {what_of}"] = partial(inspect.runs, home, where=where)
    for name, call in calls.items():
        spent = min(_cpu_of(call, server) for _ in range(5))
        row(f"{what}, 100,000 runs, 1,000,000 points: {name}", 1000 * spent, 50.0, "ms")
    os.environ.pop("RAYPIPE_LEDGER", None)


def _cpu_of(call: Callable[[], object], server: Postgres | None) -> float:
    call()
    before = time.process_time() + _cpu_of_server(server)
    call()
    return time.process_time() + _cpu_of_server(server) - before


def _cpu_of_server(server: Postgres | None) -> float:
    """Return the CPU seconds of a server, of what ended and of what is there."""
    if server is None:
        return 0.0
    with Path(f"/proc/{server.pid}/task/{server.pid}/children").open() as file:
        children = file.read().split()
    spent = sum(int(value) for value in _stat(server.pid)[13:17])
    spent += sum(int(value) for child in children for value in _stat(int(child))[13:15])
    return spent / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Return what the system tells of a process, by the places that its manual gives."""
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * 17
    return [name, "", *rest.split()]


# --- sixteen at once ----------------------------------------------------------------------------


def drivers(folder: Path, server: Postgres) -> None:
    """Let sixteen drivers run overlapping pipelines at once; nothing may be lost or made twice."""
    project = folder / "drivers"
    project.mkdir()
    (project / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    (project / "many.py").write_text(MANY)
    url = server.url()
    SqlLedger.open(parse(url)).close()
    command = [sys.executable, "-m", "raypipe", "run", "many.py", "--json"]
    environment = {**os.environ, "RAYPIPE_LEDGER": url}
    started: list[subprocess.Popen[bytes]] = []
    with measured(server, started) as told:
        started += [
            subprocess.Popen(
                [*command, "--set", f"first={COUNT // 2 * number}", "--set", f"count={COUNT}"],
                cwd=project,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
            for number in range(DRIVERS)
        ]
        codes = [process.wait() for process in started]
    schema = url.rpartition("%3D")[2]
    ((rows, keys, live),) = server.ask(
        f"SELECT count(*), count(DISTINCT key), sum(live) FROM {schema}.results"
    )
    expected = COUNT // 2 * (DRIVERS + 1)
    lost, twice = expected - keys, rows - keys
    row(f"{DRIVERS} drivers on one Postgres ledger: results lost", lost, 0, "")
    row(f"{DRIVERS} drivers on one Postgres ledger: results made twice", twice, 0, "")
    assert set(codes) == {0}, codes
    assert live == rows
    told("drivers", keys)


def writers(server: Postgres) -> None:
    """Let sixteen processes do nothing but record results."""
    url = server.url()
    SqlLedger.open(parse(url)).close()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, f"w{number:05d}", str(COUNT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(DRIVERS)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    with measured(server, started) as told:
        for process in started:
            process.communicate(b"\n")
    told("processes that only record", DRIVERS * COUNT)


@contextmanager
def measured(
    server: Postgres, processes: list["subprocess.Popen[bytes]"]
) -> Iterator[Callable[[str, int], None]]:
    """Give what prints, after the body, how fast it was and what that was bound by."""
    over, waits, states = Event(), Counter[str](), Counter[str]()
    thread = Thread(target=_watch, args=(server, processes, over, waits, states))
    thread.start()
    cpu, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    of_server, cores = _cpu_of_server(server), os.cpu_count() or 1
    ended: list[float] = []

    def told(who: str, results: int) -> None:
        took, theirs, servers = ended
        row(f"{DRIVERS} {who}: results a second", results / took, None, "/s")
        row(f"{DRIVERS} {who}: their CPU a result", 1000 * theirs / results, None, "ms")
        row(f"{DRIVERS} {who}: Postgres's CPU a result", 1000 * servers / results, None, "ms")
        print(
            f"    they took {theirs / took / cores:.0%} of {cores} cores, Postgres "
            f"{servers / took / cores:.0%}, the machine's load was {os.getloadavg()[0]:.0f};\n"
            f"    they were {_shares(states)};\n    their connections {_shares(waits)}"
        )

    yield told
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs = after.ru_utime - cpu.ru_utime + after.ru_stime - cpu.ru_stime
    ended += [time.monotonic() - wall, theirs, _cpu_of_server(server) - of_server]
    over.set()
    thread.join()


def _shares(counted: Counter[str]) -> str:
    total = counted.total() or 1
    return ", ".join(f"{what} {n / total:.0%}" for what, n in counted.most_common(4))


STATES = {"R": "on a core or waiting for one", "D": "waiting for the disk", "S": "waiting"}


def _watch(
    server: Postgres,
    processes: list["subprocess.Popen[bytes]"],
    over: Event,
    waits: Counter[str],
    states: Counter[str],
) -> None:
    """Count what processes and their connections wait for, again and again."""
    import psycopg

    with closing(psycopg.connect(server.address, autocommit=True)) as connection:
        while not over.wait(0.05):
            found = connection.execute(
                "SELECT state, wait_event_type, wait_event FROM pg_stat_activity"
                " WHERE application_name = 'raypipe'"
            )
            waits.update(_waiting_for(*one) for one in found)
            for process in processes:
                states.update(_state_of(process.pid))


def _state_of(pid: int) -> list[str]:
    state = _stat(pid)[2]
    return [STATES[state]] if state in STATES else []


def _waiting_for(state: str | None, kind: str | None, event: str | None) -> str:
    if kind == "Client":
        return "waiting for their client"
    return f"waiting for {event}" if event else "on a core or waiting for one"


main()
