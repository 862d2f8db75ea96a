"""No type that Arrow has stops a profile, and what is alike is told alike."""

import datetime as dt
import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.errors import StoreError
from raypipe.store.content import digest_path
from raypipe.values import keys
from raypipe.values.codec import TreeCodec
from raypipe.values.keys import KeyProfile
from raypipe.values.measure import Parts
from raypipe.values.moments import Moments
from raypipe.values.profile import Profile, profile_parts, profile_table

UNITS = ("s", "ms", "us", "ns")
WHOLE = (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64())
NUMBERS = [1, None, 3]
MONEY = [Decimal("100"), None, Decimal("-300")]


def all_types() -> dict[str, pa.Array]:
    def of(kind: pa.DataType, values: list[Any]) -> pa.Array:
        return pa.array(values, kind)

    moments = [
        kind
        for unit in UNITS
        for kind in (pa.timestamp(unit), pa.timestamp(unit, "Europe/Berlin"), pa.duration(unit))
    ]
    times = [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]
    lists = [pa.list_, pa.large_list, pa.list_view, pa.large_list_view]
    pair = pa.list_(pa.int32(), 2)
    inner = pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.string())]))])
    arrays = [
        *(of(kind, NUMBERS) for kind in (*WHOLE, *moments, *times)),
        of(pa.uint64(), [2**64 - 1, None, 3]),
        of(pa.float16(), [np.float16(1.5), None, np.float16("inf")]),
        *(of(kind, [1.5, None, float("nan")]) for kind in (pa.float32(), pa.float64())),
        *(of(kind, MONEY) for kind in (pa.decimal32(5, 2), pa.decimal64(12, 2))),
        *(of(kind, MONEY) for kind in (pa.decimal128(38, 2), pa.decimal256(76, 3))),
        *(of(kind, [dt.date(2020, 1, 1), None, dt.date.max]) for kind in (pa.date32(),)),
        of(pa.date64(), [dt.date(2020, 1, 1), None, dt.date(1900, 1, 1)]),
        *(of(k, ["a", None, " 1"]) for k in (pa.string(), pa.large_string(), pa.string_view())),
        *(of(k, [b"ab", None, b"\xff"]) for k in (pa.binary(), pa.large_binary())),
        of(pa.binary_view(), [b"ab", None, b""]),
        of(pa.binary(2), [b"ab", None, b"cd"]),
        *(of(kind(pa.int64()), [[1, 2], None, []]) for kind in lists),
        of(pa.list_(pa.timestamp("ns")), [[1, 2], None, [1001]]),
        of(pa.list_(pa.list_(pa.string())), [[["a"]], None, [[], None]]),
        of(pair, [[1, 2], None, [3, 4]]),
        of(inner, [{"a": 1, "b": {"c": "x"}}, None, {"a": None, "b": None}]),
        of(pa.map_(pa.string(), pa.int64()), [[("a", 1)], None, []]),
        of(pa.bool_(), [True, None, False]),
        of(pa.month_day_nano_interval(), [(1, 2, 3), None, (0, 0, 1)]),
        pa.nulls(3),
        pa.array(["a", None, "b"]).dictionary_encode(),
        pa.RunEndEncodedArray.from_arrays([2, 3], pa.array(["a", None])),
        pa.array([b"0" * 16, None, b"1" * 16], pa.uuid()),
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}", None, "1"])),
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.int32(), (2,)), of(pair, [[1, 2], None, [3, 4]])
        ),
        pa.UnionArray.from_dense(
            of(pa.int8(), [0, 1, 0]),
            of(pa.int32(), [0, 0, 1]),
            [of(pa.int8(), [1, 2]), of(pa.string(), ["x"])],
        ),
    ]
    return {str(array.type): array for array in arrays}


TYPES = all_types()
CODEC = TreeCodec(digest_path)


def digest(profile: Profile) -> str:
    return CODEC.encode(profile).digest


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_profiled_and_merges_whatever_the_cut(name):
    """Of a slice too, of no row and of one; and to the very bytes of the whole."""
    array = TYPES[name]
    whole = profile_table(pa.table({"c": array}))
    assert whole.columns["c"].count == 3
    assert whole.columns["c"].nulls == sum(value is None for value in array.to_pylist())
    for cut in range(4):
        parts = [profile_table(pa.table({"c": part})) for part in (array[cut:], array[:cut])]
        assert digest(Profile.merge_all(parts)) == digest(whole)


def test_which_of_two_equal_values_is_drawn_does_not_matter():
    """Values that have one hash: 0 and -0, moments within a microsecond, any NaN."""
    other = np.array([0x7FF8000000000001], np.uint64).view(np.float64)[0]
    for values in (
        pa.array([0.0, -0.0]),
        pa.array([float("nan"), other]),
        pa.array([1, 3], pa.timestamp("ns")),
        pa.array([1, 3], pa.duration("ns")),
    ):
        there, back = (pa.table({"c": values.take([*order])}) for order in ((0, 1), (1, 0)))
        assert digest(profile_table(there)) == digest(profile_table(back))


@pytest.mark.parametrize(
    ("kind", "huge"),
    [
        (pa.duration("s"), 2**62),
        (pa.duration("ms"), 2**62),
        (pa.timestamp("s"), 2**62),
        (pa.timestamp("ms", "Europe/Berlin"), 2**62),
        (pa.timestamp("us"), 2**63 - 1),
        (pa.timestamp("us", "UTC"), 253_402_300_800_000_000),
        (pa.date32(), 2**31 - 1),
        (pa.date64(), 86_400_000 * 10**11),
    ],
    ids=str,
)
def test_moments_and_durations_never_wrap_round(kind, huge):
    """They are as large as microseconds can be told, and not the 0 that 2^62 seconds wrap to."""
    width = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    array = pa.array([huge, 0, None, -huge], width).cast(kind)
    column = profile_table(pa.table({"c": array})).columns["c"]
    assert column.distinct == 3
    assert len(column.values or {}) == 3
    assert column.min is not None
    assert column.max is not None
    assert column.min < -(10**11) < 10**11 < column.max <= 2**63 / 1e6


def test_moments_beyond_the_calendar_are_told_within_lists_too():
    rows = pa.array([[2**62, 1], [1], None, [2**62, 2]], pa.list_(pa.timestamp("us")))
    column = profile_table(pa.table({"c": rows})).columns["c"]
    assert (column.distinct, column.inner["[]"].distinct) == (3, 3)


def test_what_is_inside_is_described():
    rows = [{"a": 1, "l": [1.0, None]}, None, {"a": None, "l": []}]
    column = profile_table(pa.table({"c": pa.array(rows)})).columns["c"]
    a, held = column.inner["a"], column.inner["l"]
    assert (column.count, column.nulls) == (3, 1)
    assert (a.count, a.nulls, a.values) == (2, 1, {"1": 1})
    assert (held.lengths and held.lengths.max, held.inner["[]"].nulls) == (2, 1)


def test_texts_are_told_by_their_looks():
    looks = {
        "integer": ["0", "-12", "+7"],
        "float": ["1.5", "-.5", "1e9", "2.E-3"],
        "date": ["2024-01-31", "2024-01-31T10:00:00Z", "31.12.2024", "1/2/2024"],
        "bool": ["true", "False", "YES", "no"],
        "missing": ["NA", "n/a", "null", "None", "-", "?"],
        "empty": [""],
        "padded": [" a", "1 ", "\t"],
        "text": ["a", "id-7", "1 Main Street", "truest", "12a", "not", "ä", "-x", "1234567890x"],
    }
    texts = [text for some in looks.values() for text in some]
    many = [*texts, *(f"word {n}" for n in range(3_000))]
    few = profile_table(pa.table({"c": texts})).columns["c"].looks
    assert few == {name: len(some) for name, some in sorted(looks.items())}
    assert profile_table(pa.table({"c": many})).columns["c"].looks == {
        **few,
        "text": few["text"] + 3_000,
    }


@given(st.lists(st.text(max_size=12), min_size=1))
def test_the_first_and_the_last_text_are_those_of_code_points(texts):
    padded = texts + [f"m{n}" for n in range(1_500)]
    column = profile_table(pa.table({"c": padded})).columns["c"]
    assert (column.min, column.max) == (min(padded), max(padded))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.data())
def test_sums_are_exact(numbers, data):
    times = data.draw(st.lists(st.integers(1, 10**6), min_size=len(numbers), max_size=len(numbers)))
    found = Moments.of(np.array(numbers), np.array(times))
    pairs = [(Fraction(x), n) for x, n in zip(numbers, times, strict=True)]
    assert found is not None
    assert found.total == sum(x * n for x, n in pairs) * 2**1074
    assert found.squares == sum(x * x * n for x, n in pairs) * 2**2148


def test_parts_are_profiled_as_if_each_were_alone():
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "few": rng.integers(0, 50, 6_000),
            "x": pa.array(rng.normal(size=6_000), mask=rng.random(6_000) < 0.1),
            "s": [f"text {n}" for n in rng.integers(0, 5_000, 6_000)],
            "l": [[n] * (n % 3) for n in range(6_000)],
        }
    )
    of_row = rng.integers(0, 3, 6_000).astype(np.int8)
    parts = profile_parts(table, Parts.of(of_row, 3), ("few", "s"))
    for number, part in enumerate(parts):
        alone = profile_table(table.filter(pa.array(of_row == number)), ("few", "s"))
        assert digest(part) == digest(alone)


@pytest.mark.slow
def test_another_process_writes_the_same_bytes():
    code = (
        "import pyarrow as pa\n"
        "from tests.unit.values.test_measure import digest, TYPES, profile_table\n"
        "print([digest(profile_table(pa.table({'c': array}))) for array in TYPES.values()])"
    )
    mine = [digest(profile_table(pa.table({"c": array}))) for array in TYPES.values()]
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        theirs = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert theirs.stdout.strip() == str(mine)


def test_keys_beyond_the_bound_are_estimated_in_bounded_room(monkeypatch):
    monkeypatch.setattr(keys, "KEYS", 1_000)
    hashes = np.random.default_rng(0).integers(0, 2**63, 20_000).astype(np.uint64) * np.uint64(2)
    rows = np.concatenate([hashes, hashes[:2_000]])
    whole = KeyProfile.of(("k",), rows)
    merged = KeyProfile.merge_all([KeyProfile.of(("k",), part) for part in np.split(rows, 4)])
    assert (len(whole.hashes), whole.exact) == (1_000, False)
    assert whole.duplicates == pytest.approx(2_000, rel=0.3)
    for name in ("rows", "hashes", "repeated", "more"):
        assert np.array_equal(getattr(whole, name), getattr(merged, name))


@pytest.mark.parametrize("bound", [1 << 22, 5_000, 300])
def test_few_keys_that_are_put_in_among_many_are_as_if_all_were_sorted(monkeypatch, bound):
    monkeypatch.setattr(keys, "KEYS", bound)
    rows = np.random.default_rng(1).integers(0, 15_000, 20_000).astype(np.uint64) << np.uint64(40)
    parts = np.split(rows, [10, 500, 501, 19_700])
    whole = KeyProfile.of(("k",), rows)
    for some in (parts, parts[::-1]):
        merged = KeyProfile.merge_all([KeyProfile.of(("k",), part) for part in some])
        for name in ("rows", "hashes", "repeated", "more"):
            assert np.array_equal(getattr(whole, name), getattr(merged, name)), name


def test_a_profile_has_a_bound_whatever_the_rows():
    """A column: 4,096 registers, 1,000 values; buckets of the octaves that occur, 64 each."""
    rng = np.random.default_rng(0)

    def size(rows: int) -> int:
        table = pa.table(
            {"x": rng.normal(size=rows), "s": rng.integers(0, 2**60, rows).astype(str)}
        )
        encoded = CODEC.encode(profile_table(table))
        return len(encoded.manifest) + sum(len(blob) for blob in encoded.blobs)

    assert size(400_000) < 1.2 * size(100_000)


def test_a_profile_of_an_older_format_is_told():
    profile = profile_table(pa.table({"a": [1]}))
    with pytest.raises(StoreError, match="format 1"):
        Profile(rows=1, columns=profile.columns, sample=profile.sample, format=1)


def test_long_texts_are_not_counted_so_that_few_of_them_are_no_burden():
    """Each is in the sample; it is the counted values that would be merged and kept for ever."""
    short, long = "x" * 1_000, "x" * 1_001
    assert profile_table(pa.table({"t": [short, short, "y"]})).columns["t"].values == {
        short: 2,
        "y": 1,
    }
    parts = [profile_table(pa.table({"t": [text, "y"]})) for text in (long, short)]
    assert [part.columns["t"].counted is None for part in parts] == [True, False]
    merged = parts[0].merge(parts[1])
    whole = profile_table(pa.table({"t": [long, "y", short, "y"]}))
    assert merged.columns["t"].counted is None
    assert CODEC.encode(merged).digest == CODEC.encode(whole).digest
