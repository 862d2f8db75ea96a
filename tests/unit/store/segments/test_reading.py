"""Reading finds each whole record once, and says what is wrong with the rest."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.store.segments import SegmentWriter, inspect, read_records, read_segment, segments
from raypipe.store.segments.frames import Frame, Header, frame, read_frames, seed_of, write_header

RECORDS = [orjson.dumps({"kind": "request", "id": str(n), "pad": "é" * n}) for n in range(6)]


@pytest.fixture
def log(tmp_path) -> Path:
    """A log with one ended segment."""
    writer = SegmentWriter(tmp_path)
    for record in RECORDS:
        writer.append(record)
    writer.close()
    return tmp_path


def only(folder: Path) -> Path:
    (path,) = folder.glob("*.seg")
    return path


def test_cut_anywhere_the_whole_records_before_are_there(log):
    """A torn tail was never acknowledged."""
    path = only(log)
    data = path.read_bytes()
    seen = set()
    for length in range(len(data) - sum(map(len, RECORDS)) - 16 * len(RECORDS), len(data) + 1):
        path.write_bytes(data[:length])
        (found,) = inspect(log)
        read = [record["id"] for record in read_records(log)]
        assert read == [str(n) for n in range(len(read))]
        assert found.is_whole
        seen.add(len(read))
    assert seen == set(range(len(RECORDS) + 1))


def test_a_flipped_bit_is_damage_that_costs_one_record(log):
    path = only(log)
    data = bytearray(path.read_bytes())
    data[data.index(b'"id":"2"') + 6] ^= 1
    path.write_bytes(data)
    (found,) = inspect(log)
    assert (found.missing, found.damaged > 0, found.is_whole) == (1, True, False)
    assert [record["id"] for record in read_records(log)] == ["0", "1", "3", "4", "5"]


def test_a_file_that_is_no_segment_is_said_and_the_others_are_read(log):
    (log / "other.seg").write_text("what is this")
    said = {found.segment.uuid: found.said for found in inspect(log)}
    assert "does not begin as a segment" in said["other"]
    assert len(list(read_records(log))) == len(RECORDS)


def test_an_open_segment_counts_by_the_records_that_are_in_it(tmp_path):
    writer = SegmentWriter(tmp_path)
    writer.append(RECORDS[0])
    (before,) = segments(tmp_path)
    writer.append(RECORDS[1])
    (after,) = segments(tmp_path)
    writer.close()
    assert (before.records, after.records) == (1, 2)
    assert before.digest != after.digest
    assert read_segment(before)["id"].to_pylist() == ["0"]


def test_a_table_of_records_keeps_each_whole(log):
    (segment,) = segments(log)
    table = read_segment(segment)
    assert table["body"].to_pylist() == [record.decode() for record in RECORDS]
    assert table["kind"].to_pylist() == ["request"] * len(RECORDS)


@given(
    bodies=st.lists(st.binary(max_size=40), max_size=8),
    junk=st.binary(max_size=60),
    at=st.integers(0, 400),
)
def test_junk_written_anywhere_never_makes_a_record(bodies, junk, at):
    """Records that the junk does not touch are all found: in order, none twice."""
    seed = seed_of("x")
    data = bytearray(b"".join(frame(seed, n, body) for n, body in enumerate(bodies)))
    at = min(at, len(data))
    data[at : at + len(junk)] = junk
    found = [
        (one.sequence, one.body)
        for one in read_frames(lambda o, n: bytes(data[o : o + n]), 0, len(data), seed)
        if isinstance(one, Frame)
    ]
    ends, start = [], 0
    for body in bodies:
        ends.append((start, start + 16 + len(body)))
        start += 16 + len(body)
    untouched = [
        (n, body)
        for n, (body, (first, last)) in enumerate(zip(bodies, ends, strict=True))
        if last <= at or first >= at + len(junk)
    ]
    assert [one for one in found if one in untouched] == untouched
    assert set(found) <= set(enumerate(bodies))


def test_a_header_of_a_later_format_is_refused_in_words(tmp_path):
    data = bytearray(write_header(Header(uuid="a", pid=1, host="h", created=1.0)))
    data[8] = 9
    (tmp_path / "a.seg").write_bytes(data)
    (found,) = inspect(tmp_path)
    assert "format 9" in found.said
