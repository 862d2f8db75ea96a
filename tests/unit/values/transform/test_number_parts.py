"""Buckets of numbers, and parts of moments."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from raypipe.values.transform.groups import Numeric
from raypipe.values.transform.number_groups import Buckets, Date

NAN, INF = float("nan"), float("inf")


def test_a_number_is_kept_within_bounds_before_it_is_scaled(transform_of):
    group = Numeric(
        columns=("x", "level"),
        tensor="dense",
        fill=(50.0, 0.0),
        log=False,
        center=(0.0, 0.0),
        scale=(2.0, 1.0),
        low=(-4.0, None),
        high=(10.0, None),
    )
    rows = pa.table({"x": [-9.0, 3.0, 1e9, None], "level": [-9.0, 3.0, 1e9, None]})
    found = transform_of(group).apply(rows)["dense"]
    assert found.tolist() == [[-2, -9], [1.5, 3], [5, 1e9], [5, 0]]


@pytest.mark.parametrize("index", [True, False])
def test_a_bucket_begins_at_its_edge_and_what_is_missing_is_in_none(transform_of, index):
    group = Buckets(columns=("x",), tensor="t", edges=((0.0, 10.0),), index=index)
    transform = transform_of(group)
    found = transform.apply(pa.table({"x": [-1.0, 0.0, 9.9, 10.0, 1e300, None, NAN, INF]}))["t"]
    buckets = [1, 2, 2, 3, 3, 0, 0, 0]
    spec = transform.signature.tensor("t")
    if index:
        assert (found[:, 0].tolist(), spec.cardinalities) == (buckets, (4,))
    else:
        assert found.tolist() == np.eye(4)[buckets][:, 1:].tolist()
        assert spec.columns == ("x<0", "x[0,10)", "x>=10")


def parts(transform_of, *names, moment, column="at", cyclic=False, zone=None, **state):
    """Return parts of one moment."""
    given = {"center": (0.0,), "scale": (1.0,), **state}
    group = Date(columns=(column,), tensor="t", parts=names, cyclic=cyclic, zone=zone, **given)
    kind = pa.date32() if column == "day" else pa.timestamp("us", tz="UTC")
    rows = pa.table({column: pa.array([moment], kind)})
    return transform_of(group).apply(rows)["t"][0].tolist()


def test_parts_that_go_round_are_shares_of_the_way(transform_of):
    moment = datetime(2024, 12, 31, 23, 59, tzinfo=UTC)
    names = ("month", "day", "weekday", "hour", "minute", "day_of_year", "is_weekend")
    found = parts(transform_of, *names, moment=moment)
    assert found == pytest.approx([1, 1, 1 / 6, 1, 1, 1, 0])  # a Tuesday of a leap year
    assert parts(transform_of, *names, moment=datetime(2024, 1, 1, tzinfo=UTC)) == [0] * 7


@pytest.mark.parametrize(("day", "weekend"), [(5, 0), (6, 1), (7, 1), (8, 0)])
def test_a_weekend_is_saturday_and_sunday(transform_of, day, weekend):
    found = parts(transform_of, "is_weekend", moment=date(1968, 1, day), column="day")
    assert found == [weekend]


def test_cyclic_parts_are_sine_and_cosine(transform_of):
    moment = datetime(2024, 1, 1, 6, tzinfo=UTC)
    assert parts(transform_of, "hour", moment=moment, cyclic=True) == pytest.approx([1, 0])


def test_a_clock_is_read_in_its_time_zone(transform_of):
    moment = datetime(2024, 7, 1, 2, tzinfo=UTC)  # 22 o'clock of the day before in New York
    zoned = parts(transform_of, "hour", "month", moment=moment, zone="America/New_York")
    assert zoned == pytest.approx([22 / 23, 5 / 11])


def test_year_and_epoch_are_told_in_deviations_from_the_mean(transform_of):
    year = 365.2425 * 86_400
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    state = {"center": (40 * year,), "scale": (5 * year,)}
    found = parts(transform_of, "year", "epoch", moment=moment, **state)
    assert found == pytest.approx([2, 2], abs=0.01)


def test_all_parts_of_a_moment_that_is_missing_are_zero(transform_of):
    names = ("year", "month", "epoch", "is_weekend")
    state = {"center": (1e9,), "scale": (1.0,)}
    assert parts(transform_of, *names, moment=None, cyclic=True, **state) == [0] * 5
