"""Version stores: commits and diffs of many shards, and rows read from a commit in lakeFS."""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_common import row

from raypipe.engine.records import Actor
from raypipe.store.lakefs_access import LakeFSPlace
from raypipe.store.versions import MAIN
from raypipe.store.versions_lakefs import LakeFSVersions
from raypipe.store.versions_local import LocalVersions
from tests.lakefs import Unavailable, lakefs

ANN = Actor(user="bench", host="here")
SHARDS, OBJECTS = 1_000, 100_000
FILES, ROWS = 8, 250_000
TIMES = 5


def spent(act: Callable[[], object]) -> float:
    """Return the CPU seconds of this process in a call."""
    before = time.process_time()
    act()
    return time.process_time() - before


def rows_of_local(folder: Path) -> None:
    """A commit of 1,000 new shards; one onto 100,000 objects; the difference of two such."""
    store = LocalVersions(folder / "local")
    files = {}
    for number in range(SHARDS):
        file = folder / f"in-{number}"
        file.write_text(f"shard {number}")
        files[f"shards/part-{number:06}.parquet"] = file
    putting = spent(lambda: store.put_all(MAIN, files))
    committing = spent(lambda: store.commit(MAIN, "Write", ANN))
    row(f"local: commit of {SHARDS:,} shards, CPU", committing, 0.5)
    row("local: to put them there before (copied, each made durable), CPU", putting, None)

    many = LocalVersions(folder / "many")
    one = next(iter(files.values()))
    stored = many.put(MAIN, "first", one)
    with many._writing() as db:  # as many puts would leave it: bytes are not what is measured
        db.executemany(
            "INSERT INTO staged VALUES ('main', ?, ?, ?)",
            ((f"s/{n:06}", f"blake2b:{n:064x}", stored.size) for n in range(OBJECTS)),
        )
    before = many.commit(MAIN, "Write", ANN)
    with many._writing() as db:
        db.executemany(
            "INSERT INTO staged VALUES ('main', ?, ?, ?)",
            ((f"s/{n:06}", f"blake2b:{n + 1:064x}", stored.size) for n in range(0, OBJECTS, 100)),
        )
    onto = spent(lambda: many.commit(MAIN, "Change", ANN))
    row(f"local: commit of {OBJECTS // 100:,} changes onto {OBJECTS:,} objects, CPU", onto, None)
    differing = statistics.median(spent(lambda: many.diff(before, MAIN)) for _ in range(TIMES))
    assert len(many.diff(before, MAIN).changed) == OBJECTS // 100
    row(f"local: difference of two commits of {OBJECTS:,} objects, CPU", differing, 1.0)


def rows_of_streaming(folder: Path) -> None:
    """Rows of a commit in lakeFS read by Ray Data, beside the same files on disk."""
    try:
        with lakefs() as server:
            os.environ |= server.lakectl
            _stream(folder, server.create("bench"))
    except Unavailable as missing:
        print(f"lakeFS: not measured; {missing}")


def _stream(folder: Path, repo: str) -> None:
    import ray

    files = _write_files(folder / "rows")
    store = LakeFSVersions(LakeFSPlace(), repo)
    began = time.perf_counter()
    store.put_all(MAIN, files)
    store.commit(MAIN, "Write", ANN)
    size = sum(file.stat().st_size for file in files.values()) / 1e6
    row(
        f"lakeFS: {size:.0f} MB in {FILES} files put and committed, wall",
        time.perf_counter() - began,
        None,
    )
    remote, places = store.files(store.list(MAIN))
    disk, paths = pa.fs.LocalFileSystem(), [str(file) for file in files.values()]
    bare = {
        "disk": _median(lambda: [pq.read_table(path, filesystem=disk) for path in paths]),
        "lakeFS": _median(lambda: [pq.read_table(path, filesystem=remote) for path in places]),
    }
    for where, seconds in bare.items():
        row(f"{where}: the same by bare pyarrow in this process, wall", seconds, None)
    temporary = tempfile.mkdtemp(prefix="rp-", dir="/tmp")
    ray.init(num_cpus=2, include_dashboard=False, _temp_dir=temporary, logging_level="ERROR")
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        on_disk = _median(lambda: _rows(ray.data.read_parquet(paths, filesystem=disk)))
        on_lakefs = _median(lambda: _rows(ray.data.read_parquet(list(places), filesystem=remote)))
    finally:
        ray.shutdown()
        shutil.rmtree(temporary, ignore_errors=True)
    row("disk: streamed by Ray Data, wall", on_disk, None)
    row("lakeFS: streamed by Ray Data (a half of the speed of disk), wall", on_lakefs, 2 * on_disk)
    row("lakeFS: speed of Ray Data beside disk", on_disk / on_lakefs, None, "x")


def _rows(dataset: object) -> None:
    count = sum(
        batch.num_rows
        for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow")  # type: ignore[attr-defined]
    )
    assert count == FILES * ROWS, count


def _median(act: Callable[[], object]) -> float:
    act()
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _write_files(folder: Path) -> dict[str, Path]:
    folder.mkdir()
    random = np.random.default_rng(0)
    files = {}
    for number in range(FILES):
        columns = {f"n{k}": random.normal(size=ROWS) for k in range(8)}
        columns |= {f"c{k}": random.integers(0, 50, ROWS).astype(str) for k in range(4)}
        file = folder / f"part-{number}.parquet"
        pq.write_table(pa.table(columns), file, compression="zstd")
        files[f"rows/{file.name}"] = file
    return files


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="raypipe-bench-") as folder:
        rows_of_local(Path(folder))
        rows_of_streaming(Path(folder))


if __name__ == "__main__":
    main()
