"""What data costs: profile, validate and fit, beside one bare read of the same columns."""

import importlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_common import row

from raypipe.config.data import DataConfig, HashSplit
from raypipe.config.preprocessing import EmbeddingGroup, NumericGroup, OneHotGroup
from raypipe.config.validation import ValidationConfig
from raypipe.stages.data.profiling import profile_file
from raypipe.stages.preprocessing.fitting import fit_transform
from raypipe.stages.validation.checks import check
from raypipe.stages.validation.inference import infer_schema
from raypipe.values.profile import SplitProfiles
from raypipe.values.schema import Schema

ROWS = 1_000_000
SHARDS = 8
TIMES = 5
READS = 4
"""Bare reads that all the work on the rows may cost."""
NEW = 0.05
"""Share of that which the work may cost after one row in a hundred was new."""

NUMBERS = tuple(f"number {n}" for n in range(10))
CATEGORIES = tuple(f"category {n}" for n in range(5))
DATA = DataConfig(
    dataset="local://bench/main",
    label="category 0",
    key=("text 0",),
    time="at 0",
    split=HashSplit(columns=("text 0",)),
)
SETTINGS = ValidationConfig()
RECIPE = (
    NumericGroup(columns=NUMBERS, tensor="numbers"),
    OneHotGroup(columns=CATEGORIES[1:3], tensor="few"),
    EmbeddingGroup(columns=CATEGORIES[3:], tensor="many"),
)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="raypipe-bench-") as name:
        shards = [write(Path(name) / f"{n}.parquet", n, ROWS // SHARDS) for n in range(SHARDS)]
        new = write(Path(name) / "new.parquet", SHARDS, ROWS // 100)
        cold(shards, new)
    for part in ("profiling", "importing", "stores", "duplicates"):
        importlib.import_module(f"bench_data_{part}").main()


def cold(shards: Sequence[Path], new: Path) -> None:
    """Print what all rows cost, and what one new row in a hundred costs then."""
    pairs = [(cpu(lambda: bare(shards)), cpu(lambda: work(shards))) for _ in range(TIMES)]
    read, spent = (statistics.median(side) for side in zip(*pairs, strict=True))
    known = work(shards)
    grown = statistics.median(cpu(lambda: again(*known, new)) for _ in range(5 * TIMES))
    row("1,000,000 rows x 20 columns: a bare read, one thread", read, None)
    row("  profile, validate, fit", spent, READS * read)
    row("  the same as 1 % of new rows came as a shard", grown, NEW * spent)


def cpu(call: Callable[[], object]) -> float:
    """Return the CPU seconds of a call, all threads together."""
    before = time.process_time()
    call()
    return time.process_time() - before


def bare(shards: Sequence[Path]) -> None:
    """Read the columns and do nothing with them."""
    for shard in shards:
        pq.read_table(shard, use_threads=False, partitioning=None)


def work(shards: Sequence[Path]) -> tuple[SplitProfiles, Schema]:
    """Profile every shard, infer the schema, validate all rows and fit a recipe to them."""
    profiles = [profile_file(str(shard), DATA.split, DATA.key) for shard in shards]
    merged = SplitProfiles.merge_all(profiles)
    schema = infer_schema("bench", merged.all, DATA, SETTINGS)
    judge(merged, schema, None, None)
    return merged, schema


def again(baseline: SplitProfiles, schema: Schema, new: Path) -> None:
    """Do the same as one shard came: the merged profile of the eight others is kept."""
    fresh = profile_file(str(new), DATA.split, DATA.key)
    judge(SplitProfiles.merge_all([baseline, fresh]), schema, fresh, baseline)


def judge(
    merged: SplitProfiles,
    schema: Schema,
    fresh: SplitProfiles | None,
    baseline: SplitProfiles | None,
) -> None:
    """Validate rows and fit the recipe."""
    check(merged, schema, SETTINGS, fresh=fresh, baseline=baseline)
    fit_transform(merged.train, RECIPE, schema, DATA.label, "multiclass")


def write(path: Path, seed: int, rows: int) -> Path:
    """Write a shard: ten columns of numbers, five of categories, five of text or time."""
    rng = np.random.default_rng(seed)
    first = seed * (ROWS // SHARDS)
    ids = np.arange(first, first + rows)
    columns: dict[str, pa.Array] = {}
    for n, name in enumerate(NUMBERS):
        match n:
            case 0 | 1 | 2 | 3:
                values = rng.normal(size=rows) * 10**n
            case 4 | 5:
                values = np.round(rng.gamma(2, 30, rows), 2)
            case 6 | 7:
                values = rng.integers(0, 10**n, rows)
            case _:
                values = rng.integers(0, 100, rows)
        columns[name] = pa.array(values, mask=rng.random(rows) < 0.02 * (n % 3))
    for n, name in enumerate(CATEGORIES):
        many = (2, 12, 60, 300, 900)[n]
        words = pa.array([f"{'value of some length '[: 6 * n]}{k}" for k in range(many)])
        places = np.minimum(rng.zipf(1.3, rows) - 1, many - 1) if n else rng.integers(0, 2, rows)
        columns[name] = words.take(pa.array(places))
    columns["text 0"] = pa.array([f"id-{n:08d}" for n in ids])
    streets = rng.integers(0, 200_000, rows)
    columns["text 1"] = pa.array([f"{n % 250} Street number {n // 250}" for n in streets])
    vocabulary = np.array([f"word{n}" for n in range(2_000)])
    picked = vocabulary[rng.integers(0, 2_000, (rows, 6))]
    columns["text 2"] = pa.array([" ".join(words) for words in picked])
    moment = np.datetime64("2024-01-01T00:00:00", "us")
    columns["at 0"] = pa.array(moment + ids * 30_000_000 + rng.integers(0, 30_000_000, rows))
    columns["at 1"] = pa.array(
        (moment + rng.integers(0, 700, rows) * np.timedelta64(1, "D")).astype("datetime64[D]")
    )
    pq.write_table(pa.table(columns), path)
    return path


if __name__ == "__main__":
    main()
