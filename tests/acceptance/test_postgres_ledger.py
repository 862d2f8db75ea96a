"""The command with a ledger in Postgres: drivers share it, it may be away, its password is kept."""

from pathlib import Path

import pytest

from tests.conftest import Project
from tests.postgres import Postgres

FLOW = """
import os
from pathlib import Path

from raypipe import pipeline, step


@step
def one(number: int) -> int:
    with Path(os.environ["LOG"]).open("a") as log:
        log.write(f"{number}\\n")
    return number


@step
def total(parts: dict[str, int]) -> int:
    return sum(parts.values())


@pipeline
def flow(first: int = 0, count: int = 4):
    return total({str(number): one(number) for number in range(first, first + count)})
"""


@pytest.fixture
def flow(project: Project) -> Project:
    project.write("flow.py", FLOW)
    return project


def shared(postgres: Postgres) -> tuple[str, str]:
    """Return a URL with the password in it, and its schema."""
    options = postgres.url().rpartition("&")[2]
    written = "pw%2Fw%C3%AFth%40%27quotes"
    url = f"postgresql://raypipe:{written}@127.0.0.1:{postgres.port}/postgres?{options}"
    return url, options.rpartition("%3D")[2]


def test_a_home_keeps_the_ledger_of_its_first_run_and_no_password(flow: Project, postgres):
    url, _ = shared(postgres)
    log = str(flow.folder / "log")
    first = flow.run("flow.py", RAYPIPE_LEDGER=url, LOG=log)
    assert len(first.executed) == 5
    assert not (flow.folder / ".raypipe" / "ledger.db").exists()

    again = flow.run("flow.py", PGPASSWORD=Postgres.PASSWORD, LOG=log)
    assert again.executed == []
    for command in (("runs", "list"), ("runs", "show", first.result["run"]), ("why", "total")):
        said = flow.raypipe(*command, "--json", PGPASSWORD=Postgres.PASSWORD)
        assert said.code == 0, said.err

    refused = flow.raypipe("run", "flow.py", PGPASSWORD="wr0ng")
    assert refused.code == 7
    assert "cannot be reached" in refused.err
    kept = b"".join(file.read_bytes() for file in flow.folder.rglob("*") if file.is_file())
    kept += (said.out + refused.out + refused.err).encode()
    for secret in (Postgres.PASSWORD, "pw%2F", "wr0ng"):
        assert secret.encode() not in kept


def test_a_server_that_is_away_is_told_with_its_exit_code(flow: Project):
    url = "postgresql://ann:hidden@127.0.0.1:1/flows"
    said = flow.raypipe("run", "flow.py", RAYPIPE_LEDGER=url)
    assert said.code == 7
    assert "see that the server is up" in said.err
    assert "hidden" not in said.err + said.out


def test_eight_drivers_of_overlapping_pipelines_lose_no_result_and_make_none_twice(
    flow: Project, postgres
):
    url, schema = shared(postgres)
    log = flow.folder / "log"
    ranges = [(first, 12) for first in (0, 4, 8, 12)] * 2
    started = [
        flow.start(
            "run", "flow.py", "--set", f"first={first}", "--set", f"count={count}", "--json",
            RAYPIPE_LEDGER=url, LOG=str(log),
        )
        for first, count in ranges
    ]  # fmt: skip
    said = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0] * 8, said
    numbers = sorted(int(line) for line in log.read_text().split())
    assert numbers == list(range(24)), "each was made, and by one driver alone"
    made = postgres.ask(f"SELECT step, key, live FROM {schema}.results")
    assert len(made) == len({key for _, key, _ in made}) == 24 + 4
    assert {live for _, _, live in made} == {1}
    ended = postgres.ask(f"SELECT status, count(*) FROM {schema}.runs GROUP BY 1")
    assert ended == [("succeeded", 8)]
    attempts = postgres.ask(f"SELECT status, count(*) FROM {schema}.executions GROUP BY 1")
    assert attempts == [("succeeded", 28)]


def test_runs_go_on_when_the_server_was_restarted_meanwhile(flow: Project, wait_until, tmp_path):
    from tests.postgres import a_postgres

    flow.write(
        "slow.py", FLOW.replace("    return number\n", "    wait()\n    return number\n") + WAIT
    )
    gate = Path(tmp_path / "gate")
    with a_postgres() as server:
        url, schema = shared(server)
        log = flow.folder / "log"
        running = flow.start(
            "run", "slow.py", "--json", RAYPIPE_LEDGER=url, LOG=str(log), GATE=str(gate)
        )
        wait_until(log.exists)
        server.stop()
        server.start()
        gate.touch()
        out, err = running.communicate(timeout=120)
        assert running.returncode == 0, err + out
        assert server.ask(f"SELECT count(*) FROM {schema}.results WHERE live = 1") == [(5,)]


WAIT = """

def wait() -> None:
    import time

    while not Path(os.environ["GATE"]).exists():
        time.sleep(0.01)
"""
