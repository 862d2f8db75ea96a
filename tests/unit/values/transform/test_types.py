"""Arrow types by their names."""

import pyarrow as pa
import pytest

from raypipe.values.transform.types import arrow_type

TYPES = [
    pa.int8(),
    pa.uint64(),
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.bool_(),
    pa.string(),
    pa.large_string(),
    pa.binary(),
    pa.date32(),
    pa.date64(),
    pa.timestamp("us"),
    pa.timestamp("ns", tz="America/New_York"),
    pa.duration("ms"),
    pa.time32("s"),
    pa.time64("us"),
    pa.decimal128(10, 2),
    pa.decimal256(50, -3),
    pa.null(),
    pa.list_(pa.string()),
    pa.large_list(pa.field("element", pa.int64(), nullable=False)),
    pa.list_(pa.list_(pa.timestamp("us", tz="UTC"))),
    pa.list_(pa.float32(), 3),
]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_type_is_found_by_the_name_that_arrow_gives_it(kind):
    assert arrow_type(str(kind)) == kind


def test_what_has_no_short_name_is_left_as_it_is():
    assert arrow_type("struct<a: int64>") is None
    assert arrow_type("list<item: struct<a: int64>>") is None
    assert arrow_type("no such type") is None
