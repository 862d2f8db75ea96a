"""The request log by its commands: audited, exported, sealed."""

import contextlib
from random import Random

import orjson
import pyarrow.parquet as pq
import pytest

from raypipe.app.requests import audit, export
from raypipe.errors import StoreError
from raypipe.store.segments import SegmentWriter
from tests.conftest import Project


def asked(number: int, version: str = "1.0.0", model: str = "tiny") -> bytes:
    return orjson.dumps(
        {
            "kind": "request",
            "id": f"{number:032x}",
            "client_id": None,
            "time": 1_700_000_000.0 + number,
            "model": model,
            "version": version,
            "unit": None,
            "rows": 2,
            "columns": {"wind": [1.5, number], "carrier": ["AA", None]},
            "outputs": {"late_probability": [0.25, 0.5]},
        }
    )


@pytest.fixture
def log(project: Project) -> Project:
    """A project with five requests in its log."""
    writer = SegmentWriter(project.folder / ".raypipe" / "requests")
    for number in range(5):
        writer.append(asked(number, "1.0.0" if number < 3 else "1.0.1"))
    writer.close()
    return project


def test_an_audit_of_a_whole_log_counts_what_there_is(log: Project) -> None:
    said = log.raypipe("requests", "audit", "--json")
    assert said.code == 0, said.err
    found = said.result["audit"]
    assert (found["whole"], found["records"], found["segments"]) == (True, 5, 1)
    assert {one["version"]: one["records"] for one in found["kinds"]} == {"1.0.0": 3, "1.0.1": 2}
    assert "All of it is whole." in log.raypipe("requests", "audit").out


def test_an_audit_says_which_acknowledged_ids_are_missing(log: Project) -> None:
    log.write("ids.txt", f"{1:032x}\n{77:032x}\n")
    said = log.raypipe("requests", "audit", "--ids", "ids.txt")
    assert said.code == 7
    assert f"MISSING {77:032x}" in said.out
    log.write("ids.txt", "\n".join(f"{n:032x}" for n in range(5)))
    assert log.raypipe("requests", "audit", "--ids", "ids.txt").code == 0


@pytest.mark.parametrize("sealed", [False, True])
def test_an_audit_tells_damage(log: Project, sealed: bool) -> None:
    folder = log.folder / ".raypipe" / "requests"
    if sealed:
        assert log.raypipe("requests", "seal").code == 0
    (path,) = (folder / "sealed").iterdir() if sealed else folder.glob("*.seg")
    data, at = bytearray(path.read_bytes()), 0
    if sealed:  # in its records: of bytes that nobody reads none is told
        body = pq.ParquetFile(path).metadata.row_group(0).column(10)
        at = body.dictionary_page_offset + body.total_compressed_size // 2
    data[at or len(data) // 2] ^= 255
    path.write_bytes(data)
    said = log.raypipe("requests", "audit")
    assert said.code == 7
    assert "It is not whole." in said.out
    assert log.raypipe("doctor", "--verify").code == 7


def test_what_damage_is_done_to_a_sealed_segment_is_told_and_never_left_out(log: Project) -> None:
    """Any bit of it: an audit says what is wrong, an export does not pass over records."""
    home = log.folder / ".raypipe"
    assert log.raypipe("requests", "seal").code == 0
    (path,) = (home / "requests" / "sealed").iterdir()
    whole, random = path.read_bytes(), Random(0)
    for _ in range(150):
        data = bytearray(whole)
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        path.write_bytes(data)
        found = audit(home)
        if not found["whole"]:
            assert found["faults"]
        with contextlib.suppress(StoreError):
            export("tiny", log.folder / "asked.parquet", home)
            assert pq.read_table(log.folder / "asked.parquet").num_rows == 10
    path.write_bytes(whole[: len(whole) // 2])
    assert not audit(home)["whole"]
    with pytest.raises(StoreError, match="cannot be read") as refused:
        export("tiny", log.folder / "asked.parquet", home)
    assert "move it away" in str(refused.value.hint)


def test_an_export_has_a_row_for_each_row(log: Project) -> None:
    said = log.raypipe("requests", "export", "tiny", "--out", "asked.parquet", "--json")
    assert said.code == 0, said.err
    table = pq.read_table(log.folder / "asked.parquet")
    assert table.num_rows == 10
    assert table["request_row"].to_pylist() == [0, 1] * 5
    assert table["wind"].to_pylist()[:4] == [1.5, 0, 1.5, 1]
    assert table["late_probability"].to_pylist()[:2] == [0.25, 0.5]
    since = ("--since", "2023-11-14T22:13:23")
    later = log.raypipe("requests", "export", "tiny", "--out", "b.csv", *since, "--json")
    assert later.result["export"]["requests"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("export", "other", "--out", "a.csv"), 9, "no request of 'other'"),
        (("export", "tiny", "--out", "a.txt"), 2, "neither .parquet nor .csv"),
        (("export", "tiny", "--out", "a.csv", "--since", "monday"), 2, "no moment"),
        (("audit", "--ids", "none.txt"), 9, "no file"),
        (("audit", "--ids", "pyproject.toml", "--home", "nowhere"), 9, "no home"),
    ],
)
def test_what_makes_no_sense_is_told(log: Project, arguments, code, words) -> None:
    said = log.raypipe("requests", *arguments)
    assert said.code == code
    assert words in said.err
    assert "Traceback" not in said.err


def test_a_home_without_a_log_is_an_empty_one(project: Project) -> None:
    said = project.raypipe("requests", "audit")
    assert (said.code, said.out) == (0, "The request log is empty.\n")
