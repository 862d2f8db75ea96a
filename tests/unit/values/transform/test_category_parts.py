"""Categories as places, shares, buckets of hashes, and flags of what a list holds."""

import numpy as np
import pyarrow as pa
import pytest

from raypipe.values.hashing import value_hash
from raypipe.values.transform.category_groups import Frequency, Hashed, MultiHot, Ordinal

NAN = float("nan")
MANY = pytest.mark.parametrize("rows", [1, 100])


@MANY
def test_a_place_is_from_first_to_last_and_what_is_not_in_the_order_is_below(transform_of, rows):
    order = (("low", "", "high"), ("1", "5"))
    group = Ordinal(columns=("text", "n"), tensor="t", vocabularies=order)
    table = pa.table(
        {"text": ["high", "", "low", "odd", None] * rows, "n": [1, 5, 2, None, 1] * rows}
    )
    found = transform_of(group).apply(table)["t"].tolist()
    assert found == [[1, 0], [0.5, 1], [0, -1], [-1, -1], [-1, 0]] * rows


def test_the_only_place_of_an_order_is_the_first(transform_of):
    group = Ordinal(columns=("text",), tensor="t", vocabularies=(("a",),))
    assert transform_of(group).apply(pa.table({"text": ["a", "b"]}))["t"].tolist() == [[0], [-1]]


@MANY
def test_a_frequency_is_zero_for_what_was_not_seen(transform_of, rows):
    group = Frequency(
        columns=("text", "level"),
        tensor="t",
        vocabularies=(("a", ""), ("5",)),
        shares=((0.5, 0.25), (0.75,)),
    )
    table = pa.table({"text": ["", "a", "b", None] * rows, "level": [5.0, NAN, None, 0.5] * rows})
    found = transform_of(group).apply(table)["t"].tolist()
    assert found == [[0.25, 0.75], [0.5, 0], [0, 0], [0, 0]] * rows


@MANY
@pytest.mark.parametrize("index", [True, False])
def test_a_bucket_is_by_the_stable_hash(transform_of, rows, index):
    group = Hashed(columns=("text", "level"), tensor="t", buckets=10, index=index)
    text, level = pa.array(["a", "", None, "b"] * rows), pa.array([5.0, NAN, None, -0.0] * rows)
    found = transform_of(group).apply(pa.table({"text": text, "level": level}))["t"]
    wanted = np.stack([value_hash(text) % 10 + 1, value_hash(level) % 10 + 1], axis=1)
    wanted[2::4, 0] = wanted[1::4, 1] = wanted[2::4, 1] = 0
    if not index:
        flags = np.eye(11)[wanted.astype(int)][:, :, 1:]
        assert found.tolist() == flags.reshape(len(found), 20).tolist()
    else:
        assert found.tolist() == wanted.tolist()


def test_buckets_are_remembered_without_taking_true_for_one(transform_of):
    group = Hashed(columns=("flag", "n"), tensor="t", buckets=1000, index=True)
    transform = transform_of(group)
    rows = pa.table({"flag": [True, False], "n": [1, 0]})
    first, again = transform.apply(rows)["t"], transform.apply(rows)["t"]
    assert first.tolist() == again.tolist()
    assert first[0, 0] != first[1, 0]


@MANY
def test_a_list_sets_a_flag_for_each_known_value(transform_of, rows):
    group = MultiHot(columns=("tags",), tensor="t", vocabularies=(("a", "", "b"),))
    tags = pa.array([["b", "a", "b"], [], None, ["z", None, ""]] * rows, pa.list_(pa.string()))
    transform = transform_of(group)
    found = transform.apply(pa.table({"tags": tags}).slice(1))["t"].tolist()
    assert found == ([[1, 0, 1], [0, 0, 0], [0, 0, 0], [0, 1, 0]] * rows)[1:]
    assert transform.signature.tensor("t").columns == ("tags[a]", "tags[]", "tags[b]")


@pytest.mark.parametrize("rows", [1, 100])
def test_what_lies_under_a_list_that_is_missing_sets_no_flag_of_another_row(transform_of, rows):
    group = MultiHot(columns=("tags",), tensor="t", vocabularies=(("a", "b"),))
    values = pa.array(["a", "b"] * 2 * rows)
    gone = pa.array([False, True] * 2 * rows)
    ends = pa.array(range(4 * rows + 1), pa.int32())
    for tags in (
        pa.ListArray.from_arrays(ends, values, mask=gone),
        pa.FixedSizeListArray.from_arrays(values, 1, mask=gone),
    ):
        found = transform_of(group).apply(pa.table({"tags": tags}))["t"].tolist()
        assert found == [[1, 0], [0, 0]] * 2 * rows
