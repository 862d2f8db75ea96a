"""Sealing: once, whole, whoever else seals, and wherever it is killed."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from raypipe.errors import StoreError
from raypipe.store.segments import (
    SegmentWriter,
    inspect,
    read_records,
    reading,
    seal,
    sealing,
    segments,
)
from raypipe.store.segments.reading import read_segment, verify


def fill(folder: Path, records: int = 10) -> None:
    writer = SegmentWriter(folder)
    for number in range(records):
        writer.append(orjson.dumps({"kind": "request", "id": f"{number}"}))
    writer.close()


def ids(folder: Path) -> list[str]:
    return [record["id"] for record in read_records(folder)]


ALL = [str(n) for n in range(10)]


def test_what_a_living_writer_holds_is_not_sealed(tmp_path):
    writer = SegmentWriter(tmp_path)
    writer.append(b'{"id":"a"}')
    assert seal(tmp_path) == []
    writer.rotate()
    assert len(seal(tmp_path)) == 1
    writer.close()
    assert ids(tmp_path) == ["a"]


def test_a_number_that_no_column_holds_keeps_nothing_from_being_sealed(tmp_path):
    """One record must not keep all others of its segment from being read as a table."""
    body = {"kind": "label", "id": "a", "time": 2**64 - 1, "row": 2**64 - 1}
    writer = SegmentWriter(tmp_path)
    writer.append(orjson.dumps(body))
    writer.append(orjson.dumps({**body, "id": "b", "row": 7}))
    writer.close()
    assert len(seal(tmp_path)) == 1
    assert list(read_records(tmp_path)) == [body, {**body, "id": "b", "row": 7}]
    assert read_segment(segments(tmp_path)[0])["row"].to_pylist() == [None, 7]


def test_a_sealed_segment_counts_as_the_open_one_did(tmp_path):
    """So what was worked out of it is found again."""
    fill(tmp_path)
    (before,) = segments(tmp_path)
    assert seal(tmp_path) == [before.uuid]
    (after,) = segments(tmp_path)
    assert after.sealed
    assert (after.records, after.digest) == (before.records, before.digest)
    assert ids(tmp_path) == ALL
    assert verify(inspect(tmp_path)[0]).is_whole


def test_a_listed_segment_is_read_though_it_be_sealed_meanwhile(tmp_path):
    from raypipe.store.segments.reading import read_bodies

    fill(tmp_path)
    (before,) = segments(tmp_path)
    seal(tmp_path)
    assert len(list(read_bodies(before))) == 10


def test_the_same_segment_gives_the_same_bytes(tmp_path):
    fill(tmp_path)
    (path,) = tmp_path.glob("*.seg")
    data = path.read_bytes()
    seal(tmp_path)
    (sealed,) = (tmp_path / "sealed").iterdir()
    first = sealed.read_bytes()
    sealed.unlink()
    path.write_bytes(data)
    seal(tmp_path)
    assert sealed.read_bytes() == first


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs."""


@pytest.mark.parametrize("act", ["open", "fsync", "rename", "sync_folder", "unlink"])
def test_a_sealer_that_ends_at_any_act_loses_and_repeats_nothing(tmp_path, monkeypatch, act):
    fill(tmp_path)

    def killed(*_: object, **__: object) -> None:
        raise Killed

    place = {"fsync": (sealing.os, "fsync"), "sync_folder": (sealing, "sync_folder")}
    owner, name = place.get(act, (Path, act))
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, killed)
        with pytest.raises(Killed):
            seal(tmp_path)
    assert ids(tmp_path) == ALL
    seal(tmp_path)
    assert ids(tmp_path) == ALL
    assert not list(tmp_path.glob("*.seg"))
    assert len(list((tmp_path / "sealed").glob("*.parquet"))) == 1


@pytest.mark.slow
def test_sealers_at_once_seal_each_segment_once(tmp_path):
    for _ in range(12):
        fill(tmp_path)
    code = (
        "import sys; from pathlib import Path; from raypipe.store.segments import seal\n"
        "print(*seal(Path(sys.argv[1])))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    sealed = [name for process in running for name in process.communicate()[0].split()]
    assert len(sealed) == len(set(sealed)) == 12
    assert sorted(ids(tmp_path)) == sorted(ALL * 12)


def test_damage_is_kept_aside_and_said(tmp_path):
    fill(tmp_path)
    (path,) = tmp_path.glob("*.seg")
    data = bytearray(path.read_bytes())
    data[data.index(b'"id":"4"') + 6] ^= 1
    path.write_bytes(data)
    seal(tmp_path)
    (found,) = inspect(tmp_path)
    assert (found.missing, found.is_whole) == (1, False)
    assert len(ids(tmp_path)) == 9
    assert (tmp_path / "damaged" / path.name).read_bytes() == bytes(data)


def test_a_changed_sealed_file_is_told_from_what_was_sealed(tmp_path):
    fill(tmp_path)
    seal(tmp_path)
    (sealed,) = (tmp_path / "sealed").iterdir()
    data = sealed.read_bytes()
    sealed.write_bytes(data[: len(data) // 2])
    (found,) = inspect(tmp_path)
    assert "cannot be read" in found.said


def test_a_sealed_segment_that_cannot_be_read_is_not_passed_over(tmp_path):
    """What is counted without it would be wrong, and nobody would know."""
    fill(tmp_path)
    seal(tmp_path)
    (sealed,) = (tmp_path / "sealed").glob("*.parquet")
    sealed.write_bytes(sealed.read_bytes()[:50])
    with pytest.raises(StoreError, match="cannot be read"):
        ids(tmp_path)
    assert not inspect(tmp_path)[0].is_whole


def test_a_segment_without_a_record_that_is_sealed_meanwhile_is_no_fault(tmp_path, monkeypatch):
    writer = SegmentWriter(tmp_path, level="memory", seal_after=1e9)
    monkeypatch.setattr(writer, "_look_after", lambda: None)
    writer.append(b"{}")
    writer._held.clear()
    writer.close()
    monkeypatch.setattr(reading, "look_at", lambda path: seal(path.parent) or path.read_bytes())
    (found,) = inspect(tmp_path)
    assert (found.is_whole, found.segment.records) == (True, 0)
