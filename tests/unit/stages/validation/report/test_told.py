"""Figures are written as a person would."""

import math

import pyarrow as pa
import pytest

from raypipe.stages.validation.report.told import facts, figure, value_of
from raypipe.values.profile import profile_table


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (1234567.0, "1,234,567"),
        (-12.5, "-12.5"),
        (math.pi, "3.14159"),
        (123456.789, "123,457"),
        (0.00012, "0.00012"),
        (1e-9, "1e-09"),
        (6.02214076e23, "6.02214e+23"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "NaN"),
    ],
)
def test_a_number_is_as_short_as_it_can_be_read(value, said):
    assert figure(value) == said


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("date32[day]", 86_400.0, "1970-01-02"),
        ("timestamp[us, tz=UTC]", 1.5, "1970-01-01 00:00:01"),
        ("timestamp[s]", 253_402_300_800.0, "10000-01-01 00:00:00"),
        ("timestamp[s]", 1e300, "1e+300"),
        ("time32[s]", 3_661.0, "01:01:01"),
        ("duration[us]", 1.5, "1.5 s"),
        ("bool", 1.0, "true"),
        ("int64", 5.0, "5"),
        ("string", "", "(empty)"),
        ("string", "a", "a"),
        ("double", None, ""),
    ],
)
def test_a_value_is_written_by_its_type(kind, value, said):
    assert value_of(kind, value) == said


def test_each_fact_of_each_column_can_be_told():
    table = pa.table({"a": [1, None, 3], "b": ["x", " y", ""], "c": [True, None, False]})
    columns = profile_table(table).columns
    told = {n: {f: say(c) for f, say in facts().items()} for n, c in columns.items()}
    assert told["a"]["missing"] == "33 %"
    assert told["a"]["median"] == "1"
    assert told["b"]["looks like"] == "empty 33 %, padded 33 %, text 33 %"
    assert told["b"]["length"] == "0 to 2, 1 on average"
    assert told["c"]["median"] == ""
    assert told["c"]["distinct"] == "2"
