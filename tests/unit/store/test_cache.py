"""Copies on this machine: as many as fit, those used last, and all that a process holds."""

import subprocess
import sys
from pathlib import Path

import pytest

from raypipe.store.cache import Cache
from raypipe.store.content import digest_path, write_file

SIZE = 1000
ROOM = 3 * SIZE + 100


def source(folder: Path, number: int) -> tuple[str, bytes]:
    content = bytes([number]) * SIZE
    file = folder / f"source-{number}"
    file.write_bytes(content)
    return digest_path(file), content


class Writes:
    """Puts a file into a cache, and counts how often it was asked to."""

    def __init__(self, cache: Cache, folder: Path) -> None:
        self.cache, self.folder, self.count = cache, folder, 0

    def path(self, number: int) -> Path:
        digest, content = source(self.folder, number)

        def write(place: Path) -> None:
            self.count += 1
            write_file(place / f"file-{number}", content)

        return self.cache.path(digest) or self.cache.keep_path(digest, SIZE, write)


@pytest.fixture
def fill(tmp_path):
    """Fills the cache in another process, which holds nothing when it has ended."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[4])\n"
        "from raypipe.store.cache import Cache\n"
        "from tests.unit.store.test_cache import Writes\n"
        "cache = Cache(Path(sys.argv[1]) / 'cache', int(sys.argv[2]))\n"
        "for number in sys.argv[3].split(): Writes(cache, Path(sys.argv[1])).path(int(number))"
    )

    def fill(*numbers: int) -> None:
        given = [str(tmp_path), str(ROOM), " ".join(map(str, numbers)), str(Path.cwd())]
        subprocess.run([sys.executable, "-c", code, *given], check=True)

    return fill


@pytest.fixture
def writes(tmp_path) -> Writes:
    return Writes(Cache(tmp_path / "cache", ROOM), tmp_path)


def kept(writes: Writes) -> set[str]:
    return {copy.digest for copy in writes.cache.copies()}


def digests(folder: Path, *numbers: int) -> set[str]:
    return {source(folder, number)[0] for number in numbers}


def test_a_copy_is_made_once(writes):
    first = writes.path(1)
    assert writes.path(1) == first
    assert first.read_bytes() == b"\1" * SIZE
    assert writes.count == 1


@pytest.mark.slow
def test_those_used_longest_ago_go_first(writes, fill, tmp_path):
    fill(1)
    fill(2)
    fill(3)
    fill(1)
    writes.path(4)
    assert kept(writes) == digests(tmp_path, 1, 3, 4)


def test_what_a_process_was_given_stays_as_long_as_the_process(writes, tmp_path):
    paths = [writes.path(number) for number in range(6)]
    assert kept(writes) == digests(tmp_path, *range(6))
    assert all(path.exists() for path in paths)


def test_what_a_dead_process_used_makes_room(writes, fill, tmp_path):
    fill(0, 1, 2, 3, 4, 5)
    writes.path(6)
    assert len(kept(writes)) == 3
    assert digests(tmp_path, 6) < kept(writes)


def test_a_copy_that_is_torn_is_made_again(writes):
    copy = writes.path(1)
    copy.chmod(0o644)
    copy.write_bytes(b"\2" * SIZE)
    again = writes.path(1)
    assert again.read_bytes() == b"\1" * SIZE
    assert writes.count == 2


def test_bytes_are_read_back_whole_or_not_at_all(writes, tmp_path):
    from raypipe.engine.digest import digest_bytes

    data = b"x" * 500
    digest = digest_bytes(data)
    assert writes.cache.read(digest) is None
    writes.cache.keep_bytes(digest, data)
    assert Cache(tmp_path / "cache").read(digest) == data
    file = tmp_path / "cache" / "copies" / digest
    file.chmod(0o644)
    file.write_bytes(b"y" * 500)
    assert Cache(tmp_path / "cache").read(digest) is None


def test_what_was_told_last_under_a_name_is_recalled(writes, tmp_path):
    writes.cache.remember("ab.mark", b"1")
    writes.cache.remember("ab.mark", b"2")
    assert Cache(tmp_path / "cache").recall("ab.mark") == b"2"
    writes.cache.forget("ab")
    assert writes.cache.recall("ab.mark") is None
