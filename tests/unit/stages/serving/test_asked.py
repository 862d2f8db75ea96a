"""JSON becomes rows in the types of the features, or a sentence that names what does not fit."""

import base64
from datetime import UTC, date, datetime
from decimal import Decimal

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.errors import UsageError
from raypipe.stages.serving.asked import FEW, Asked, Reading
from raypipe.values.signature import Feature, Label, Signature
from raypipe.values.transform.reading import as_array
from raypipe.values.transform.types import arrow_type

TYPES = {
    "x": "double",
    "f": "float",
    "n": "int64",
    "small": "uint8",
    "flag": "bool",
    "text": "string",
    "day": "date32[day]",
    "at": "timestamp[us]",
    "moment": "timestamp[ns, tz=UTC]",
    "price": "decimal128(10, 2)",
    "tags": "list<item: string>",
    "days": "large_list<element: date32[day]>",
    "image": "binary",
}
ROW = {
    "x": 1.5,
    "f": 0.25,
    "n": 7,
    "small": 3,
    "flag": True,
    "text": "a",
    "day": "2026-01-31",
    "at": "2026-01-31T12:00:00.5",
    "moment": "2026-01-31T12:00:00Z",
    "price": "12.30",
    "tags": ["a", None],
    "days": ["2026-01-31"],
    "image": "iVBORw==",
}


def reading(*optional: str) -> Reading:
    features = tuple(Feature(name=n, type=kind, nullable=True) for n, kind in TYPES.items())
    label = Label(name="late", task="binary", classes=("false", "true"))
    return Reading(Signature(features=features, tensors=(), label=label), optional)


def batch_of(asked: Asked) -> pa.RecordBatch:
    """What was read, as Arrow has it."""
    read = zip(asked.features.columns, TYPES.values(), strict=True)
    return pa.RecordBatch.from_arrays(
        [as_array(column, type_of(kind)) for column, kind in read], names=list(TYPES)
    )


def test_each_value_gets_the_type_of_its_feature():
    batch = batch_of(reading().rows([ROW]))
    assert [str(field.type) for field in batch.schema] == [*TYPES.values()]
    assert batch.to_pylist()[0] | {"moment": None} == {
        **ROW,
        "day": date(2026, 1, 31),
        "at": datetime(2026, 1, 31, 12, 0, 0, 500_000),
        "price": Decimal("12.30"),
        "days": [date(2026, 1, 31)],
        "image": b"\x89PNG",
        "moment": None,
    }
    assert batch.column("moment").cast(pa.int64())[0].as_py() == int(
        datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 10**9
    )


def test_many_rows_are_read_as_few_are():
    row = {**ROW, "f": 0.1, "n": -(2**63), "small": 255, "x": 2}
    many = batch_of(reading().rows([row, ROW] * FEW))
    few = batch_of(reading().rows([row, ROW]))
    assert pa.Table.from_batches([few] * FEW).combine_chunks().to_batches()[0].equals(many)


def test_null_is_a_value_that_is_not_known():
    batch = batch_of(reading().rows([dict.fromkeys(TYPES)]))
    assert all(column.null_count == 1 for column in batch.columns)


def test_whole_numbers_may_be_written_as_floats_and_the_other_way_round():
    row = batch_of(reading().rows([{**ROW, "x": 2, "n": 3.0, "price": 5}])).to_pylist()[0]
    assert (row["x"], row["n"], row["price"]) == (2.0, 3, Decimal("5.00"))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("x", "1.5", "'1.5'; it must be a number"),
        ("x", True, "true; it must be a number"),
        ("x", 10**310, "it must be a number"),
        ("f", [1], "a list; it must be a number"),
        ("n", 1.5, "1.5; it must be a whole number (int64)"),
        ("n", 2**63, "it must be a whole number (int64)"),
        ("small", 256, "256; it must be a whole number (uint8)"),
        ("small", -1, "-1; it must be"),
        ("flag", 1, "1; it must be true or false"),
        ("flag", "true", "'true'; it must be true or false"),
        ("text", 5, "5; it must be a text"),
        ("text", {"a": 1}, "an object; it must be a text"),
        ("day", "31.1.2026", "it must be a date such as 2026-01-31"),
        ("day", 5, "5; it must be a date"),
        ("at", "2026-01-31T12:00:00Z", "it must be a moment without a zone"),
        ("moment", "2026-01-31T12:00:00", "it must be a moment with its zone"),
        ("price", "dear", "'dear'; it must be a number"),
        ("price", "1.234", "it must be a number"),
        ("tags", "a", "'a'; it must be a list"),
        ("image", "no base64", "'no base64'; it must be bytes as a text in base64"),
        ("image", "é", "'é'; it must be bytes as a text in base64"),
        ("image", 5, "5; it must be bytes"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_row(name, value, words):
    with pytest.raises(UsageError) as refused:
        reading().rows([ROW, {**ROW, name: value}])
    assert str(refused.value).startswith(f"row 1: the feature {name!r} is ")
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("tags", ["a", 5], "a text"), ("days", ["31.1."], "a date such as 2026-01-31")],
)
def test_a_list_with_a_value_that_does_not_fit_is_named(name, value, words):
    said = (
        f"row 1: a value of the list {name!r} is no such thing as its others; each must be {words}"
    )
    with pytest.raises(UsageError, match=said):
        reading().rows([ROW, {**ROW, name: value}])


def test_a_feature_that_is_missing_is_named_and_a_slip_is_seen():
    row = {("ext" if name == "text" else name): value for name, value in ROW.items()}
    with pytest.raises(UsageError, match=r"row 0 lacks the feature 'text'; is it 'ext'\?"):
        reading().rows([row])
    with pytest.raises(UsageError, match="row 1 lacks the feature 'x'"):
        reading().rows([ROW, {name: value for name, value in ROW.items() if name != "x"}])


def test_an_optional_feature_may_be_left_out():
    row = {name: value for name, value in ROW.items() if name != "x"}
    assert batch_of(reading("x").rows([row, ROW])).column("x").to_pylist() == [None, 1.5]


def test_other_fields_are_kept_as_they_are():
    asked = reading().rows([{**ROW, "flight": 15}, {**ROW, "gate": "B2"}])
    assert asked.columns["flight"] == [15, None]
    assert asked.columns["gate"] == [None, "B2"]
    with pytest.raises(UsageError, match="the field 'gate' is a list"):
        reading().rows([{**ROW, "gate": [1]}])
    with pytest.raises(UsageError, match="the most are 1,000"):
        reading().rows([{**ROW, **{f"f{n}": 1 for n in range(1000)}}])


@pytest.mark.parametrize("rows", [None, {}, [], [1], [[]], "rows"])
def test_what_are_no_rows_is_told(rows):
    with pytest.raises(UsageError):
        reading().rows(rows)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@pytest.mark.slow
@given(rows=json | st.lists(st.fixed_dictionaries(dict.fromkeys(TYPES, json)), max_size=3))
def test_whatever_json_it_is_there_are_rows_or_a_sentence(rows):
    try:
        asked = reading().rows(rows)
    except UsageError:
        return
    assert batch_of(asked).num_rows == asked.rows == len(rows)


@pytest.mark.slow
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "f": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
                "n": st.none() | st.integers(-(2**63), 2**63 - 1),
                "small": st.none() | st.integers(0, 255),
                "flag": st.none() | st.booleans(),
                "text": st.none() | st.text(st.characters(codec="utf-8"), max_size=8),
                "day": st.none() | st.dates(),
                "at": st.none() | st.datetimes(),
                "moment": st.none()
                | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
                "price": st.none() | st.decimals(-(10**7), 10**7, places=2),
                "tags": st.none() | st.lists(st.none() | st.text(st.characters(codec="utf-8"))),
                "days": st.none() | st.lists(st.dates(), max_size=3),
                "image": st.none() | st.binary(max_size=9),
            }
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_a_table_holds_arrives_bit_for_bit(rows):
    """As `raypipe predict` sends it: temporal values and decimals as Arrow's text of them."""
    schema = pa.schema([(n, type_of(kind)) for n, kind in TYPES.items()])
    table = pa.Table.from_pylist(rows, schema=schema)
    sent = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_temporal(column.type) or pa.types.is_decimal(column.type):
            column = column.cast(pa.string())
        sent[name] = column.to_pylist()
    sent["days"] = [days and [one.isoformat() for one in days] for days in sent["days"]]
    sent["image"] = [None if i is None else base64.b64encode(i).decode() for i in sent["image"]]
    body = orjson.dumps(
        [dict(zip(sent, row, strict=True)) for row in zip(*sent.values(), strict=True)]
    )
    batch = batch_of(reading().rows(orjson.loads(body)))
    assert batch.equals(table.combine_chunks().to_batches()[0])


def type_of(kind: str) -> pa.DataType:
    made = arrow_type(kind)
    assert made is not None
    return made
