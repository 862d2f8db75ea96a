"""The flights cycle on Ray, once on local data and once in lakeFS: the same metrics."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lakefs import LakeFS

ROOT = Path(__file__).parent.parent.parent
MONTHS = (1, 2, 3)
ONE_BY_ONE = ("--set", "tuning.concurrent=1")
"""What a trial is held to, and what is tried next, then follows from no clock."""
pytestmark = [pytest.mark.long, pytest.mark.ray]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("flights")
    subprocess.run([sys.executable, ROOT / "scripts" / "flights.py", folder], check=True)
    return folder


def metrics(data: Path, home: Path, kind: str, server: LakeFS) -> dict:
    """Import, run to the review, approve, run to the version; return its metrics."""
    settings = {"local": "flights.yaml", "lakefs": "flights-lakefs.yaml"}[kind]
    file = ROOT / "configs" / settings
    printed = []

    def raypipe(*arguments: object) -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "raypipe", *map(str, arguments), "--json"],
            cwd=ROOT,
            env={**os.environ, **server.lakectl, "RAYPIPE_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        printed.append(done.stdout + done.stderr)
        return json.loads(done.stdout.strip().splitlines()[-1])

    files = [data / f"2013-0{month}.parquet" for month in MONTHS]
    raypipe(
        "data", "import", *files, "--to", f"{kind}://flights/main", "--config", file, "--create"
    )
    waiting = raypipe("run", file, *ONE_BY_ONE)
    assert waiting["status"] == "waiting"
    raypipe("review", "approve", waiting["reviews"][0]["id"], "--by", "ada")
    assert raypipe("run", file, *ONE_BY_ONE)["status"] == "succeeded"
    found = raypipe("models", "show", "flights")["model"]["metrics"]
    assert not any(server.secret_key in text for text in printed)
    return found


def test_flights_in_lakefs_give_the_metrics_of_local_flights(data, tmp_path, lakefs_server):
    on_local = metrics(data, tmp_path / "local", "local", lakefs_server)
    on_lakefs = metrics(data, tmp_path / "lakefs", "lakefs", lakefs_server)

    assert on_lakefs == on_local
    assert float(on_local["auc"].split()[0]) > 0.65
    kept = [file for file in (tmp_path / "lakefs").rglob("*") if file.is_file()]
    secret = lakefs_server.secret_key.encode()
    assert len(kept) > 50
    assert [file for file in kept if secret in file.read_bytes()] == []
