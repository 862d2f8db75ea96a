"""A gateway with its own Ray: versions side by side, routes that change under load, kills."""

import contextlib
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.app.gateway import GatewayState
from raypipe.fault_points import VARIABLE
from raypipe.stages.serving.processes import free_ports, marked
from raypipe.stages.serving.route import Route
from raypipe.store.paths import HomePaths
from tests.acceptance import tiny
from tests.conftest import Project, Said

pytestmark = [pytest.mark.ray, pytest.mark.slow]

FEATURES = ("wind", "miles", "carrier")
FIRST, SECOND = "1.0.0", "1.1.0"


@dataclass(frozen=True)
class Home:
    """A project with two versions of its model, and the port that its gateway listens at."""

    project: Project
    port: int

    @property
    def paths(self) -> HomePaths:
        return HomePaths(self.project.folder / ".raypipe")

    @property
    def state(self) -> GatewayState:
        state = GatewayState.read(self.paths)
        assert state is not None
        return state

    def raypipe(self, *arguments: str) -> Said:
        return self.project.raypipe(*arguments, "--home", str(self.paths.home))

    def start_command(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        return self.project.start(*arguments, "--home", str(self.paths.home), **environment)

    def start(self) -> dict[str, Any]:
        said = self.raypipe("serve", "start", "--port", str(self.port), "--json")
        assert said.code == 0, said.err
        return said.result["serve"]

    def status(self) -> dict[str, Any]:
        return self.raypipe("serve", "status", "--json").result["serve"]

    def replicas(self) -> list[int]:
        return self.status()["replicas"]

    def follows(self, *command: str) -> dict[str, Any]:
        """Run a command that changes the route; the gateway must follow."""
        said = self.raypipe(*command, "--json")
        assert said.code == 0, said.err
        assert said.result["route"]["serving"] == {"url": f"http://127.0.0.1:{self.port}"}
        return said.result["route"]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Ask over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


def register(project: Project, version: str) -> Said:
    """Run to the review, approve, and run again, which registers a version."""
    assert tiny.run(project).result["status"] == "waiting"
    tiny.approve(project)
    said = tiny.run(project)
    assert said.result["status"] == "succeeded", said.err
    names = project.raypipe("models", "list", "--json").result["models"][0]["versions"]
    assert names[0] == version
    return said


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """Two versions and one port; whatever happens, no process of a gateway is left at the end."""
    folder = Path(tempfile.mkdtemp(prefix="rps-", dir="/tmp"))
    marks: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("RAYPIPE_", "RAY_")):
                patch.delenv(name)
        project = Project(folder / "p")
        project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
        tiny.make(project)
        register(project, FIRST)
        project.edit("my_model.py", "WIDTH = 8", "WIDTH = 12")
        register(project, SECOND)
        made = Home(project, free_ports(1)[0])
        try:
            yield made
        finally:
            if (state := GatewayState.read(made.paths)) is not None:
                marks.append(state.marked)
            said = made.raypipe("serve", "stop")
            left = [pid for mark in marks for pid in marked(mark)]
            shutil.rmtree(folder, ignore_errors=True)
            assert said.code == 0, said.err
            assert left == []


@pytest.fixture
def gateway(home: Home) -> Home:
    """The one gateway of these tests, started where it is not up, with all of it to the second."""
    home.start()
    home.follows("promote", f"tiny@{SECOND}")
    return home


@pytest.fixture(scope="module")
def asked(home: Home) -> pa.Table:
    """Rows that training did not see, some with a carrier that is missing or not known."""
    table = tiny.rows(100, days=3, a_day=20)
    carrier = table["carrier"].to_pylist()
    wind = table["wind"].to_pylist()
    carrier[1:4] = [None, "ZZ", ""]
    wind[4] = 1e300
    columns = {"wind": wind, "carrier": carrier}
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values, table.schema.field(name).type))
    pq.write_table(table, home.project.folder / "asked.parquet")
    return table


@pytest.fixture(scope="module")
def scored(home: Home, asked: pa.Table) -> "Scored":
    """What `raypipe score` says to the rows, by version."""
    return Scored(home, asked)


class Scored:
    """Probabilities by version, each worked out when it is first asked for."""

    def __init__(self, home: Home, rows: pa.Table) -> None:
        self._home = home
        self.rows = rows.select(FEATURES).to_pylist()
        self._known: dict[str, np.ndarray[Any, Any]] = {}
        self._lock = threading.Lock()

    def __getitem__(self, version: str) -> np.ndarray[Any, Any]:
        with self._lock:
            if version not in self._known:
                out = self._home.project.folder / f"scored-{version}.parquet"
                said = self._home.raypipe(
                    "score", f"tiny@{version}", "asked.parquet", "--out", str(out)
                )
                assert said.code == 0, said.err
                self._known[version] = pq.read_table(out)["late_probability"].to_numpy()
            return self._known[version]


# --- load ---------------------------------------------------------------------------------------


@dataclass
class Load:
    """Clients that ask for one row after another, each row its own unit, until they are stopped."""

    port: int
    rows: Sequence[dict[str, Any]]
    place: str = "/v2/models/tiny"
    clients: int = 3
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Row and answer, of those with status 200."""
    refused: list[str] = field(default_factory=list)
    """All else: a status with its sentence, or how the connection broke."""

    def __enter__(self) -> "Load":
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for number in itertools.count(client, self.clients):
            if self._done.is_set():
                break
            row = number % len(self.rows)
            body = json.dumps({"rows": [self.rows[row]], "unit": f"unit-{row}"})
            try:
                connection.request("POST", f"{self.place}/predict", body)
                response = connection.getresponse()
                data = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.refused.append(f"{type(error).__name__}: {error}")
                connection.close()
                self._done.wait(0.05)
                continue
            if response.status == 200:
                self.answers.append((row, json.loads(data)))
            else:
                self.refused.append(f"{response.status} {json.loads(data)['error']}")
                self._done.wait(0.05)
        connection.close()

    def more(self, wait_until: Any, count: int = 60) -> None:
        """Wait until so many more are answered."""
        reached = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= reached)

    def check(self, scored: Scored) -> None:
        """Each answer is that of the version which it names, bit for bit."""
        for row, answer in self.answers:
            (said,) = answer["predictions"]
            assert said["late_probability"] == float(scored[answer["version"]][row])
            assert said["late_predicted"] == (said["late_probability"] >= 0.5)


def versions_of_units(home: Home, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    found = {}
    for number, row in enumerate(rows):
        body = {"rows": [row], "unit": f"unit-{number}"}
        status, answer = home.ask("POST", "/v2/models/tiny/predict", body)
        assert status == 200, answer
        found[f"unit-{number}"] = answer["version"]
    return found


# --- answers ------------------------------------------------------------------------------------


def test_two_versions_answer_at_the_same_time_each_as_score_does_bit_for_bit(
    gateway: Home, scored: Scored, wait_until: Any
) -> None:
    places = {version: f"/v2/models/tiny/versions/{version}" for version in (FIRST, SECOND)}
    with contextlib.ExitStack() as stack:
        loads = {
            version: stack.enter_context(Load(gateway.port, scored.rows, place, clients=2))
            for version, place in places.items()
        }
        for load in loads.values():
            load.more(wait_until, 2 * len(scored.rows))
    for version, load in loads.items():
        assert load.refused == []
        assert {answer["version"] for _, answer in load.answers} == {version}
        load.check(scored)
    assert (scored[FIRST] != scored[SECOND]).mean() > 0.9  # or the test would show nothing


@pytest.mark.parametrize("version", [FIRST, SECOND])
def test_a_file_is_answered_as_score_does_bit_for_bit(
    gateway: Home, scored: Scored, asked: pa.Table, version: str
) -> None:
    out = gateway.project.folder / f"predicted-{version}.parquet"
    said = gateway.raypipe("predict", f"tiny@{version}", "asked.parquet", "--out", str(out))
    assert said.code == 0, said.err
    answered = pq.read_table(out)
    assert answered["late_probability"].to_numpy().tobytes() == scored[version].tobytes()
    assert answered.select(asked.column_names).equals(asked)
    assert answered["request_row"].to_pylist() == list(range(asked.num_rows))


def test_the_open_inference_protocol_is_answered_with_the_same_bits(
    gateway: Home, scored: Scored
) -> None:
    kinds = {"wind": "FP64", "miles": "FP64", "carrier": "BYTES"}
    count = len(scored.rows)
    inputs = [
        {
            "name": name,
            "datatype": kind,
            "shape": [count],
            "data": [row[name] for row in scored.rows],
        }
        for name, kind in kinds.items()
    ]
    for version in (FIRST, SECOND):
        path = f"/v2/models/tiny/versions/{version}/infer"
        status, answer = gateway.ask("POST", path, {"inputs": inputs})
        assert status == 200, answer
        outputs = {one["name"]: one["data"] for one in answer["outputs"]}
        assert outputs["late_probability"] == scored[version].astype(float).tolist()
        assert answer["model_version"] == version


# --- routes -------------------------------------------------------------------------------------


def test_a_share_changes_under_load_without_a_restart_and_units_stay_where_they_are(
    gateway: Home, scored: Scored, wait_until: Any
) -> None:
    before = gateway.replicas()
    found = {}
    with Load(gateway.port, scored.rows) as load:
        for share in (0.1, 0.5, 0.9):
            load.more(wait_until)
            gateway.follows("route", "tiny", f"{SECOND}={1 - share:g}", f"{FIRST}={share:g}")
            found[share] = versions_of_units(gateway, scored.rows)
        load.more(wait_until)
    assert load.refused == []
    load.check(scored)
    assert gateway.replicas() == before
    for share, versions in found.items():
        route = Route(model="tiny", shares={SECOND: 1 - share, FIRST: share})
        assert versions == {unit: route.choose(unit)[0] for unit in versions}
    challenged = [
        {unit for unit, version in found[share].items() if version == FIRST}
        for share in (0.1, 0.5, 0.9)
    ]
    assert challenged[0] < challenged[1] < challenged[2]  # none goes back to the champion


def test_a_version_that_a_run_registers_is_taken_up_under_load(
    gateway: Home, scored: Scored, wait_until: Any
) -> None:
    before = gateway.replicas()
    gateway.project.edit("my_model.py", "WIDTH = 12", "WIDTH = 10")
    with Load(gateway.port, scored.rows) as load:
        said = register(gateway.project, "1.2.0")
        load.more(wait_until)
    assert said.result["serving"] == {"served": True, "url": f"http://127.0.0.1:{gateway.port}"}
    assert load.refused == []
    load.check(scored)
    answered = Counter(answer["version"] for _, answer in load.answers)
    assert set(answered) == {SECOND, "1.2.0"}
    assert load.answers[-1][1]["version"] == "1.2.0"
    assert gateway.replicas() == before
    served = gateway.status()["models"]["tiny"]
    assert served["champion"] == "1.2.0"
    assert set(served["versions"]) == {FIRST, SECOND, "1.2.0"}


def test_promotion_and_the_way_back_are_followed(gateway: Home, scored: Scored) -> None:
    def answering() -> set[str]:
        return set(versions_of_units(gateway, scored.rows).values())

    assert answering() == {SECOND}
    gateway.follows("promote", f"tiny@{FIRST}", "--share", "0.3")
    assert answering() == {FIRST, SECOND}
    assert gateway.status()["models"]["tiny"]["champion"] == SECOND
    gateway.follows("promote", f"tiny@{FIRST}")
    assert answering() == {FIRST}
    assert gateway.ask("GET", "/v2/models/tiny")[1]["champion"] == FIRST
    gateway.follows("rollback", "tiny")
    assert answering() == {SECOND}


def test_a_route_that_makes_no_sense_changes_nothing(gateway: Home) -> None:
    said = gateway.raypipe("route", "tiny", f"{SECOND}=0.5", f"{FIRST}=0.6")
    assert said.code == 2
    assert "sum to 1.1, not to 1" in said.err
    assert gateway.ask("GET", "/v2/models/tiny")[1]["route"] == {SECOND: 1.0}


# --- faults -------------------------------------------------------------------------------------


def test_a_replica_that_is_killed_under_load_loses_nothing_that_was_acknowledged(
    gateway: Home, scored: Scored, wait_until: Any
) -> None:
    (killed,) = gateway.replicas()
    with Load(gateway.port, scored.rows, clients=6) as load:
        load.more(wait_until, 200)
        os.kill(killed, signal.SIGKILL)
        load.more(wait_until, 200)
    ids = [answer["request_id"] for _, answer in load.answers]
    assert len(set(ids)) == len(ids)
    gateway.project.write("ids.txt", "\n".join(ids))
    said = gateway.raypipe("requests", "audit", "--ids", "ids.txt", "--json")
    assert said.code == 0, said.err + said.out
    assert said.result["audit"]["whole"]
    load.check(scored)
    (back,) = gateway.replicas()
    assert back != killed
    gateway.follows("promote", f"tiny@{FIRST}")  # it hears what the one before heard
    assert gateway.ask("GET", "/v2/models/tiny")[1]["champion"] == FIRST
    gateway.follows("rollback", "tiny")


OTHER = """
from raypipe import pipeline, step


@step
def one() -> int:
    return 1


@pipeline
def other():
    return one()
"""


@pytest.mark.parametrize(
    ("point", "next_one"),
    [
        ("effect.begun", ("outbox", "deliver")),
        ("gateway.put", ("run", "other.py")),
        ("effect.done", ("outbox", "deliver")),
    ],
)
def test_what_a_killed_driver_was_telling_is_told_by_whoever_comes_next(
    gateway: Home, point: str, next_one: tuple[str, ...]
) -> None:
    gateway.project.write("other.py", OTHER)
    killed = gateway.start_command("promote", f"tiny@{FIRST}", **{VARIABLE: point})
    out, err = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, err + out
    waits = gateway.raypipe("outbox", "list", "--json").result["effects"]
    assert [(one["kind"], one["attempts"]) for one in waits] == [("gateway", 1)]

    said = gateway.raypipe(*next_one)

    assert said.code == 0, said.err
    assert gateway.ask("GET", "/v2/models/tiny")[1]["champion"] == FIRST
    assert gateway.raypipe("outbox", "list", "--json").result["effects"] == []


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"OPTIONS * HTTP/1.1", 400),
        (b"CONNECT a:80 HTTP/1.1", 400),
        (b"FOO /v2 HTTP/1.1", 400),
        (b"GET /v2 HTTP/1.1\r\nraypipe-unit: a\x01b", 400),
        (b"OPTIONS /v2 HTTP/1.1", 405),
        (b"GET /v2/models/%ff HTTP/1.1", 404),
        (b"GET /v2/models/..%2f.. HTTP/1.1", 404),
    ],
)
def test_what_the_gateway_never_sees_is_refused_as_it_would(
    gateway: Home, request_line: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as client:
        client.sendall(request_line + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert list(json.loads(body)) == ["error"]


def test_a_gateway_that_is_up_is_not_started_again(gateway: Home) -> None:
    state = gateway.state
    again = gateway.start()
    assert again["already"]
    assert (again["pid"], again["url"]) == (state.pid, state.url)
    other = gateway.raypipe("serve", "run", "--port", str(free_ports(1)[0]))
    assert other.code == 8
    assert f"a gateway of this home is up already at {state.url}" in other.err
    assert gateway.state == state


def test_a_port_that_is_taken_is_told_and_nothing_is_left(
    gateway: Home, project: Project, tmp_path: Path
) -> None:
    own = ("--home", str(tmp_path / "other"), "--port", str(gateway.port))
    for command in ("start", "run"):
        said = project.raypipe("serve", command, *own)
        assert said.code == 8
        assert f"port {gateway.port} of 127.0.0.1 is taken by another process" in said.err
        assert "choose another: --port" in said.err
    assert GatewayState.read(HomePaths(tmp_path / "other")) is None
    assert gateway.ask("GET", "/v2/health/ready") == (200, {"live": True, "ready": True})


def test_a_gateway_that_does_not_answer_is_not_up(gateway: Home) -> None:
    (listener,) = [
        pid
        for pid in marked(gateway.state.marked)
        if b"haproxy.cfg" in Path("/proc", str(pid), "cmdline").read_bytes()
    ]
    os.kill(listener, signal.SIGSTOP)
    try:
        said = gateway.raypipe("serve", "status")
    finally:
        os.kill(listener, signal.SIGCONT)
    assert said.code == 8
    assert f"does not answer at http://127.0.0.1:{gateway.port}" in said.out
    assert gateway.raypipe("serve", "status").code == 0


def test_a_gateway_whose_supervisor_is_killed_is_started_again_or_stopped(
    gateway: Home, scored: Scored
) -> None:
    first = gateway.state
    os.kill(first.pid, signal.SIGKILL)
    crashed = gateway.raypipe("serve", "status")
    assert crashed.code == 8
    assert "its process ended before it was stopped" in crashed.out
    again = gateway.start()
    assert again["pid"] != first.pid
    assert marked(first.marked) == []
    assert not Path(first.folder).exists()
    assert set(versions_of_units(gateway, scored.rows[:3]).values()) == {SECOND}

    second = gateway.state
    os.kill(second.pid, signal.SIGKILL)
    said = gateway.raypipe("serve", "stop")
    assert said.code == 0, said.err
    assert marked(second.marked) == []
    assert not Path(second.folder).exists()
    assert nobody_listens(gateway.port)
    assert "No gateway is up" in gateway.raypipe("serve", "stop").out


def test_who_asks_a_gateway_that_is_not_up_is_told_how_to_start_it(
    home: Home, asked: pa.Table
) -> None:
    assert home.raypipe("serve", "stop").code == 0
    for way in ((), ("--url", f"http://127.0.0.1:{home.port}")):
        said = home.raypipe("predict", "tiny", "asked.parquet", *way)
        assert said.code == 8
        assert "raypipe serve start" in said.err
        assert "Traceback" not in said.err
    assert home.raypipe("serve", "status").code == 8
    said = home.raypipe("promote", f"tiny@{SECOND}")
    assert said.code == 0
    assert "It is not serving" in said.out


@pytest.mark.long
def test_a_gateway_in_the_terminal_ends_with_ctrl_c(home: Home) -> None:
    assert home.raypipe("serve", "stop").code == 0
    process = home.project.start("serve", "run", "--port", str(home.port), "--json")
    try:
        ready = json.loads(process.stdout.readline())
        state = home.state
        assert home.ask("GET", "/v2/health/live") == (200, {"live": True})
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0, err
    assert (ready["event"], ready["url"]) == ("ready", state.url)
    assert json.loads(out)["serve"] == {"stopped": True}
    assert marked(state.marked) == []
    assert not Path(state.folder).exists()


def nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
