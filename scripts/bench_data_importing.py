"""Importing: a CSV file of a million rows becomes a shard, beside Arrow's bare read and write."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from bench_common import row

from raypipe.config.importing import ImportConfig
from raypipe.stages.data.converting import convert
from raypipe.stages.data.inputs import find_inputs

ROWS = 1_000_000
TIMES = 3


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="raypipe-bench-") as name:
        folder = Path(name)
        file = write(folder / "rows.csv")
        pairs = [(cpu(lambda: bare(file)), cpu(lambda: imported(file))) for _ in range(TIMES)]
        alone, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    size = f"{ROWS:,} rows x 20 columns of CSV"
    row(f"{size}: bare read, and write of Parquet, CPU", alone, None)
    row("  imported: digest, types of all rows, shards, CPU", ours, 3 * alone)


def cpu(act: Callable[[], object]) -> float:
    """Return the CPU seconds of this process, all threads together."""
    before = time.process_time()
    act()
    return time.process_time() - before


def bare(file: Path) -> None:
    """Do what anybody would."""
    pq.write_table(pa.csv.read_csv(file), file.with_suffix(".parquet"), compression="zstd")


def imported(file: Path) -> None:
    """Do what an import does to one input, from its path to durable shards."""
    how = ImportConfig()
    (source,) = find_inputs([file], how)
    with tempfile.TemporaryDirectory(dir=file.parent) as out:
        done = convert(source, how, pa.schema([]), Path(out))
    assert done.rows == ROWS


def write(file: Path) -> Path:
    """Write ten columns of numbers, five of categories, five of text."""
    random = np.random.default_rng(0)
    columns = {f"n{k}": random.normal(size=ROWS).round(4) for k in range(10)}
    columns |= {f"c{k}": random.integers(0, 50, ROWS).astype(str) for k in range(5)}
    ids = np.arange(ROWS).astype(str)
    columns |= {f"t{k}": np.char.add(f"text {k} ", ids) for k in range(5)}
    pa.csv.write_csv(pa.table(columns), file)
    return file


if __name__ == "__main__":
    main()
