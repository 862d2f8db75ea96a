"""Hashes of rows are stable: of the value, not of how it is stored."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.values.hashing import canonical_text, row_hash, unit_interval, value_hash


def one(value: object, kind: pa.DataType) -> int:
    return int(value_hash(pa.array([value], kind))[0])


def test_the_scheme_is_pinned():
    """A change moves rows between splits: it must be a decision."""
    table = pa.table(
        {
            "n": [0, 5, None, -1],
            "x": [0.5, 5.0, float("nan"), None],
            "t": ["", "JFK", "a text of more than eight bytes", None],
            "d": pa.array([dt.date(2013, 1, 1)] * 4),
        }
    )
    assert row_hash(table, ["n", "x", "t", "d"], salt="s").tolist() == [
        11072796066980293605,
        17212899375065121004,
        4562395468444689818,
        12420915548270895172,
    ]


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.int32(), pa.int64(), pa.uint8(), pa.uint64(), pa.float32(), pa.float64()],
)
def test_a_number_is_the_same_in_every_width(kind):
    assert one(5, kind) == one(5, pa.int64())


@pytest.mark.parametrize(
    "kind",
    [
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_string()),
    ],
)
def test_a_text_is_the_same_however_it_is_stored(kind):
    plain = pa.array(["JFK", None, "", "a longer text than that", "JFK"])
    assert value_hash(plain.cast(kind)).tolist() == value_hash(plain).tolist()


def test_a_moment_is_the_same_in_every_unit():
    moment = dt.datetime(2013, 7, 1, 12, 30)
    hashes = {one(moment, pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")}
    assert len(hashes) == 1


def test_a_date_is_the_same_in_both_widths_and_as_its_midnight():
    date = dt.date(2013, 7, 1)
    midnight = one(dt.datetime(2013, 7, 1), pa.timestamp("us"))
    assert one(date, pa.date32()) == one(date, pa.date64()) == midnight


def test_zero_has_one_hash_and_nan_has_one():
    assert one(0.0, pa.float64()) == one(-0.0, pa.float64())
    quiet = np.array([np.nan, -np.nan], dtype=np.float64)
    assert len(set(value_hash(pa.array(quiet)).tolist())) == 1


def test_a_null_differs_from_nothing_written():
    assert one(None, pa.string()) == one(None, pa.int64()) == one(None, pa.null())
    assert one(None, pa.string()) != one("", pa.string())
    assert one(None, pa.int64()) != one(0, pa.int64())


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=40), st.integers(0, 5))
def test_a_slice_has_the_hashes_of_its_rows(texts, start):
    whole = pa.array(texts, pa.string())
    assert value_hash(whole[start:]).tolist() == value_hash(whole).tolist()[start:]


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), unique=True, max_size=60))
def test_texts_that_differ_have_hashes_that_differ(texts):
    assert len(set(value_hash(pa.array(texts, pa.string())).tolist())) == len(texts)


def test_lists_and_structs_have_hashes_too():
    lists = value_hash(pa.array([[1, 2], [1], None, [1, 2]]))
    assert lists[0] == lists[3] != lists[1]
    structs = value_hash(pa.array([{"a": 1}, {"a": 2}, {"a": 1}]))
    assert structs[0] == structs[2] != structs[1]


def test_columns_count_in_their_order_and_with_the_salt():
    table = pa.table({"a": [1, 2], "b": [2, 1]})
    assert row_hash(table, ["a", "b"])[0] != row_hash(table, ["b", "a"])[0]
    assert row_hash(table, ["a", "b"])[0] == row_hash(table, ["b", "a"])[1]
    assert row_hash(table, ["a"], "x")[0] != row_hash(table, ["a"], "y")[0]


def test_hashes_of_consecutive_numbers_spread_evenly():
    spread = unit_interval(value_hash(pa.array(range(10_000))))
    assert spread.min() >= 0
    assert spread.max() < 1
    assert np.histogram(spread, 10, (0, 1))[0] == pytest.approx(1000, abs=120)


def test_canonical_text_says_a_value_in_one_way():
    def said(value: object, kind: pa.DataType) -> str | None:
        return canonical_text(pa.array([value], kind))[0]

    assert said(5, pa.int8()) == said(5.0, pa.float64()) == "5"
    assert said(0.1, pa.float64()) == "0.1"
    assert said(True, pa.bool_()) == "true"
    assert said(None, pa.string()) is None
    assert said(dt.date(2013, 7, 1), pa.date32()) == "2013-07-01"
    assert said(dt.datetime(2013, 7, 1, 9), pa.timestamp("ns")) == "2013-07-01T09:00:00"
    assert said(dt.datetime(2013, 7, 1, 9), pa.timestamp("s", "UTC")) == "2013-07-01T09:00:00Z"
    assert said(Decimal("1.50"), pa.decimal128(5, 2)) == "1.5"
    assert said(Decimal("100.00"), pa.decimal128(5, 2)) == "100"
    wide = Decimal(f"1{0:074}1")
    assert said(wide, pa.decimal256(76, 0)) == str(wide)
    assert said(b"\x01", pa.binary()) == "01"
    assert said([1, 2], pa.list_(pa.int64())) == "[1, 2]"
