"""What a transform makes of values, and of those that are odd."""

import pickle
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from raypipe.errors import UsageError
from raypipe.values.signature import Feature, Label, Signature
from raypipe.values.transform import Transform
from raypipe.values.transform.groups import Cyclic, Embedding, Function, Numeric, OneHot
from raypipe.values.transform.transform import tensor_specs

NAN, INF = float("nan"), float("inf")
LARGEST = np.finfo(np.float32).max


def numeric(**given):
    """A numeric group over x."""
    state = {"fill": (5.0,), "log": False, "center": (0.0,), "scale": (1.0,)}
    return Numeric(columns=("x",), tensor="dense", **{**state, **given})


def values(transform, tensor="dense", **columns):
    """Return a tensor as lists."""
    return transform.apply(pa.table(columns))[tensor].tolist()


def test_numbers_are_centred_and_scaled(transform_of):
    transform = transform_of(numeric(center=(10.0,), scale=(4.0,)))
    assert values(transform, x=[10.0, 14.0, 2.0]) == [[0.0], [1.0], [-2.0]]


@pytest.mark.parametrize("missing", [None, NAN, INF, -INF])
def test_a_missing_number_is_filled(transform_of, missing):
    assert values(transform_of(numeric()), x=pa.array([missing], pa.float64())) == [[5.0]]


def test_the_logarithm_is_of_one_plus_what_is_not_negative(transform_of):
    found = values(transform_of(numeric(log=True)), x=[np.e - 1, 0.0, -7.0])
    assert np.allclose(found, [[1.0], [0.0], [0.0]])


def test_a_fill_is_logged_and_scaled_like_any_value(transform_of):
    transform = transform_of(numeric(log=True, center=(1.0,), scale=(2.0,)))
    assert values(transform, x=pa.array([None], pa.float64())) == values(transform, x=[5.0])


def test_numbers_beyond_float32_stay_finite(transform_of):
    found = values(transform_of(numeric(scale=(1e-300,))), x=[1e300, -1e300])
    assert found == [[LARGEST], [-LARGEST]]


def test_a_cycle_comes_round(transform_of):
    transform = transform_of(Cyclic(columns=("x",), tensor="dense", period=24.0))
    found = values(transform, x=[0.0, 6.0, 24.0, 30.0, -18.0])
    assert np.allclose(found, [[0, 1], [1, 0], [0, 1], [1, 0], [1, 0]], atol=1e-6)


@pytest.mark.parametrize("missing", [None, NAN, INF])
def test_a_missing_moment_of_a_cycle_is_no_moment(transform_of, missing):
    transform = transform_of(Cyclic(columns=("x",), tensor="dense", period=24.0))
    assert values(transform, x=pa.array([missing], pa.float64())) == [[0.0, 0.0]]


def test_a_flag_is_set_for_a_known_value_and_none_for_others(transform_of):
    known = OneHot(columns=("text", "flag"), tensor="dense", vocabularies=(("b", ""), ("true",)))
    found = values(transform_of(known), text=["b", "", "c", None], flag=[True, False, None, True])
    assert found == [[1, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("rows", [1, 100])
def test_an_index_is_the_place_of_a_known_value_and_zero_for_others(transform_of, rows):
    known = Embedding(
        columns=("text", "code"), tensor="indices", vocabularies=(("b", "", "a"), ("9", "-3"))
    )
    text, code = ["a", "", "z", None, "b"] * rows, [-3, 9, 1, None, 2**62] * rows
    found = values(transform_of(known), "indices", text=text, code=code)
    assert found == [[3, 2], [2, 1], [0, 0], [0, 0], [1, 0]] * rows


@pytest.mark.parametrize("rows", [1, 100])
def test_days_and_broken_numbers_can_be_looked_up(transform_of, rows):
    known = Embedding(
        columns=("day", "level"), tensor="indices", vocabularies=(("2013-01-02",), ("5", "0.5"))
    )
    day = [date(2013, 1, 2), date(2013, 1, 3), None] * rows
    found = values(transform_of(known), "indices", day=day, level=[5.0, 0.5, NAN] * rows)
    assert found == [[1, 1], [0, 2], [0, 0]] * rows


def test_groups_that_share_a_tensor_stand_side_by_side(everything):
    spec = everything.signature.tensor("dense")
    names = ("x", "n", "flag", "x.sin", "x.cos", "n.sin", "n.cos")
    assert spec.columns[:7] == names
    assert spec.columns[7:10] == ("text=b", "text=", "text=a")
    assert spec.columns[-2:] == ("twice[0]", "twice[1]")
    assert spec.shape == (len(spec.columns),)
    assert everything.signature.tensor("indices").cardinalities == (4, 3, 2, 3)


def test_the_signature_names_the_raw_columns_that_are_read(everything):
    wanted = ("x", "n", "flag", "text", "code", "day", "level", "at", "tags", "title", "picture")
    assert everything.columns == wanted


def test_no_rows_give_empty_tensors(everything, no_rows):
    tensors = everything.apply(no_rows)
    shapes = {spec.name: (0, *spec.shape) for spec in everything.signature.tensors}
    assert {name: tensor.shape for name, tensor in tensors.items()} == shapes


# --- what does not fit


def test_a_missing_column_is_named_with_what_might_be_meant(transform_of):
    transform = transform_of(Cyclic(columns=("level",), tensor="dense", period=2.0))
    with pytest.raises(UsageError, match="no column 'level'") as refused:
        transform.apply(pa.table({"levels": [1.0]}))
    assert "'levels'" in refused.value.hint


def test_a_feature_that_need_not_be_there_counts_as_null(transform_of):
    transform = transform_of(numeric(), optional=("x",))
    assert values(transform, other=[1, 2]) == [[5.0], [5.0]]


def test_a_value_that_cannot_be_cast_is_named_with_column_and_type(transform_of):
    rows = pa.table({"x": ["1.5", "2", "eleven", "twelve"]})
    with pytest.raises(UsageError, match=r"'x' holds 'eleven' \(string\), which is no double"):
        transform_of(numeric()).apply(rows)


def test_a_broken_number_is_no_whole_one(transform_of):
    known = Embedding(columns=("code",), tensor="indices", vocabularies=(("7",),))
    with pytest.raises(UsageError, match=r"'code' holds 7\.5 \(double\), which is no int64"):
        transform_of(known).apply(pa.table({"code": [7.0, 7.5]}))


def test_a_type_that_loses_nothing_is_cast(transform_of):
    known = Embedding(columns=("code",), tensor="indices", vocabularies=(("7",),))
    assert values(transform_of(known), "indices", code=[7.0, 8.0]) == [[1], [0]]
    assert values(transform_of(numeric()), x=pa.array([3], pa.int8())) == [[3.0]]


def test_a_column_of_nulls_without_a_type_is_missing_values(transform_of):
    assert values(transform_of(numeric()), x=pa.nulls(2)) == [[5.0], [5.0]]


# --- a user's function


def function(users_module, returned, width=1):
    """A group whose function returns something."""
    users_module.given = (lambda rows: returned) if not callable(returned) else returned
    return Function(columns=("x",), tensor="dense", function="a_users_module:given", width=width)


def test_a_function_gets_a_table_of_its_columns(transform_of, users_module):
    seen = []

    def look(rows):
        seen.append((type(rows), rows.column_names))
        return rows["x"].to_numpy() + 1

    group = function(users_module, look)
    assert values(transform_of(group), x=[1.0, 2.0], other=[0, 0]) == [[2.0], [3.0]]
    assert seen == [(pa.Table, ["x"])]


@pytest.mark.parametrize(
    "returned", [pa.array([1, 2]), pa.chunked_array([[1], [2]]), np.array([True, False])]
)
def test_a_function_may_return_any_array_of_numbers(transform_of, users_module, returned):
    group = function(users_module, returned)
    assert len(values(transform_of(group), x=[1.0, 2.0])) == 2


@pytest.mark.parametrize(
    ("returned", "width", "said"),
    [
        ([1.0, 2.0], 1, "returned list, not an array"),
        (None, 1, "returned NoneType, not an array"),
        (np.array(["a", "b"]), 1, "returned an array of <U1, not of numbers"),
        (np.zeros(3), 1, r"returned shape \[3\] for 2 rows, not \[2\]"),
        (np.zeros((2, 3)), 2, r"returned shape \[2, 3\] for 2 rows, not \[2, 2\]"),
        (np.zeros(2), 2, r"returned shape \[2\] for 2 rows, not \[2, 2\]"),
        (np.array([1, np.nan]), 1, "returned NaN or infinity in 1 of 2 rows"),
        (pa.array([1, None]), 1, "returned NaN or infinity in 1 of 2 rows"),
    ],
)
def test_what_a_function_returns_is_checked_by_name(
    transform_of, users_module, returned, width, said
):
    group = function(users_module, returned, width)
    with pytest.raises(UsageError, match=f"a_users_module:given {said}"):
        values(transform_of(group), x=[1.0, 2.0])


def test_what_a_function_raises_is_the_users_own(transform_of, users_module):
    def fail(rows):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        values(transform_of(function(users_module, fail)), x=[1.0])


def test_what_cannot_be_called_is_refused(transform_of, users_module):
    users_module.given = 5
    group = Function(columns=("x",), tensor="dense", function="a_users_module:given", width=1)
    with pytest.raises(UsageError, match="a_users_module:given is int"):
        values(transform_of(group), x=[1.0])


# --- labels

LISTS = "list<item: string>"
MANY = [[0, 1], [0, 0], [1, 1]]


def labelled(task, kind, classes=()):
    """A transform that has a label of some kind."""
    group = numeric()
    label = Label(name="y", task=task, classes=classes)
    feature = Feature(name="x", type="double", nullable=True)
    signature = Signature(features=(feature,), tensors=tensor_specs((group,)), label=label)
    return Transform(groups=(group,), signature=signature, label_type=kind)


@pytest.mark.parametrize(
    ("task", "kind", "classes", "column", "encoded", "dtype"),
    [
        ("binary", "bool", ("false", "true"), [True, False], [1, 0], "float32"),
        ("binary", "int64", ("0", "1"), [1, 0], [1, 0], "float32"),
        ("binary", "string", ("no", "yes"), ["yes", "no"], [1, 0], "float32"),
        ("multiclass", "string", ("a", "b", "c"), ["c", "a"], [2, 0], "int64"),
        ("regression", "int64", (), [7, -1], [7, -1], "float32"),
        ("regression", "bool", (), [True, False], [1, 0], "float32"),
        ("multilabel", LISTS, ("a", "b"), [["b", "b"], [], ["a", "b"]], MANY, "float32"),
        ("multilabel", LISTS, ("a", "b"), [["z", "b"], ["z"], ["b", "z", "a"]], MANY, "float32"),
    ],
)
def test_labels_become_what_the_loss_takes(task, kind, classes, column, encoded, dtype):
    found = labelled(task, kind, classes).encode_label(pa.table({"y": column}))
    assert (found.tolist(), str(found.dtype)) == (encoded, dtype)


@pytest.mark.parametrize(
    ("task", "kind", "classes", "column", "said"),
    [
        ("binary", "bool", ("false", "true"), [True, None], "'y' is null in 1 of 2 rows"),
        ("multiclass", "string", ("a", "b"), ["a", "z"], "'y' is 'z', which is none of its"),
        ("regression", "double", (), [1.0, NAN], "NaN, infinite or beyond float32 in 1 of 2"),
        ("regression", "double", (), [1e300], "beyond float32 in 1 of 1"),
        ("binary", "bool", ("false", "true"), ["x"], "'y' holds 'x'"),
        ("multilabel", LISTS, ("a", "b"), [["a"], None], "'y' is null in 1 of 2 rows"),
        (
            "multilabel",
            LISTS,
            ("a", "b"),
            [["a", None]],
            "'y' holds null among the values of its lists, 1 in all",
        ),
    ],
)
def test_a_label_that_is_missing_or_unknown_is_refused(task, kind, classes, column, said):
    with pytest.raises(UsageError, match=said):
        labelled(task, kind, classes).encode_label(pa.table({"y": column}))


def test_a_scaled_label_is_learned_scaled_and_told_as_it_is():
    label = Label(name="y", task="regression", log=True, center=1.0, scale=0.5)
    plain = labelled("regression", "double")
    transform = replace(plain, signature=replace(plain.signature, label=label))
    rows = pa.table({"y": [np.e - 1, 0.0]})
    assert transform.encode_label(rows) == pytest.approx([0, -2])
    assert transform.told_label(rows) == pytest.approx([np.e - 1, 0])
    with pytest.raises(UsageError, match=r"'y' is -3, and preprocessing\.label\.log takes none"):
        transform.told_label(pa.table({"y": [5.0, -3.0]}))


# --- as a value


def test_a_transform_that_was_used_travels_and_counts_as_before(everything, a_row):
    fresh = pickle.loads(pickle.dumps(everything))
    used = everything.apply(a_row)
    again = pickle.loads(pickle.dumps(everything))
    assert fresh == everything == again
    assert again.apply(a_row)["dense"].tobytes() == used["dense"].tobytes()


def test_an_edit_of_a_users_function_makes_another_transform(transform_of):
    made = [
        Function(columns=("x",), tensor="dense", function="m:f", width=1, code=code)
        for code in ("a", "b")
    ]
    assert transform_of(made[0]) != transform_of(made[1])
