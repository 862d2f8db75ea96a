"""Both cycles of the quickstart on the real flights, by the commands that a person types."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from raypipe.app.assemble import Workshop
from raypipe.app.look import look
from raypipe.config.load import load as load_settings

ROOT = Path(__file__).parent.parent.parent
SETTINGS = ROOT / "configs" / "flights.yaml"
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The flights of a year, month by month, and some in snow."""
    folder = tmp_path_factory.mktemp("flights")
    made = [sys.executable, ROOT / "scripts" / "flights.py", folder]
    subprocess.run([*made, "--snow", folder / "snow.parquet"], check=True)
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


def value_of(workshop: Workshop, step: str) -> Any:
    """Return what a step of the cycle gave last."""
    result = workshop.ledger.latest_result(workshop.project, "flights", step)
    assert result is not None, step
    return workshop.codec.decode(workshop.artifacts.read(result.root), workshop.artifacts)


def check_what_was_used(home: Path) -> None:
    """Hold what the first cycle gave against what its settings ask for, part by part."""
    settings, value = load_settings(SETTINGS), partial(value_of, look(home))

    dense = " ".join(value("fit").signature.tensor("dense").columns)
    said = ["temp", "precip", "visib", "hour.sin", "wind_dir.cos", "weekday", "is_weekend"]
    assert [one for one in (*said, "visib<1", "origin=JFK", "add_route") if one not in dense] == []
    assert set(value("fit").signature.tensor("indices").columns) == {
        "carrier",
        "dest",
        "manufacturer",
    }

    trials = [value(f"trial[{number}]") for number in range(settings.tuning.trials)]
    assert trials[0].chosen["training.learning_rate"] == settings.training.learning_rate
    assert len({json.dumps(one.chosen) for one in trials}) == settings.tuning.trials
    short = [one for one in trials if one.stopped is not None]
    assert short
    assert {one.stopped for one in short} == {settings.tuning.halving.first}
    assert value("choose").trial not in {one.number for one in short}

    trained = value("train")
    assert all(0 < row["average_precision"] < 1 for row in trained.history)
    assert 1 < len(trained.checkpoints) <= settings.training.keep
    best = min(trained.history, key=lambda row: row["loss"])
    assert trained.candidate.epoch == best["epoch"]

    (snow,) = value("evaluate_edge_cases")
    assert (snow.name, snow.rows) == ("snow", 184)
    page = value("report").read_text()
    assert value("report_sweep") in page
    assert "snow: 184 rows" in page


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


def test_six_months_and_then_july_make_two_versions(raypipe, data, tmp_path):
    load(raypipe, *(data / f"2013-0{month}.parquet" for month in range(1, 7)))
    kept = raypipe("edge-cases", "add", "snow", data / "snow.parquet", "--config", SETTINGS)
    assert kept["edge_cases"]["rows"] == 184
    first = cycle(raypipe)
    check_what_was_used(tmp_path / "home")
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
