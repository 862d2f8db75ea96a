"""A commit begins a run once, whatever becomes of the word that it did."""

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.app.assemble import open_workshop
from raypipe.app.triggers import Eye, Watched
from raypipe.config.load import load
from raypipe.engine.records import Actor
from raypipe.errors import StoreError
from raypipe.store.ledger_gate import GateRecords
from raypipe.store.versions import open_store
from raypipe.values.uri import parse_uri

SETTINGS = """
name: tiny
data: {dataset: local://tiny/main, label: late, key: [number], split: {by: hash, columns: [number]}}
preprocessing: {groups: [{kind: numeric, columns: [wind]}]}
"""
ME = Actor(user="me", host="here")


@pytest.fixture
def told() -> list[dict]:
    return []


@pytest.fixture
def eye(tmp_path: Path, told: list[dict], monkeypatch) -> Eye:
    """Watch a dataset; the settings file is gone by the time of a run, which so ends at once."""
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / "tiny.yaml"
    settings.write_text(SETTINGS)
    watched = Watched(file=settings, config=load(settings))
    settings.unlink()
    workshop = open_workshop(tmp_path, tmp_path / ".raypipe", write=True)
    versions = open_store(parse_uri("local://tiny/main"), workshop.paths.home, create=True)
    pq.write_table(pa.table({"number": [1]}), "rows.parquet")
    versions.put("main", "part-rows.parquet", Path("rows.parquet"))
    versions.commit("main", "Mine", ME)
    return Eye(workshop, [watched], told.append)


def events(eye: Eye, told: list[dict]) -> list[str]:
    until = time.monotonic() + 30
    while eye._processes and time.monotonic() < until:
        time.sleep(0.05)
    eye.end()
    return [one["event"] for one in told]


def test_a_commit_begins_one_run(eye, told):
    eye.look()
    eye.look()
    assert events(eye, told) == ["run_begun", "run_ended"]
    assert told[1]["exit"] == 9


def test_a_ledger_that_cannot_be_written_does_not_begin_it_again_and_again(eye, told, monkeypatch):
    def full(*given: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(GateRecords, "add_triggered", full)
    for _ in range(3):
        eye.look()
    assert events(eye, told) == ["run_begun", "run_ended"]


def test_another_watch_does_not_begin_it_again(eye, told):
    eye.look()
    events(eye, told)
    other = Eye(eye._workshop, eye._watched, told.append)
    other.look()
    assert events(other, told) == ["run_begun", "run_ended"]
