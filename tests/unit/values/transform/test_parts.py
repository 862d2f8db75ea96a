"""A row by itself is transformed to the same bits as among many: what serving rests on."""

import io
from datetime import UTC, date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from raypipe.values.transform import Transform
from raypipe.values.transform.reading import Read

ENOUGH = 40
"""Rows of a batch: more than take the path for few rows."""


def picture(mode, width, height, form="PNG"):
    """Draw an image, as a file's bytes."""
    bands = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, *bands), np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, form)
    return written.getvalue()


def _odd(usual, kind):
    return st.lists(st.none() | usual, min_size=1, max_size=8).map(
        lambda values: pa.array((values * ENOUGH)[:ENOUGH], kind)
    )


_INTEGERS = st.sampled_from([0, 7, -3, 24]) | st.integers(-(2**63), 2**63 - 1)
_DAYS = st.sampled_from([date(2013, 1, 2), date(1969, 12, 31)])
PICTURES = [picture("RGB", 7, 9), picture("L", 5, 3, "JPEG"), picture("RGBA", 2, 2)]
_TEXTS = st.sampled_from(["a", "b", ""]) | st.text(max_size=3)
_MOMENTS = st.datetimes(timezones=st.just(UTC))
TABLES = st.fixed_dictionaries(
    {
        "x": _odd(st.floats(), pa.float64()),
        "n": _odd(_INTEGERS, pa.int64()),
        "flag": _odd(st.booleans(), pa.bool_()),
        "text": _odd(_TEXTS, pa.string()),
        "code": _odd(_INTEGERS, pa.int64()),
        "day": _odd(_DAYS, pa.date32()),
        "level": _odd(st.sampled_from([5.0, 0.5, -0.0]) | st.floats(), pa.float64()),
        "at": _odd(_MOMENTS, pa.timestamp("us", tz="UTC")),
        "title": _odd(st.sampled_from(["The Sun", "a  moon,b", " "]) | st.text(), pa.string()),
        "picture": _odd(st.sampled_from(PICTURES), pa.binary()),
        "tags": _odd(st.lists(st.none() | _TEXTS, max_size=3), pa.list_(pa.string())),
    }
).map(pa.table)


def same_bits(whole, parts):
    """Assert that the parts of tensors, put together, are the whole to the bit."""
    assert whole.keys() == parts[0].keys()
    for name, tensor in whole.items():
        joined = np.concatenate([part[name] for part in parts])
        assert (tensor.dtype, tensor.shape) == (joined.dtype, joined.shape)
        assert tensor.tobytes() == joined.tobytes(), name


@settings(max_examples=40, deadline=None)
@given(rows=TABLES)
def test_one_row_is_the_same_as_among_many(everything, rows):
    (batch,) = rows.combine_chunks().to_batches()
    singles = [everything.apply(batch.slice(i, 1)) for i in range(8)]
    same_bits(everything.apply(rows.slice(0, 8)), singles)
    same_bits(everything.apply(rows), [everything.apply(rows[i : i + 5]) for i in range(0, 40, 5)])


@settings(max_examples=40, deadline=None)
@given(rows=TABLES)
def test_tensors_are_finite_whatever_the_rows_hold(everything, rows):
    for name, tensor in everything.apply(rows).items():
        assert np.isfinite(tensor).all(), name
        assert len(tensor) == ENOUGH


@settings(max_examples=20, deadline=None)
@given(rows=TABLES)
def test_chunks_dictionaries_and_column_order_make_no_difference(everything, rows):
    other = pa.concat_tables([rows[:3], rows[3:]]).select(list(reversed(rows.column_names)))
    text = other["text"].combine_chunks().dictionary_encode()
    other = other.set_column(other.column_names.index("text"), "text", text)
    same_bits(everything.apply(rows), [everything.apply(other)])


@settings(max_examples=40, deadline=None)
@given(rows=TABLES, count=st.integers(1, ENOUGH))
def test_values_as_python_has_them_are_the_same_as_arrows(everything, rows, count):
    """As a gateway reads them from JSON: lists where a type is one of Python's own."""
    taken = rows[:count].combine_chunks()
    columns = [taken[feature.name] for feature in everything.signature.features]
    read = Read(
        num_rows=count,
        columns=[
            one.combine_chunks() if pa.types.is_temporal(one.type) else one.to_pylist()
            for one in columns
        ],
    )
    same_bits(everything.apply(taken), [everything.apply(read)])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65])
def test_the_ends_of_vector_registers_leave_no_trace(everything, count):
    """Logarithm and sine are taken several at a time; the last few must take the same path."""
    draw = np.random.default_rng(count)
    rows = pa.table(
        {
            "x": draw.lognormal(3, 4, count),
            "n": draw.integers(-1000, 1000, count),
            "flag": draw.integers(0, 2, count).astype(bool),
            "text": ["a"] * count,
            "code": [7] * count,
            "day": pa.array([date(2013, 1, 2)] * count),
            "level": [5.0] * count,
            "at": pa.array(draw.integers(0, 2**50, count), pa.timestamp("us", tz="UTC")),
            "tags": [["a"]] * count,
            "title": ["Sun and moon"] * count,
            "picture": [PICTURES[0]] * count,
        }
    )
    same_bits(everything.apply(rows), [everything.apply(rows[i : i + 1]) for i in range(count)])


@settings(max_examples=20, deadline=None)
@given(rows=TABLES)
def test_a_transform_that_was_written_and_read_gives_the_same_bits(everything, reread, rows):
    same_bits(everything.apply(rows), [reread.apply(rows)])


@pytest.fixture(scope="module")
def reread(everything, tmp_path_factory):
    """The transform, written to a folder and read back."""
    folder = tmp_path_factory.mktemp("transform")
    everything.save(folder)
    return Transform.load(folder)
