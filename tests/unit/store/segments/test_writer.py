"""What the writer acknowledged is in the log, whatever ends the process; what it refused is not."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest

from raypipe.errors import StoreError
from raypipe.store.segments import SegmentWriter, inspect, read_records, seal, segments


def body(number: int) -> bytes:
    return orjson.dumps({"kind": "request", "id": str(number)})


def ids(folder: Path) -> list[str]:
    return [record["id"] for record in read_records(folder)]


@pytest.mark.parametrize("level", ["process", "disk"])
def test_what_was_appended_is_read_at_once_and_in_order(tmp_path, level):
    writer = SegmentWriter(tmp_path, level=level)
    for number in range(5):
        writer.append(body(number))
        assert ids(tmp_path) == [str(n) for n in range(number + 1)]
    writer.close()
    assert (writer.records, writer.size) == (5, 5 * len(body(0)))


def test_at_the_level_memory_records_are_written_in_time(tmp_path, wait_until):
    writer = SegmentWriter(tmp_path, level="memory")
    writer.append(body(1))
    wait_until(lambda: ids(tmp_path) == ["1"])
    writer.append(body(2))
    writer.close()
    assert ids(tmp_path) == ["1", "2"]


def test_nothing_is_made_before_the_first_record(tmp_path):
    SegmentWriter(tmp_path / "requests").close()
    assert not list(tmp_path.iterdir())


def test_a_segment_ends_at_its_size(tmp_path):
    writer = SegmentWriter(tmp_path, seal_bytes=400)
    for number in range(20):
        writer.append(body(number))
    writer.close()
    assert len(segments(tmp_path)) > 2
    assert sorted(ids(tmp_path), key=int) == [str(n) for n in range(20)]


def test_a_segment_ends_at_its_age_though_nothing_is_asked_any_more(tmp_path, wait_until):
    writer = SegmentWriter(tmp_path, seal_after=0.2)
    writer.append(body(1))
    wait_until(lambda: seal(tmp_path))
    writer.append(body(2))
    assert len(segments(tmp_path)) == 2
    writer.close()


def test_threads_append_whole_records(tmp_path):
    writer = SegmentWriter(tmp_path, level="disk", seal_bytes=2000)

    def work(start: int) -> None:
        for number in range(start, start + 50):
            writer.append(body(number))

    threads = [threading.Thread(target=work, args=(n * 50,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert sorted(ids(tmp_path), key=int) == [str(n) for n in range(200)]
    assert all(found.is_whole for found in inspect(tmp_path))


def test_segments_that_are_ended_by_two_at_once_keep_nobody_waiting(tmp_path):
    """By the thread that looks after a segment's age, say, and by a record that finds it full."""
    writer = SegmentWriter(tmp_path, level="disk", seal_bytes=200)
    done = threading.Event()

    def append() -> None:
        for number in range(100):
            writer.append(body(number))

    def rotate() -> None:
        while not done.is_set():
            writer.rotate()

    appending = [threading.Thread(target=append, daemon=True) for _ in range(2)]
    rotating = threading.Thread(target=rotate, daemon=True)
    for thread in (*appending, rotating):
        thread.start()
    for thread in appending:
        thread.join(timeout=20)
    assert not any(thread.is_alive() for thread in appending)
    done.set()
    rotating.join()
    writer.close()
    assert len(ids(tmp_path)) == 200


def test_a_forked_child_writes_a_segment_of_its_own(tmp_path):
    code = (
        "import os, sys, warnings; warnings.simplefilter('ignore')\n"
        "from pathlib import Path; from raypipe.store.segments import SegmentWriter\n"
        'writer = SegmentWriter(Path(sys.argv[1])); writer.append(b\'{"id":"a"}\')\n'
        "child = os.fork()\n"
        'writer.append(b\'{"id":"b"}\' if child else b\'{"id":"c"}\')\n'
        "if not child: os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
    assert sorted(ids(tmp_path)) == ["a", "b", "c"]
    assert sorted(one.records for one in segments(tmp_path)) == [1, 2]


LOAD = """
import sys, time, orjson
from pathlib import Path
from raypipe.store.segments import SegmentWriter
writer = SegmentWriter(Path(sys.argv[1]), level=sys.argv[3], seal_bytes=20000)
number = 0
while True:
    number += 1
    name = f"{sys.argv[2]}-{number}"
    writer.append(orjson.dumps({"kind": "request", "id": name, "filler": "x" * (number % 300)}))
    sys.stdout.write(name + "\\n")
    sys.stdout.flush()
    time.sleep(0.0003)
"""


def _start(folder: Path, out: Path, level: str) -> "subprocess.Popen[bytes]":
    with out.open("w") as said:
        return subprocess.Popen([sys.executable, "-c", LOAD, folder, out.name, level], stdout=said)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["process", "disk"])
def test_kill_9_of_writers_under_load_loses_nothing_that_was_acknowledged(
    tmp_path, level, wait_until
):
    """Whoever reads a line on the writer's output was answered."""
    folder, acknowledged = tmp_path / "requests", []
    for round_ in range(3):
        answered = [tmp_path / f"{round_}.{n}" for n in range(2)]
        writers = [_start(folder, file, level) for file in answered]
        wait_until(lambda: all(file.stat().st_size > 2_000 for file in answered))  # noqa: B023
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        seal(folder)
        for n in range(2):
            lines = (tmp_path / f"{round_}.{n}").read_text().splitlines(keepends=True)
            acknowledged += [line.strip() for line in lines if line.endswith("\n")]
    kept = ids(folder)
    assert len(acknowledged) > 100
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))
    assert not list(folder.glob("*.seg"))
    assert all(found.is_whole for found in inspect(folder))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_refuses_and_recovers(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 30_000)
    writer = SegmentWriter(small_disk / "requests")
    kept: list[int] = []

    def fill() -> None:
        for number in range(5000):
            writer.append(body(number))
            kept.append(number)

    with pytest.raises(StoreError, match="No space left") as refused:
        fill()
    assert "free some space" in (refused.value.hint or "")
    ballast.unlink()
    writer.append(body(9999))
    writer.close()
    assert sorted(ids(small_disk / "requests"), key=int) == [*map(str, kept), "9999"]
    assert all(found.is_whole for found in inspect(small_disk / "requests"))


def test_a_log_that_cannot_be_written_says_which_and_why(tmp_path):
    (tmp_path / "requests").write_text("a file")
    with pytest.raises(StoreError, match=r"request log .*requests.* cannot be written"):
        SegmentWriter(tmp_path / "requests").append(body(1))


def test_a_folder_that_was_removed_is_made_again(tmp_path):
    writer = SegmentWriter(tmp_path / "requests")
    writer.append(body(1))
    writer.rotate()
    shutil.rmtree(tmp_path / "requests")
    writer.append(body(2))
    writer.close()
    assert ids(tmp_path / "requests") == ["2"]
