"""What profiles cost beyond those of plain columns: counts of pairs, and images.

    python scripts/bench_data_profiling.py

CPU seconds, the least of some turns. Pairs (`data.pairs`) are of columns of 2 to 300 values in an
eighth of a million rows; images are small PNGs of noise, as `raypipe data import` keeps them.
"""

import io
import tempfile
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_common import row
from bench_data import CATEGORIES, DATA, ROWS, SHARDS, cpu, write
from PIL import Image

from raypipe.config.data import HashSplit
from raypipe.stages.data.profiling import profile_file

TIMES = 9
PAIRS = tuple(combinations(CATEGORIES[:4], 2))
"""Of 2, 12, 60 and 300 values; pairs of more different values than are counted are left."""
IMAGES, SIDE = 4_000, 32


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="raypipe-bench-") as name:
        pairs(write(Path(name) / "table.parquet", 0, ROWS // SHARDS))
        images(noise(Path(name) / "images.parquet"))


def pairs(shard: Path) -> None:
    """Print what a shard's profile costs without counts of pairs, and what a pair adds."""
    spent: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(TIMES):
        for counted, found in spent.items():
            given = PAIRS if counted else ()
            found.append(cpu(partial(profile_file, str(shard), DATA.split, DATA.key, given)))
    without, with_them = (min(found) for found in spent.values())
    row(f"profile of {ROWS // SHARDS:,} rows x 20 columns", without, None)
    row(f"  the same with counts of {len(PAIRS)} pairs of columns", with_them, None)
    row("  a pair", 1000 * (with_them - without) / len(PAIRS), None, "ms")


def images(shard: Path) -> None:
    """Print what the profile of a shard of images costs."""
    rule = HashSplit(columns=("path",))
    size = shard.stat().st_size / 2**20
    profile = partial(profile_file, str(shard), rule, ("path",))
    spent = min(cpu(profile) for _ in range(TIMES))
    read = min(cpu(partial(pq.read_table, shard, use_threads=False)) for _ in range(TIMES))
    row(f"profile of {IMAGES:,} images of {SIDE} x {SIDE}, {size:.0f} MiB", spent, None)
    row("  an image", 1_000_000 * spent / IMAGES, None, "µs")
    row("  a bare read of the shard, one thread", read, None)


def noise(path: Path) -> Path:
    """Write a shard of images of three channels."""
    draw = np.random.default_rng(0)
    made = []
    for _ in range(IMAGES):
        file = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(file, "PNG")
        made.append(file.getvalue())
    names = [f"{n % 10}/{n}.png" for n in range(IMAGES)]
    labels = [str(n % 10) for n in range(IMAGES)]
    pq.write_table(pa.table({"path": names, "image": made, "label": labels}), path)
    return path


if __name__ == "__main__":
    main()
