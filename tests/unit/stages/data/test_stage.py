"""A shard is profiled split by split."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config.data import HashSplit
from raypipe.errors import StoreError, UsageError
from raypipe.stages.data import merge_profiles, profile_shard
from raypipe.store.content import digest_path
from raypipe.values.codec import TreeCodec
from raypipe.values.dataset import Shard
from raypipe.values.profile import SplitProfiles

BY_ID = HashSplit(columns=("id",))


def shard(folder: Path, table: pa.Table, name: str = "a.parquet") -> Shard:
    pq.write_table(table, folder / name)
    return Shard(path=name, object_id="blake2b:0", size=1, location=str(folder / name))


def rows(start: int, count: int) -> pa.Table:
    ids = range(start, start + count)
    return pa.table({"id": ids, "x": [float(n % 7) for n in ids]})


def test_each_row_is_in_one_split(tmp_path):
    profiles = profile_shard(shard(tmp_path, rows(0, 1000)), BY_ID, ("id",))

    counts = [p.rows for p in (profiles.train, profiles.validation, profiles.analysis)]
    assert sum(counts) == profiles.all.rows == 1000
    assert counts[0] == pytest.approx(700, abs=60)
    assert profiles.all.columns["x"].values == {str(n): len(range(n, 1000, 7)) for n in range(7)}


def test_profiles_of_shards_merge_split_by_split(tmp_path):
    parts = [
        profile_shard(shard(tmp_path, rows(start, 300), f"{start}.parquet"), BY_ID, ("id",))
        for start in (0, 200)
    ]
    merged = merge_profiles(parts)

    assert merged.train.rows == sum(part.train.rows for part in parts)
    assert merged.all.keys is not None
    assert merged.all.keys.duplicates == 100


def test_a_key_that_the_data_lacks_is_left_to_validation(tmp_path):
    profiles = profile_shard(shard(tmp_path, rows(0, 10)), BY_ID, ("id", "absent"))
    assert profiles.all.keys is None


def test_a_split_column_that_the_data_lacks_is_named(tmp_path):
    with pytest.raises(UsageError, match="'ID'"):
        profile_shard(shard(tmp_path, rows(0, 10)), HashSplit(columns=("ID",)), ())


def test_row_groups_and_dictionaries_do_not_matter(tmp_path):
    table = rows(0, 3_000).append_column("s", pa.array([f"{n % 40}" for n in range(3_000)]))
    encoded = table.set_column(2, "s", table["s"].dictionary_encode())
    digests = set()
    for name, written, size in (("a", table, 3_000), ("b", table, 7), ("c", encoded, 1_000)):
        pq.write_table(written, tmp_path / name, row_group_size=size)
        found = Shard(path=name, object_id="blake2b:0", size=1, location=str(tmp_path / name))
        digests.add(TreeCodec(digest_path).encode(profile_shard(found, BY_ID, ("id",))).digest)
    assert len(digests) == 1


def test_a_damaged_file_is_named_with_its_row_group(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(rows(0, 30_000), path, row_group_size=10_000, use_dictionary=False)
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 64] = b"\xff" * 64
    path.write_bytes(content)
    damaged = Shard(path="a", object_id="blake2b:0", size=1, location=str(path))

    with pytest.raises(StoreError, match=r"a\.parquet cannot be read: row group 1"):
        profile_shard(damaged, BY_ID, ("id",))

    path.write_bytes(content[:-100])
    with pytest.raises(StoreError, match="its footer"):
        profile_shard(damaged, BY_ID, ("id",))


def test_no_shards_have_empty_profiles():
    assert isinstance(merge_profiles([]), SplitProfiles)
    assert merge_profiles([]).all.rows == 0


def test_a_plan_does_not_wait_for_arrow():
    code = (
        "import sys, raypipe.stages.data, raypipe.store.versions_local\n"
        "assert not {'pyarrow', 'numpy', 'torch', 'ray'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
