"""A profile says what is true of its rows, and merges into that of more rows."""

import datetime as dt
import math
from dataclasses import fields, is_dataclass
from decimal import Decimal
from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.config.data import HashSplit
from raypipe.stages.data.profiling import profile_splits
from raypipe.store.content import digest_path
from raypipe.store.folder import FolderArtifacts
from raypipe.values.codec import TreeCodec
from raypipe.values.measure import Parts
from raypipe.values.profile import (
    EXACT_VALUES,
    SAMPLE_ROWS,
    ColumnProfile,
    KeyProfile,
    Profile,
    Sample,
    profile_parts,
    profile_table,
)


def column(values: Any, kind: pa.DataType | None = None) -> ColumnProfile:
    return profile_table(pa.table({"c": pa.array(values, kind)})).columns["c"]


def same(a: Any, b: Any, where: str = "profile") -> None:
    """Assert that two values are equal, to the bit."""
    assert type(a) is type(b), where
    if is_dataclass(a):
        for field in (one for one in fields(a) if one.init):
            same(getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}")
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            same(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.tolist()) == (b.dtype, b.tolist()), where
    elif isinstance(a, pa.Table):
        assert a.schema == b.schema, where
        assert repr(a.to_pydict()) == repr(b.to_pydict()), where
    else:
        assert a == b, where


def tables() -> st.SearchStrategy[pa.Table]:
    number = st.floats(-1e6, 1e6, width=32)
    odd = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0])
    day = st.dates(dt.date(1960, 1, 1), dt.date(2030, 1, 1))
    moment = st.datetimes(dt.datetime(1960, 1, 1), dt.datetime(2030, 1, 1))
    money = st.decimals(-99, 99, places=2)
    kinds: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
        "i": (pa.int64(), st.integers(-(10**6), 10**6)),
        "f": (pa.float64(), number | odd),
        "b": (pa.bool_(), st.booleans()),
        "s": (pa.string(), st.text(max_size=12)),
        "d": (pa.date32(), day),
        "t": (pa.timestamp("us"), moment),
        "m": (pa.decimal128(6, 2), money),
        "k": (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["x", "y", "z"])),
        "l": (pa.list_(pa.int64()), st.lists(st.integers(0, 9), max_size=3)),
        "n": (pa.null(), st.none()),
    }
    row = st.tuples(*(st.none() | values for _, values in kinds.values()))

    def table(rows: list[tuple[Any, ...]]) -> pa.Table:
        columns = list(zip(*rows, strict=True)) or [()] * len(kinds)
        arrays = [pa.array(c, t) for c, (t, _) in zip(columns, kinds.values(), strict=True)]
        return pa.table(dict(zip(kinds, arrays, strict=True)))

    return st.lists(row, max_size=25).map(table)


@settings(max_examples=40, deadline=None)
@given(tables(), tables(), tables())
def test_the_profile_of_a_whole_is_the_merged_profiles_of_its_parts(a, b, c):
    key = ("i", "s")
    parts = [profile_table(part, key) for part in (a, b, c)]
    whole = profile_table(pa.concat_tables([a, b, c]), key)

    same(Profile.merge_all(parts), whole)
    same(parts[0].merge(parts[1].merge(parts[2])), whole)
    same(Profile.merge_all(reversed(parts)), whole)


def large(seed: int, rows: int = 3_000) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "id": rng.integers(0, 10**6, rows),
            "user": [f"user {n}" for n in rng.integers(0, 900, rows)],
            "other": [f"user {n}" for n in rng.integers(0, 2_000, rows)],
            "x": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
            "few": rng.integers(0, 4, rows),
        }
    )


def test_large_parts_merge_too():
    """Beyond the sample, and over the limit of counted values in the whole but not in the parts."""
    a, b = large(1), large(2, 1_500)
    same(profile_table(a).merge(profile_table(b)), profile_table(pa.concat_tables([a, b])))


def test_the_splits_of_large_parts_merge_too():
    """In the whole more values than are counted; in its parts, and in each split, fewer."""
    whole, cut = large(5, 2_000), 1_000
    split = (np.arange(2_000) % 4 > 2).astype(np.int8)
    parts = [(whole[:cut], split[:cut]), (whole[cut:], split[cut:])]
    pairs = [("user", "few"), ("other", "few")]
    shards = [profile_parts(rows, Parts.of(of, 2), ("id",), pairs) for rows, of in parts]
    told = profile_parts(whole, Parts.of(split, 2), ("id",), pairs)
    for number, profile in enumerate(told):
        same(Profile.merge_all(shard[number] for shard in shards), profile)
    assert told[0].pairs["other, few"] is None
    assert told[1].pairs["other, few"] is not None


def test_the_same_rows_give_the_same_profile_however_they_are_chunked():
    table = large(3)
    chunked = pa.concat_tables([table[:1000], table[1000:1007], table[1007:]])
    same(profile_table(chunked), profile_table(table))


def test_the_order_of_rows_does_not_matter():
    table = large(4)
    shuffled = table.take(np.random.default_rng(0).permutation(table.num_rows))
    same(profile_table(shuffled), profile_table(table))


@pytest.mark.parametrize("seed", range(3))
def test_a_sample_of_large_values_is_bounded_and_merges_all_the_same(monkeypatch, seed):
    monkeypatch.setattr("raypipe.values.profile.SAMPLE_BYTES", 4_000)
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 300, 200)
    sizes[rng.integers(0, 200, 3)] = 10_000  # each fills the sample by itself
    texts = ["é" * int(size // 2) + str(n) for n, size in enumerate(sizes)]
    table = pa.table({"t": texts, "l": [[text[:9]] * (n % 4) for n, text in enumerate(texts)]})

    whole = profile_table(table)
    held = sum(len(text.encode()) for text in whole.sample.rows["t"].to_pylist()[:-1])
    assert 2_000 < held < 4_000
    cuts = sorted(rng.integers(0, 200, 2).tolist())
    parts = [table[: cuts[0]], table[cuts[0] : cuts[1]], table[cuts[1] :]]
    same(Profile.merge_all(profile_table(part) for part in parts), whole)


def test_numbers_are_described():
    c = column([3, 0, None, -1, 0, 8])
    assert (c.type, c.count, c.nulls, c.zeros) == ("int64", 6, 1, 2)
    assert (c.min, c.max) == (-1.0, 8.0)
    assert c.mean == pytest.approx(2.0)
    assert c.variance == pytest.approx(10.8)
    assert c.deviation == pytest.approx(math.sqrt(10.8))
    assert c.null_share == pytest.approx(1 / 6)
    assert c.quantile(0.5) == 0.0
    assert (c.quantile(0), c.quantile(1)) == (-1.0, 8.0)
    assert c.values == {"-1": 1, "0": 2, "3": 1, "8": 1}
    assert c.top[0] == ("0", 2)
    assert (c.lengths, c.looks) == (None, {})


def test_what_is_not_finite_is_counted_and_left_out():
    c = column([1.0, math.nan, math.inf, -math.inf, None, -0.0])
    assert (c.nans, c.infinities, c.nulls, c.zeros) == (1, 2, 1, 1)
    assert c.negative_infinities == 1
    assert (c.min, c.max, c.mean) == (0.0, 1.0, 0.5)
    assert c.values == {"-inf": 1, "0": 1, "1": 1, "inf": 1}


def test_a_text_that_says_nan_is_a_text():
    assert column(["nan", "x"]).values == {"nan": 1, "x": 1}


def test_booleans_are_described():
    c = column([True, False, True, None])
    assert c.values == {"false": 1, "true": 2}
    assert c.mean == pytest.approx(2 / 3)


def test_texts_are_described():
    c = column(["b", "ä", "", None, "b"])
    assert (c.type, c.min, c.max, c.distinct) == ("string", "", "ä", 3)
    assert c.values == {"": 1, "b": 2, "ä": 1}
    assert c.lengths is not None
    assert (c.lengths.min, c.lengths.max, c.lengths.mean) == (0, 1, 0.75)
    assert (c.mean, c.quantile(0.5), c.buckets) == (None, None, None)


def test_a_long_text_is_shown_short():
    assert column(["x" * 5000]).max == "x" * 100


def test_moments_count_in_seconds():
    day = column([dt.date(1970, 1, 2)])
    moment = column([dt.datetime(1970, 1, 1, 0, 1)], pa.timestamp("ms"))
    assert (day.type, day.max, day.values) == ("date32[day]", 86_400.0, {"1970-01-02": 1})
    assert (moment.type, moment.max) == ("timestamp[ms]", 60.0)


def test_decimals_are_numbers():
    c = column([Decimal("1.50"), Decimal("0.50")])
    assert (c.mean, c.values) == (1.0, {"0.5": 1, "1.5": 1})


def test_a_dictionary_is_what_it_holds():
    values = pa.array(["x", "y", None, "x"])
    same(column(values.dictionary_encode()), column(values))


def test_lists_are_described_by_their_lengths():
    c = column([[1, 2, 3], [], None])
    assert (c.nulls, c.values, c.min) == (1, None, None)
    assert c.lengths is not None
    assert (c.lengths.min, c.lengths.max, c.lengths.mean) == (0, 3, 1.5)


@pytest.mark.parametrize("kind", [pa.null(), pa.int64(), pa.float64(), pa.string(), pa.date32()])
def test_a_column_of_nulls_is_described(kind):
    c = column([None, None], kind)
    assert (c.count, c.nulls, c.distinct, c.values) == (2, 2, 0, {})
    assert (c.min, c.mean, c.quantile(0.5), c.top) == (None, None, None, [])


def test_no_rows_are_described():
    profile = profile_table(pa.table({"a": pa.array([], pa.int64())}), ("a",))
    assert (profile.rows, profile.columns["a"].count) == (0, 0)
    assert profile.keys is not None
    assert (profile.keys.rows, profile.keys.distinct, profile.keys.duplicates) == (0, 0, 0)
    assert Profile.merge_all([]).rows == 0


def test_values_are_counted_up_to_a_bound():
    assert len(column([f"{n}" for n in range(EXACT_VALUES)]).values or {}) == EXACT_VALUES
    assert column([f"{n}" for n in range(EXACT_VALUES + 1)]).values is None


def test_beyond_the_bound_the_sample_says_what_is_frequent():
    texts = ["often"] * 20_000 + [f"rare {n}" for n in range(20_000)]
    c = profile_table(pa.table({"id": range(40_000), "c": texts})).columns["c"]
    assert c.distinct == pytest.approx(20_001, rel=0.05)
    text, count = c.top[0]
    assert text == "often"
    assert count == pytest.approx(SAMPLE_ROWS / 2, rel=0.15)


def test_half_floats_beyond_the_bound_are_frequent_too():
    values = np.repeat(np.arange(1_500), 2).astype(np.float16)

    assert {count for _, count in column(pa.array(values)).top[:100]} == {2}


def test_the_sample_is_of_whole_rows_and_fair():
    table = pa.table({"a": range(50_000), "b": [n * 2 for n in range(50_000)]})
    rows = profile_table(table).sample.rows
    assert rows.num_rows == SAMPLE_ROWS
    assert rows["b"].to_pylist() == [2 * n for n in rows["a"].to_pylist()]
    assert np.mean(rows["a"].to_pylist()) == pytest.approx(25_000, rel=0.1)


def test_duplicate_keys_are_found_within_and_across_shards():
    a = pa.table({"k": [1, 2, 2], "j": ["x", "x", "x"]})
    b = pa.table({"k": [1, 1, 3], "j": ["x", "y", "x"]})
    first, second = profile_table(a, ("k", "j")).keys, profile_table(b, ("k", "j")).keys
    assert first is not None
    assert second is not None
    assert (first.duplicates, second.duplicates) == (1, 0)
    both = KeyProfile.merge_all([first, second])
    assert (both.rows, both.distinct, both.duplicates) == (6, 4, 2)


def test_two_shards_of_the_same_content_have_each_key_twice():
    keys = profile_table(pa.table({"k": [1, 2, 3]}), ("k",)).keys
    assert keys is not None
    both = KeyProfile.merge_all([keys, keys])
    assert (both.rows, both.distinct, both.duplicates, both.exact) == (6, 3, 3, True)


def test_the_ends_of_numbers_and_texts_that_met_hang_on_no_order():
    parts = [column([5.0]), column([10.0]), column(["x", "a"])]
    for *two, last in permutations(parts):
        merged = ColumnProfile.merge_all([ColumnProfile.merge_all(two), last])
        assert (merged.min, merged.max) == ("a", "x")


def test_without_a_key_there_are_none():
    assert profile_table(pa.table({"a": [1]})).keys is None


def test_a_column_that_one_part_lacks_counts_fewer_values_than_rows():
    merged = profile_table(pa.table({"a": [1]})).merge(
        profile_table(pa.table({"a": [2], "b": ["x"]}))
    )
    assert (merged.rows, merged.columns["a"].count, merged.columns["b"].count) == (2, 2, 1)


def test_types_that_meet_are_both_named():
    a, b = (profile_table(pa.table({"c": values})) for values in ([1, 2], ["x", "y"]))
    merged = a.merge(b).columns["c"]
    assert merged.type == "int64 | string"
    assert merged.values == {"1": 1, "2": 1, "x": 1, "y": 1}


def test_a_column_of_nulls_takes_the_type_that_it_meets():
    a, b = (profile_table(pa.table({"c": pa.array(values)})) for values in ([None], [5]))
    assert a.merge(b).columns["c"].type == "int64"
    assert a.merge(b).sample.rows.schema.field("c").type == pa.int64()


def test_the_same_rows_have_one_digest_and_are_read_back_whole(tmp_path):
    codec, artifacts = TreeCodec(digest_path), FolderArtifacts(tmp_path)
    profile = profile_table(large(5), ("id",))
    written = codec.encode(profile)
    for blob in written.blobs:
        assert isinstance(blob, bytes)
        artifacts.put_bytes(blob)

    assert codec.encode(profile_table(large(5), ("id",))).digest == written.digest
    same(codec.decode(written.manifest, artifacts), profile)


def test_the_sample_of_all_splits_is_drawn_as_it_is_looked_at():
    table = pa.table({"n": range(3_000)})
    splits = profile_splits(table, HashSplit(columns=("n",)), ())
    parts = [splits.train, splits.validation, splits.analysis]
    drawn = Sample.merge_all([part.sample for part in parts])
    later = splits.all.sample
    assert "rows" not in vars(later)
    assert later.rows.equals(drawn.rows)
    assert list(later.hashes) == list(drawn.hashes)
    assert splits.all.columns["n"].drawn.equals(drawn.rows["n"])
    with pytest.raises(AttributeError, match="gone"):
        _ = later.gone
