"""A group of each kind, fitted to a profile: of the whole, or merged from those of its parts."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.errors import UsageError
from raypipe.stages.preprocessing.fitting import fit_transform
from raypipe.values.profile import Profile, profile_table
from raypipe.values.schema import Column, Schema

TYPES = {
    "x": pa.float64(),
    "n": pa.int64(),
    "flag": pa.bool_(),
    "text": pa.string(),
    "at": pa.timestamp("us", tz="UTC"),
    "tags": pa.list_(pa.string()),
    "late": pa.bool_(),
}
SCHEMA = Schema(
    name="s", columns=tuple(Column(name=name, type=str(kind)) for name, kind in TYPES.items())
)


def fit(rows, *groups, profile=None):
    """Fit groups, as settings write them, to rows."""
    recipe = PreprocessingConfig.model_validate({"groups": list(groups)}).groups
    train = profile_table(table(**rows)) if profile is None else profile
    return fit_transform(train, recipe, SCHEMA, "late", "binary")


def table(**rows):
    """Make a table of columns in their types, with labels."""
    late = {"late": [True, False] * len(next(iter(rows.values())))}
    some = {**rows, "late": late["late"][: len(next(iter(rows.values())))]}
    return pa.table({name: pa.array(values, TYPES[name]) for name, values in some.items()})


def numeric(rows, **given):
    """Return what a numeric group over x is fitted to."""
    (group,) = fit({"x": rows}, {"kind": "numeric", "columns": "x", **given}).groups
    return group


# --- numbers


def test_min_max_goes_from_zero_to_one():
    group = numeric([2.0, 6.0, 4.0, None], scale="min_max")
    assert (group.center, group.scale) == ((2.0,), (4.0,))


def test_robust_is_by_the_quartiles():
    group = numeric([float(i) for i in range(101)], scale="robust")
    assert (group.center, group.scale) == ((50.0,), (50.0,))


def test_a_column_of_one_value_is_divided_by_one():
    for scale in ("standard", "min_max", "robust"):
        group = numeric([3.0] * 5, scale=scale)
        assert (group.center, group.scale) == ((3.0,), (1.0,))


def test_a_column_without_a_number_is_left_as_it_is():
    for scale in ("standard", "min_max", "robust"):
        group = numeric([None, None], scale=scale, clip={"quantiles": [0.1, 0.9]})
        assert (group.fill, group.center, group.scale) == ((0.0,), (0.0,), (1.0,))
        assert (group.low, group.high) == ((None,), (None,))


def test_statistics_are_of_what_clipping_and_log_leave():
    given = {"clip": {"low": 0, "high": 8}, "log": True}
    numbers = [-5.0, 0.0, 3.0, 8.0, 1e6]
    left = np.log1p([0, 0, 3, 8, 8])
    group = numeric(numbers, **given)
    assert group.center[0] == pytest.approx(left.mean())
    assert group.scale[0] == pytest.approx(left.std())
    ends = numeric(numbers, scale="min_max", **given)
    assert (ends.center[0], ends.scale[0]) == (0, pytest.approx(np.log(9)))
    assert numeric(numbers, scale="robust", **given).center[0] == pytest.approx(np.log(4))


def test_bounds_are_quantiles_of_the_train_split():
    numbers = np.random.default_rng(0).lognormal(2, 1, 5000)
    few = numeric([float(i) for i in range(101)], clip={"quantiles": [0.01, 0.99]})
    assert (few.low, few.high) == ((1.0,), (99.0,))
    many = numeric(numbers.tolist(), clip={"quantiles": [0.01, 0.99]})
    wanted = np.quantile(numbers, [0.01, 0.99])
    assert [many.low[0], many.high[0]] == pytest.approx(wanted, rel=0.02)


def test_buckets_of_quantiles_are_of_equal_shares_and_each_once():
    (group,) = fit(
        {"x": [float(i) for i in range(100)]},
        {"kind": "bucketise", "columns": "x", "buckets": 4},
    ).groups
    assert group.edges == ((24.0, 49.0, 74.0),)
    (skewed,) = fit({"x": [0.0] * 80 + [1.0] * 20}, {"kind": "bucketise", "columns": "x"}).groups
    assert skewed.edges == ((1.0,),)
    (constant,) = fit({"x": [2.0] * 9}, {"kind": "bucketise", "columns": "x"}).groups
    assert constant.edges == ((),)


def test_indices_and_flags_go_into_tensors_of_their_own():
    transform = fit(
        {"x": [1.0, 2.0], "text": ["a", "b"]},
        {"kind": "bucketise", "columns": "x", "edges": [1.5]},
        {"kind": "bucketise", "columns": "x", "edges": [1.5], "output": "index"},
        {"kind": "hashing", "columns": "text", "buckets": 50},
    )
    dense, indices = transform.signature.tensors
    assert (dense.name, dense.dtype, dense.shape) == ("dense", "float32", (2,))
    assert (indices.name, indices.dtype, indices.cardinalities) == ("indices", "int64", (3, 51))


def test_moments_are_told_from_those_of_the_train_split():
    at = [datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 3, tzinfo=UTC)]
    transform = fit({"at": at}, {"kind": "date", "columns": "at", "parts": ["epoch"]})
    assert transform.apply(table(at=at))["dense"].tolist() == [[-1], [1]]


# --- categories


def test_an_order_is_by_size_or_by_text_where_none_is_given():
    rows = {"n": [10, 9, 9], "text": ["b", "a", "b"], "flag": [True, False, True]}
    (group,) = fit(rows, {"kind": "ordinal", "columns": ["n", "text", "flag"]}).groups
    assert group.vocabularies == (("9", "10"), ("a", "b"), ("false", "true"))
    given = {"kind": "ordinal", "columns": "text", "order": ["b", "a"]}
    assert fit(rows, given).groups[0].vocabularies == (("b", "a"),)


def test_a_frequency_is_a_share_of_all_rows():
    rows = {"text": ["a", "a", "b", None]}
    (group,) = fit(rows, {"kind": "frequency", "columns": "text", "limit": 1}).groups
    assert (group.vocabularies, group.shares) == ((("a",),), ((0.5,),))


def test_lists_are_counted_by_their_values():
    rows = {"tags": [["b", "a"], ["b"], [], None, ["c", None]]}
    (group,) = fit(rows, {"kind": "multi_hot", "columns": "tags", "limit": 2}).groups
    assert group.vocabularies == (("b", "a"),)


def test_very_many_values_of_lists_are_counted_in_the_sample():
    rows = {"tags": [["often", f"t{i}"] for i in range(1500)]}
    (group,) = fit(rows, {"kind": "multi_hot", "columns": "tags", "limit": 1}).groups
    assert group.vocabularies == (("often",),)


# --- what does not fit


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"kind": "bucketise", "columns": "text"}, "'text', which is string; it takes integer"),
        ({"kind": "date", "columns": "n"}, "'n', which is int64; it takes date, timestamp"),
        ({"kind": "multi_hot", "columns": "text"}, "'text', which is string; it takes list"),
        ({"kind": "hashing", "columns": "tags"}, "'tags', which is list<item: string>; it takes"),
    ],
)
def test_a_column_of_another_kind_is_refused(group, said):
    with pytest.raises(UsageError, match=said):
        fit({"x": [1.0]}, group)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"kind": "numeric", "columns": "x", "clip": {}}, "either low and high, or quantiles"),
        ({"kind": "numeric", "columns": "x", "clip": {"low": 2, "high": 1}}, "must be below"),
        ({"kind": "numeric", "columns": "x", "clip": {"quantiles": [0.9, 0.1]}}, "must rise"),
        ({"kind": "bucketise", "columns": "x", "edges": [2, 1]}, "and rise"),
        ({"kind": "ordinal", "columns": "x", "order": ["a", "a"]}, "each once"),
        ({"kind": "date", "columns": "at", "parts": ["day", "day"]}, "names one twice"),
    ],
)
def test_settings_that_make_no_sense_are_refused(group, said):
    with pytest.raises(ValueError, match=said):
        PreprocessingConfig.model_validate({"groups": [group]})


# --- merged profiles


_ROWS = st.lists(
    st.tuples(
        st.none() | st.floats(),
        st.none() | st.integers(-100, 100),
        st.none() | st.booleans(),
        st.none() | st.sampled_from(["a", "b", "", "c"]) | st.text(max_size=2),
        st.none() | st.datetimes(timezones=st.just(UTC)),
        st.none() | st.lists(st.none() | st.sampled_from("abc"), max_size=3),
        st.booleans(),
    ),
    min_size=2,
    max_size=30,
)
RECIPE = [
    {"kind": "numeric", "columns": ["x", "n", "flag"], "impute": "median"},
    {"kind": "numeric", "columns": ["x", "n"], "scale": "min_max"},
    {"kind": "numeric", "columns": ["x", "n"], "scale": "robust", "log": True},
    {"kind": "numeric", "columns": ["x", "n"], "clip": {"quantiles": [0.1, 0.9]}},
    {"kind": "bucketise", "columns": ["x", "n"], "buckets": 4},
    {"kind": "date", "columns": "at"},
    {"kind": "ordinal", "columns": ["text", "n", "flag"]},
    {"kind": "frequency", "columns": ["text", "n"]},
    {"kind": "one_hot", "columns": ["text", "n"]},
    {"kind": "embedding", "columns": ["text", "n"], "min_count": 2},
    {"kind": "multi_hot", "columns": "tags"},
    {"kind": "hashing", "columns": "text"},
]


@settings(max_examples=20, deadline=None)
@given(rows=_ROWS, at=st.integers(0, 30))
def test_merged_profiles_are_fitted_to_as_the_whole_is(rows, at):
    columns = dict(zip(TYPES, zip(*rows, strict=True), strict=True))
    whole = pa.table({name: pa.array(columns[name], kind) for name, kind in TYPES.items()})
    parts = [part for part in (whole[at:], whole[:at]) if part.num_rows]
    merged = Profile.merge_all([profile_table(part) for part in parts])
    assert fit({}, *RECIPE, profile=merged) == fit({}, *RECIPE, profile=profile_table(whole))
