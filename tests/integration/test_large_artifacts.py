"""Files and folders far larger than memory may be: kept, found again and read, part by part."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from raypipe.store.artifacts import ArtifactsPlace, bind
from raypipe.store.paths import HomePaths
from tests.lakefs import LakeFS

MIB = 1 << 20
CHILD = """
import sys
from pathlib import Path
from raypipe.store.artifacts import open_artifacts
from raypipe.store.content import digest_path

def peak():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines["VmHWM"].split()[0]) >> 10

home, folder, small = map(Path, sys.argv[1:])
artifacts = open_artifacts(home)
artifacts.path(artifacts.put_path(small).digest)
before = peak()
stat = artifacts.put_path(folder)
assert artifacts.intact(stat)
assert artifacts.put_path(folder) == stat
assert digest_path(artifacts.path(stat.digest)) == stat.digest
assert artifacts.verify(stat.digest)
print(before, peak(), stat.size)
"""


def make(folder: Path, files: int, size: int) -> Path:
    """Write files of so many MiB; no two blocks are the same."""
    folder.mkdir()
    block = bytearray(MIB)
    for number in range(files):
        with (folder / f"{number}.bin").open("wb") as file:
            for at in range(size):
                block[:8] = (number << 32 | at).to_bytes(8)
                file.write(block)
    return folder


def peaks(home: Path, folder: Path) -> tuple[int, int]:
    """Return the most MiB that a process had in memory before and after it kept a folder."""
    small = folder.with_name("small")
    small.write_bytes(b"x")
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-c", CHILD, home, folder, small]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    before, after, size = map(int, done.stdout.split())
    assert size == sum(file.stat().st_size for file in folder.iterdir())
    return before, after


@pytest.mark.long
def test_a_folder_of_4_gib_takes_less_than_300_mb_of_memory(tmp_path) -> None:
    if shutil.disk_usage(tmp_path).free < 12 << 30:
        pytest.skip("it takes 12 GiB of disk")
    _, after = peaks(tmp_path / "home", make(tmp_path / "large", 4, 1024))
    assert after < 300


@pytest.mark.long
def test_512_mib_in_a_bucket_take_a_third_of_that_in_memory(
    tmp_path, lakefs_server: LakeFS, monkeypatch
) -> None:
    """With what the client of the bucket takes by itself, which differs from run to run."""
    home = tmp_path / "home"
    home.mkdir()
    for name, value in lakefs_server.environment.items():
        monkeypatch.setenv(name, value)
    place = ArtifactsPlace(
        artifacts=f"s3://{lakefs_server.create()}/main/x", endpoint_override=lakefs_server.url
    )
    bind(HomePaths(home), place)
    before, after = peaks(home, make(tmp_path / "large", 2, 256))
    assert after - before < 512 / 3
    assert after < 300
