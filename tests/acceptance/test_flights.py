"""Both cycles of the quickstart on the real flights, by the commands that a person types."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parent.parent.parent
SETTINGS = ROOT / "configs" / "flights.yaml"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Seven months of flights."""
    folder = tmp_path_factory.mktemp("flights")
    subprocess.run([sys.executable, ROOT / "scripts" / "flights.py", folder], check=True)
    return folder


@pytest.fixture
def raypipe(tmp_path):
    """The command in a home of its own; returns the last line of its JSON."""

    def run(*arguments: str) -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "raypipe", *map(str, arguments), "--json"],
            cwd=ROOT,
            env={**os.environ, "RAYPIPE_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run


def load(raypipe, *files: Path) -> dict:
    return raypipe("data", "import", *files, "--to", "local://flights/main", "--config", SETTINGS)


def cycle(raypipe) -> set[str]:
    """Run to the review, approve, and on to the version; return the stages that were executed."""
    waiting = raypipe("run", SETTINGS)
    assert waiting["status"] == "waiting"
    executed = [step["name"] for step in waiting["steps"] if step["action"] == "execute"]
    raypipe("review", "approve", waiting["reviews"][0]["id"], "--by", "ada")
    assert raypipe("run", SETTINGS)["status"] == "succeeded"
    again = raypipe("run", SETTINGS)["steps"]
    assert {step["action"] for step in again} == {"hit"}
    return set(executed)


def test_six_months_and_then_july_make_two_versions(raypipe, data):
    load(raypipe, *(data / f"2013-0{month}.parquet" for month in range(1, 7)))
    first = cycle(raypipe)
    assert {f"transform_shards[{number}]" for number in range(6)} <= first
    shown = raypipe("models", "show", "flights")["model"]
    assert shown["version"] == "1.0.0"

    july = load(raypipe, data / "2013-07.parquet")["import"]
    assert july["validation"]["verdict"] in {"pass", "warn"}
    plan = raypipe("plan", SETTINGS)["steps"]
    executed = {step["name"] for step in plan if step["action"] == "execute"}
    assert executed == {"transform_shards[6]"}
    second = cycle(raypipe)
    assert "fit" not in second
    assert "transform_shards[0]" not in second

    shown = raypipe("models", "show", "flights")["model"]
    assert shown["version"] == "1.0.1"
    added = pq.read_metadata(data / "2013-07.parquet").num_rows
    assert f"{added:,} rows added" in shown["changelog"]["data"][0]
    assert float(shown["metrics"]["auc"].split()[0]) > 0.68
