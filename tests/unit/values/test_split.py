"""A row's split follows from the row alone."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.config.data import ColumnSplit, GroupSplit, HashSplit, Shares, TimeSplit
from raypipe.errors import UsageError
from raypipe.values.split import SPLITS, rule_columns, split_of

BY_KEY = HashSplit(columns=("key",))


def names(table: pa.Table, rule: object) -> list[str]:
    return [SPLITS[number] for number in split_of(table, rule)]


def test_the_split_is_pinned():
    """A change of scheme would move rows from the sealed split into training."""
    days = [dt.date(2013, 1, 1) + dt.timedelta(n) for n in range(12)]
    told = split_of(pa.table({"date": days}), GroupSplit(columns="date"))
    assert "".join(map(str, told)) == "012000200000"


def test_shares_are_kept():
    counts = np.bincount(split_of(pa.table({"key": range(20_000)}), BY_KEY))
    assert counts / 20_000 == pytest.approx([0.70, 0.15, 0.15], abs=0.01)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**9), max_size=30), st.lists(st.integers(0, 10**9), max_size=30))
def test_a_row_keeps_its_split_as_data_grows(before, added):
    smaller = split_of(pa.table({"key": pa.array(before, pa.int64())}), BY_KEY)
    larger = split_of(pa.table({"key": pa.array(added + before, pa.int64())}), BY_KEY)
    assert larger[len(added) :].tolist() == smaller.tolist()


def test_a_row_keeps_its_split_when_columns_change_width_or_encoding():
    wide = pa.table({"n": pa.array(range(500), pa.int64()), "t": [f"t{n % 7}" for n in range(500)]})
    other = pa.table(
        {"t": wide["t"].dictionary_encode(), "n": wide["n"].cast(pa.int32()), "more": wide["n"]}
    )
    rule = HashSplit(columns=("n", "t"))
    assert split_of(wide, rule).tolist() == split_of(other, rule).tolist()


def test_rows_of_a_group_stay_together():
    groups = [f"g{n % 50}" for n in range(1000)]
    told = split_of(pa.table({"group": groups}), GroupSplit(columns="group"))
    assert len({(g, s) for g, s in zip(groups, told.tolist(), strict=True)}) == 50
    assert set(told.tolist()) == {0, 1, 2}


def test_another_salt_is_another_split():
    table = pa.table({"key": range(1000)})
    salted = HashSplit(columns=("key",), salt="x")
    assert (split_of(table, BY_KEY) != split_of(table, salted)).mean() > 0.2


def test_a_larger_share_takes_rows_and_gives_none():
    table = pa.table({"key": range(1000)})
    more = HashSplit(columns=("key",), shares=Shares(train=0.8, validation=0.1, analysis=0.1))
    assert ((split_of(table, BY_KEY) == 0) <= (split_of(table, more) == 0)).all()


def test_rows_without_a_key_share_a_split():
    table = pa.table({"key": pa.array([None, 1, None, None], pa.int64())})
    assert len({split_of(table, BY_KEY)[n] for n in (0, 2, 3)}) == 1


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ns", "UTC"), pa.date32()])
def test_time_divides_at_its_two_moments(kind):
    rule = TimeSplit(column="at", validation_from="2013-06-01", analysis_from="2013-07-01")
    days = [dt.datetime(2013, 5, 31), dt.datetime(2013, 6, 1), dt.datetime(2013, 6, 30)]
    moments = pa.array([*days, dt.datetime(2013, 7, 1), None], pa.timestamp("s")).cast(kind)
    assert names(pa.table({"at": moments}), rule) == [
        "train",
        "validation",
        "validation",
        "analysis",
        "train",
    ]


def test_a_moment_with_a_zone_is_that_moment():
    rule = TimeSplit(
        column="at", validation_from="2013-06-01T00:00:00+02:00", analysis_from="2013-07-01"
    )
    at = pa.array([dt.datetime(2013, 5, 31, 21), dt.datetime(2013, 5, 31, 23)])
    assert names(pa.table({"at": at}), rule) == ["train", "validation"]


def test_what_is_no_time_is_refused():
    rule = TimeSplit(column="at", validation_from="2013-06-01", analysis_from="2013-07-01")
    with pytest.raises(UsageError, match="'at' is bool"):
        split_of(pa.table({"at": [True]}), rule)
    odd = TimeSplit(column="at", validation_from="June", analysis_from="later")
    with pytest.raises(UsageError, match="validation_from is 'June'"):
        split_of(pa.table({"at": [dt.date(2013, 1, 1)]}), odd)


def test_a_column_says_the_split():
    table = pa.table({"part": ["analysis", "train", "validation"]})
    assert names(table, ColumnSplit(column="part")) == ["analysis", "train", "validation"]
    encoded = pa.table({"part": table["part"].dictionary_encode()})
    assert names(encoded, ColumnSplit(column="part")) == ["analysis", "train", "validation"]


def test_a_column_that_names_no_split_is_refused():
    with pytest.raises(UsageError, match=r"names no split in 2 rows.*'test'"):
        split_of(pa.table({"part": ["train", "test", None]}), ColumnSplit(column="part"))


def test_a_missing_column_is_named_with_what_was_meant():
    with pytest.raises(UsageError, match="column 'key'") as refused:
        split_of(pa.table({"keys": [1]}), BY_KEY)
    assert "'keys'" in str(refused.value.hint)


def test_no_rows_have_no_splits():
    assert split_of(pa.table({"key": pa.array([], pa.int64())}), BY_KEY).tolist() == []


def test_a_rule_says_which_columns_it_reads():
    assert rule_columns(HashSplit(columns=("a", "b"))) == ("a", "b")
    assert rule_columns(ColumnSplit(column="part")) == ("part",)


RULES = (
    BY_KEY,
    GroupSplit(columns="group"),
    TimeSplit(column="at", validation_from="2013-06-01", analysis_from="2013-07-01"),
    ColumnSplit(column="part"),
)
_ROW = st.fixed_dictionaries(
    {
        "key": st.integers(0, 10**9),
        "group": st.sampled_from("abcdef"),
        "at": st.datetimes(dt.datetime(2013, 1, 1), dt.datetime(2013, 12, 31)),
        "part": st.sampled_from(SPLITS),
    }
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.by)
@settings(deadline=None, max_examples=40)
@given(st.lists(_ROW, min_size=1, max_size=20), st.lists(_ROW, max_size=20), st.randoms())
def test_no_rule_moves_a_row_when_rows_or_shards_are_added(rule, before, added, random):
    """Whatever comes, in whatever order and however it is cut: the split is the row's own."""
    alone = [split_of(pa.Table.from_pylist([row]), rule)[0] for row in before]
    order = list(range(len(before) + len(added)))
    random.shuffle(order)
    every = [*before, *added]
    told = split_of(pa.Table.from_pylist([every[n] for n in order]), rule)
    assert [told[order.index(n)] for n in range(len(before))] == alone
