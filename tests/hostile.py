"""Rows of every type with values that would break a page which does not escape them."""

import struct
import zlib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from raypipe.config.data import DataConfig
from raypipe.config.validation import ValidationConfig
from raypipe.stages.validation.checks import check
from raypipe.stages.validation.inference import infer_schema
from raypipe.stages.validation.report.report import Report, Validated
from raypipe.values.dataset import Dataset, Shard
from raypipe.values.measure import Parts
from raypipe.values.profile import SplitProfiles, profile_parts
from raypipe.values.split import split_of

SCRIPT = "<script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(1)>"
QUOTES = """'"><svg onload=alert(1)> --> ]]> {{ 7 * 7 }} {% raw %}"""
TURNED = "invoice\u202egnp.exe"
"""Shown as it is, it would end in `exe.png`."""
STYLE = "</style></title><style>*{display:none}</style>"
LONG = "x" * 10_000
EVIL = (SCRIPT, IMAGE, QUOTES, TURNED, STYLE, "", "  padded ", "line\nbreak\x00\x1b[31m", "العربية")

DATA = DataConfig(
    dataset="local://evil/main",
    label="late",
    key=("id",),
    pairs=((SCRIPT, "late"), (IMAGE, "gone")),
    split={"by": "hash", "columns": ["id"]},
)


def png(width: int, height: int) -> bytes:
    """Return a whole image of one colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    lines = zlib.compress((b"\0" + b"\x80" * 3 * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def rows(count: int, seed: int = 0, first: int = 0) -> pa.Table:
    """Return rows with a column of every type, two of them with a hostile name."""
    random = np.random.default_rng(seed)

    def some(values: Any, kind: pa.DataType | None = None) -> pa.Array:
        return pa.array([values[n % len(values)] for n in range(count)], kind)

    start = datetime(2024, 1, 1, tzinfo=UTC)
    floats = random.normal(0, 1, count)
    return pa.table(
        {
            "id": pa.array(np.arange(first, first + count)),
            SCRIPT: some(EVIL),
            STYLE + '" onmouseover="alert(1)': some([IMAGE, SCRIPT]),
            "turned\u202e": random.gamma(2, 5, count),
            "n" * 10_000: some([LONG, LONG + "y"]),
            "texts": pa.array([f"{EVIL[n % 9]} {n}" for n in range(count)]),
            "steep": np.exp(random.normal(10, 1.5, count)),
            "int8": some([1, 2, 3], pa.int8()),
            "uint64": some([2**64 - 1, 0], pa.uint64()),
            "float16": pa.array(floats.astype(np.float16)),
            "odd": some([float("nan"), float("inf"), -float("inf"), 1.7e308, -1.7e308, 5e-324]),
            "decimal": some([Decimal("1.50"), Decimal("-99.99")], pa.decimal128(6, 2)),
            "date": pa.array([date(2024, 1, 1) + timedelta(days=n % 300) for n in range(count)]),
            "at": pa.array([start + timedelta(seconds=7919 * n) for n in range(count)]),
            "time": pa.array((np.arange(count) % 86_400).astype("int32"), pa.time32("s")),
            "took": pa.array(random.integers(0, 10**7, count), pa.duration("us")),
            "list": some([EVIL[:2], [], None]),
            "struct": some([{SCRIPT: 1.5, "inner": [IMAGE]}, None]),
            "map": some([[(SCRIPT, 1)], []], pa.map_(pa.string(), pa.int64())),
            "dictionary": some(EVIL[:3]).dictionary_encode(),
            "image": some([png(16, 16), png(24, 16), b"none"]),
            "binary": some([SCRIPT.encode(), b"\xff\x00"]),
            "nothing": pa.nulls(count),
            "some": some([None, 1.0, 2.0]),
            "late": pa.array(random.random(count) < 0.3),
        }
    )


def split(table: pa.Table, data: DataConfig = DATA) -> SplitProfiles:
    """Profile rows as a run does."""
    parts = profile_parts(table, Parts.of(split_of(table, data.split), 3), data.key, data.pairs)
    return SplitProfiles(train=parts[0], validation=parts[1], analysis=parts[2])


def report(
    before: pa.Table | None, new: pa.Table, data: DataConfig = DATA, **settings: Any
) -> Report:
    """Validate rows as a run does, and return what its report is made of."""
    old = None if before is None else split(before, data)
    fresh = split(new, data)
    every = fresh if old is None else SplitProfiles.merge_all([old, fresh])
    rules = ValidationConfig(**settings)
    schema = infer_schema("evil", (old or every).all, data, rules)
    found = check(
        every, schema, rules, fresh=fresh if old else None, baseline=old, split=data.split
    )
    shards = tuple(
        Shard(path=f"{name}.parquet", object_id=f"blake2b:{name}", size=1000, location="")
        for name in ("old", IMAGE)
    )
    return Report(
        name="evil",
        dataset=Dataset(shards=shards, uri="local://evil/main", commit="c" * 40),
        now=every.all,
        before=None if old is None else old.all,
        new=fresh.all if old else None,
        new_shards=shards[1:] if old else (),
        settings=rules,
        validated=Validated(validation=found, splits=every, schema=schema, data=data),
    )
