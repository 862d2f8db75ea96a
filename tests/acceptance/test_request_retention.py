"""Old requests go by rule, whole segments at a time; what may still become data stays."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest

from raypipe.app.look import look, workshop_of
from raypipe.app.request_retention import retire_requests
from raypipe.app.requests import audit, export
from raypipe.engine.records import Actor, Json, RunRecord, RunStatus
from raypipe.store.segments import SegmentWriter, alone, being_read, seal

DAY = 86_400.0
OLD, YOUNG = time.time() - 100 * DAY, time.time() - DAY
KEEP = 30


def name(number: int, at: float) -> str:
    """Return an id as the gateway makes it."""
    return f"{int(at * 1e9):016x}{number:016x}"


def asked(number: int, at: float, client: str | None = None) -> bytes:
    return orjson.dumps(
        {
            "kind": "request",
            "id": name(number, at),
            "client_id": client,
            "time": at,
            "model": "tiny",
            "version": "1.0.0",
            "unit": None,
            "rows": 1,
            "columns": {"wind": [number]},
            "outputs": {"late_probability": [0.5]},
        }
    )


def label(request: str, at: float, model: str | None = "tiny") -> bytes:
    return orjson.dumps(
        {
            "kind": "label",
            "id": name(0, at),
            "time": at,
            "model": model,
            "source": "file",
            "by": "ada",
            "request": request,
            "row": 0,
            "label": 1,
        }
    )


def segment(home: Path, bodies: Iterable[bytes]) -> None:
    """Keep records in a sealed segment of their own."""
    writer = SegmentWriter(home / "requests")
    for body in bodies:
        writer.append(body)
    writer.close()
    seal(home / "requests")


def ran(home: Path, pipeline: str, settings: Json) -> None:
    """Enter a run of a pipeline with its settings."""
    ledger = workshop_of(home).ledger
    run = RunRecord(
        id=f"20260101-000001-{pipeline}",
        project="mine",
        pipeline=pipeline,
        status=RunStatus.RUNNING,
        created=YOUNG,
        actor=Actor(user="ann", host="laptop"),
        settings=settings,
    )
    ledger.start_run(run)
    ledger.end_run(run.id, RunStatus.SUCCEEDED)


@pytest.fixture
def home(tmp_path) -> Path:
    """Return a home whose model's settings keep requests for some days."""
    home = tmp_path / "home"
    told = {"name": "tiny", "store": {"keep": {"requests": KEEP}}}
    ran(home, "tiny", told)
    ran(home, "script", None)
    return home


def retire(home: Path, *, dry_run: bool = False) -> tuple[int, int, int]:
    said = retire_requests(look(home), dry_run=dry_run)
    assert "kept" not in said
    return said["segments"], said["requests"], said["labels"]


def ids(home: Path, tmp_path: Path, names: Iterable[str]) -> dict:
    file = tmp_path / "ids.txt"
    file.write_text("\n".join(names))
    return audit(home, file)


def test_old_segments_go_and_an_audit_counts_them_as_removed_by_rule(home, tmp_path) -> None:
    segment(home, [asked(n, OLD + n, client=f"client {n}") for n in range(3)])
    segment(home, [asked(9, YOUNG)])
    assert retire(home, dry_run=True) == (1, 3, 0)
    assert audit(home)["records"] == 4, "it was only asked"
    assert retire(home) == (1, 3, 0)
    assert retire(home) == (0, 0, 0)

    found = ids(home, tmp_path, [name(n, OLD + n) for n in range(3)] + [name(9, YOUNG)])
    assert found["whole"]
    assert (found["records"], found["missing"]) == (1, 0)
    removed = found["removed"]
    assert (removed["segments"], removed["requests"], removed["acknowledged"]) == (1, 3, 3)
    assert removed["first"] == pytest.approx(OLD)
    assert removed["last"] == pytest.approx(OLD + 2)
    assert ids(home, tmp_path, ["client 1"])["whole"]
    assert export("tiny", tmp_path / "out.csv", home)["requests"] == 1


def test_what_is_lost_is_not_excused_by_the_rule(home, tmp_path) -> None:
    segment(home, [asked(n, OLD + n) for n in range(2)])
    retire(home)
    lost = ids(home, tmp_path, [name(5, YOUNG)])
    assert (lost["whole"], lost["ids"]) == (False, [name(5, YOUNG)])
    more = ids(home, tmp_path, ["a", "b", "c"])
    assert (more["missing"], more["removed"]["acknowledged"]) == (1, 2), "more than went"


def test_of_several_settings_the_longest_time_holds(home) -> None:
    segment(home, [asked(1, OLD)])
    ran(home, "other", {"name": "other"})
    assert retire(home) == (0, 0, 0)


def test_an_open_segment_and_one_with_a_young_record_stay(home) -> None:
    segment(home, [asked(1, OLD), asked(2, YOUNG)])
    writer = SegmentWriter(home / "requests")
    writer.append(asked(3, OLD))
    assert retire(home) == (0, 0, 0)
    writer.close()
    assert retire(home) == (0, 0, 0), "it is not sealed"
    seal(home / "requests")
    assert retire(home) == (1, 1, 0)


def test_a_request_with_a_label_that_no_join_read_stays_with_its_labels(home) -> None:
    segment(home, [asked(1, OLD, client="mine")])
    segment(home, [asked(2, OLD)])
    segment(home, [label("mine", OLD + 1), label("of nothing", OLD + 1)])
    segment(home, [label("of nothing", OLD + 1)])
    assert retire(home) == (2, 1, 1)
    assert {(one["kind"], one["records"]) for one in audit(home)["kinds"]} == {
        ("request", 1),
        ("label", 2),
    }


def test_whoever_reads_the_log_keeps_all_of_it(home) -> None:
    segment(home, [asked(1, OLD)])
    with being_read(home / "requests"):
        assert "somebody reads" in retire_requests(look(home), dry_run=False)["kept"]
    assert audit(home)["records"] == 1
    assert retire(home) == (1, 1, 0)


def test_what_is_damaged_keeps_all(home) -> None:
    segment(home, [asked(1, OLD)])
    segment(home, [asked(2, YOUNG)])
    young = max((home / "requests" / "sealed").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    young.write_bytes(young.read_bytes()[:-20])
    assert "not whole" in retire_requests(look(home), dry_run=False)["kept"]
    assert len(list((home / "requests" / "sealed").iterdir())) == 2


REMOVER = """\
import sys
from pathlib import Path
from raypipe.app.look import look
from raypipe.app.request_retention import retire_requests
retire_requests(look(Path(sys.argv[1])), dry_run=False)
"""


@pytest.mark.parametrize("point", ["removal.noted", "segment.removed", "segment.removed:2"])
def test_a_kill_in_the_middle_loses_nothing_and_counts_nothing_twice(
    home, tmp_path, point: str
) -> None:
    for n in range(3):
        segment(home, [asked(n, OLD + n)])
    segment(home, [asked(9, YOUNG)])
    names = [name(n, OLD + n) for n in range(3)] + [name(9, YOUNG)]
    killed = subprocess.run(
        [sys.executable, "-c", REMOVER, home],
        env={**os.environ, "RAYPIPE_FAULT": point},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    for left in (3, 0):
        found = ids(home, tmp_path, names)
        assert (found["whole"], found["records"], found["missing"]) == (True, 1, 0)
        assert (found["removed"]["segments"], found["removed"]["requests"]) == (3, 3)
        if left:
            assert retire(home) == (0, 0, 0)
    assert len(list((home / "requests" / "sealed").iterdir())) == 1
    with alone(home / "requests") as is_mine:
        assert is_mine
