"""A commit's rows as a stream: no more of the files is read than is asked for, or held at once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ASKING = """
import json, logging, sys, tempfile, shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray.data.expressions import col

from raypipe.stages.data.on_ray import stream
from raypipe.values.dataset import Dataset, Shard

folder, memory, questions = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
shards = tuple(
    Shard(path=f.name, object_id=f.name, size=f.stat().st_size, location=str(f))
    for f in sorted(folder.glob("*.parquet"))
)
dataset = Dataset(uri="local://rows/main", commit="c", shards=shards)
temporary = tempfile.mkdtemp(prefix="rp-", dir="/tmp")
ray.init(
    num_cpus=2, object_store_memory=memory, include_dashboard=False, _temp_dir=temporary,
    logging_level="ERROR", log_to_driver=False,
)
logging.getLogger("ray.data").setLevel("ERROR")


def measured(batch):
    status = Path("/proc/self/status").read_text().split("\\n")
    peak = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    total = sum(pc.sum(column).as_py() or 0 for column in batch.columns)
    return pa.table({"rows": [batch.num_rows], "sum": [float(total)], "mib": [peak / 1024]})


try:
    for columns, shard in questions:
        where = None if shard is None else col("shard") == shard
        rows = stream(dataset, columns, where)
        found = rows.map_batches(measured, batch_format="pyarrow", batch_size=None).take_all()
        said = {name: sum(one[name] for one in found) for name in ("rows", "sum")}
        print(json.dumps({**said, "mib": max(one["mib"] for one in found)}))
finally:
    ray.shutdown()
    shutil.rmtree(temporary, ignore_errors=True)
"""


def asked(folder: Path, memory: int, *questions: tuple[list[str] | None, int | None]) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-c", ASKING, str(folder), str(memory), json.dumps(questions)],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def write(folder: Path, shards: int, rows: int, columns: int) -> None:
    folder.mkdir()
    for number in range(shards):
        random = np.random.default_rng(number)
        named = {f"x{k}": random.integers(0, 1000, rows).astype(float) for k in range(columns)}
        table = pa.table({"shard": pa.array([number] * rows), **named})
        file = folder / f"{number:02}.parquet"
        pq.write_table(table, file, compression="none", use_dictionary=False)


def spoil(file: Path, columns: list[str]) -> None:
    """Overwrite the pages of columns, so that who reads them is told of damage."""
    footer = pq.read_metadata(file).row_group(0)
    data = bytearray(file.read_bytes())
    for number in range(footer.num_columns):
        chunk = footer.column(number)
        if chunk.path_in_schema in columns:
            start = chunk.data_page_offset
            size = chunk.total_compressed_size
            data[start : start + size] = b"\xff" * size
    file.write_bytes(data)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    """What is not asked for is spoiled, so that reading it would fail."""
    folder = tmp_path / "rows"
    write(folder, shards=4, rows=1000, columns=3)
    expected = [pq.read_table(file)["x1"].to_numpy().sum() for file in sorted(folder.iterdir())]
    for file in folder.iterdir():
        spoil(file, ["x0", "x2"])
    for number in (0, 1, 3):
        spoil(folder / f"{number:02}.parquet", ["x1"])

    (found,) = asked(folder, 100 * 2**20, (["x1"], 2))
    assert (found["rows"], found["sum"]) == (1000, expected[2])


LIMIT = 800
"""MiB that a worker may hold, Ray and Arrow themselves (about 300) among them."""


@pytest.mark.long
def test_memory_is_bounded_on_data_that_is_larger_than_it(tmp_path: Path) -> None:
    """2 GiB of rows through an object store of 300 MB."""
    folder = tmp_path / "rows"
    write(folder, shards=16, rows=2**20, columns=15)
    assert sum(file.stat().st_size for file in folder.iterdir()) > 2**31

    whole, one = asked(folder, 300 * 10**6, (None, None), (["x3"], None))
    assert whole["rows"] == one["rows"] == 2**24
    assert max(whole["mib"], one["mib"]) < LIMIT
