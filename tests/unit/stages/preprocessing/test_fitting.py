"""From a recipe and the train profile to a transform."""

import runpy
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from raypipe.config.preprocessing import LabelConfig, PreprocessingConfig
from raypipe.errors import UsageError
from raypipe.stages.preprocessing.fitting import fit_transform
from raypipe.values.profile import profile_table
from raypipe.values.schema import Column, Schema


def groups(*given):
    """Read groups as settings would."""
    return PreprocessingConfig.model_validate({"groups": list(given)}).groups


def test_it_is_fitted_to_the_train_split_alone(rows, profiles, schema, recipe):
    transform = fit_transform(profiles.train, recipe.groups, schema, "late", "binary")
    train = rows.filter(pc.equal(rows["split"], "train"))
    dense = transform.apply(train)["dense"]
    known = train["temp"].is_valid().to_numpy()
    assert dense[known, 0].mean() == pytest.approx(0, abs=1e-5)
    assert dense[known, 0].std() == pytest.approx(1, abs=1e-5)
    assert dense[~known, 0] == pytest.approx(0, abs=1e-5)
    assert dense[:, 1].mean() == pytest.approx(0, abs=0.01)
    assert dense[:, 1].std() == pytest.approx(1, abs=0.01)


def test_the_signature_says_what_goes_in_and_out(profiles, schema, recipe):
    signature = fit_transform(profiles.train, recipe.groups, schema, "late", "binary").signature
    named = [(f.name, f.type, f.nullable) for f in signature.features]
    assert named == [
        ("temp", "double", True),
        ("miles", "int64", False),
        ("hour", "int64", False),
        ("origin", "string", False),
        ("carrier", "string", True),
    ]
    assert [(t.name, t.dtype, t.shape) for t in signature.tensors] == [
        ("dense", "float32", (7,)),
        ("indices", "int64", (2,)),
    ]
    assert signature.tensor("indices").cardinalities == (3, 25)
    assert signature.label.classes == ("false", "true")


@pytest.mark.parametrize(("impute", "fill"), [("mean", 4.0), ("median", 2.0), ("zero", 0.0)])
def test_a_fill_is_what_the_recipe_says(schema, impute, fill):
    train = profile_table(pa.table({"temp": [1.0, 2.0, 9.0, None], "late": [True, False] * 2}))
    recipe = groups({"kind": "numeric", "columns": ["temp"], "impute": impute, "scale": "none"})
    (group,) = fit_transform(train, recipe, schema, "late", "binary").groups
    assert (group.fill, group.center, group.scale) == ((fill,), (0.0,), (1.0,))


def test_a_column_without_a_value_in_training_is_filled_with_nothing(schema):
    train = profile_table(pa.table({"temp": pa.nulls(2, pa.float64()), "late": [True, False]}))
    recipe = groups(
        {"kind": "numeric", "columns": ["temp"]}, {"kind": "embedding", "columns": ["carrier"]}
    )
    transform = fit_transform(train, recipe, schema, "late", "binary")
    tensors = transform.apply(pa.table({"temp": [None, 7.0], "carrier": ["AA", None]}))
    assert tensors["dense"].tolist() == [[0.0], [7.0]]
    assert tensors["indices"].tolist() == [[0], [0]]


def test_rare_values_are_out_of_vocabulary(schema):
    train = profile_table(pa.table({"carrier": ["AA", "AA", "UA"], "late": [True, False, True]}))
    recipe = groups({"kind": "embedding", "columns": ["carrier"], "min_count": 2})
    (group,) = fit_transform(train, recipe, schema, "late", "binary").groups
    assert group.vocabularies == (("AA",),)


def test_a_column_that_shards_may_lack_may_be_missing_in_a_request(schema):
    optional = Schema(
        name="s",
        columns=(
            Column(name="temp", type="double", required=False),
            Column(name="late", type="bool"),
        ),
    )
    train = profile_table(pa.table({"temp": [1.0, 3.0], "late": [True, False]}))
    recipe = groups({"kind": "numeric", "columns": ["temp"], "scale": "none"})
    transform = fit_transform(train, recipe, optional, "late", "binary")
    assert transform.apply(pa.table({"late": [True]}))["dense"].tolist() == [[2.0]]


def test_a_functions_code_counts(profiles, schema):
    recipe = groups({"kind": "function", "columns": ["day"], "function": "mine.features:f"})
    (group,) = fit_transform(
        profiles.train, recipe, schema, "late", "binary", code_of=lambda name: f"digest of {name}"
    ).groups
    assert (group.function, group.code) == ("mine.features:f", "digest of mine.features:f")


@pytest.mark.parametrize(
    ("scaling", "center", "scale"),
    [
        ({}, 0, 1),
        ({"log": True}, 0, 1),
        ({"scale": "standard"}, 5, 4),
        ({"scale": "standard", "log": True}, np.log(20) / 2, np.log(10 / 2) / 2),
    ],
)
def test_a_label_is_scaled_by_the_train_split(schema, scaling, center, scale):
    train = profile_table(pa.table({"miles": [1.0, 9.0], "temp": [1.0, 2.0]}))
    given = LabelConfig.model_validate(scaling)
    recipe = groups({"kind": "numeric", "columns": ["temp"]})
    label = fit_transform(
        train, recipe, schema, "miles", "regression", scaling=given
    ).signature.label
    assert (label.log, label.center, label.scale) == (
        given.log,
        pytest.approx(center),
        pytest.approx(scale),
    )


def test_a_label_that_is_no_number_is_not_scaled(profiles, schema, recipe):
    with pytest.raises(UsageError, match=r"scales numbers, but training\.task is binary"):
        fit_transform(
            profiles.train, recipe.groups, schema, "late", "binary", scaling=LabelConfig(log=True)
        )


def test_weights_are_one_on_average_in_the_train_split(schema):
    rows = pa.table({"temp": [1.0, 2.0], "miles": [10, 30], "late": [True, False]})
    recipe = groups({"kind": "numeric", "columns": ["temp"]})
    fitted = fit_transform(profile_table(rows), recipe, schema, "late", "binary", weight="miles")
    assert fitted.signature.weight == "miles"
    assert fitted.columns == ("temp",)
    assert fitted.weights(rows).tolist() == [0.5, 1.5]
    for wrong in (None, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=f"weight 'miles' is {wrong} in 1 of 2 rows"):
            fitted.weights(pa.table({"miles": [1.0, wrong]}))


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        ("late", "names 'late', which is the label"),
        ("origin", "names 'origin', which is string"),
        ("hour", "of the train split are 0 on average"),
        ("nothing", "no column 'nothing'"),
    ],
)
def test_what_is_no_weight_is_refused(schema, weight, said):
    rows = pa.table({"temp": [1.0, 2.0], "hour": [0, 0], "late": [True, False]})
    recipe = groups({"kind": "numeric", "columns": ["temp"]})
    with pytest.raises(UsageError, match=said):
        fit_transform(profile_table(rows), recipe, schema, "late", "binary", weight=weight)


def test_several_labels_at_once_are_lists_of_classes(schema):
    train = profile_table(pa.table({"temp": [1.0, 2.0, 3.0], "tags": [[10, 9], [], None]}))
    recipe = groups({"kind": "numeric", "columns": ["temp"]})
    label = fit_transform(train, recipe, schema, "tags", "multilabel").signature.label
    assert (label.classes, label.outputs) == (("9", "10"), 2)
    other = groups({"kind": "numeric", "columns": ["miles"]})
    with pytest.raises(UsageError, match="task is multilabel, but the label 'temp' is double"):
        fit_transform(train, other, schema, "temp", "multilabel")
    with pytest.raises(UsageError, match="task is binary, but the label 'tags' is list"):
        fit_transform(train, recipe, schema, "tags", "binary")


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"kind": "numeric", "columns": ["tmep"]}, r"groups\[0\] \(numeric\).*'temp'"),
        ({"kind": "numeric", "columns": ["origin"]}, "'origin', which is string; it takes integer"),
        ({"kind": "cyclic", "columns": ["day"], "period": 7}, "'day', which is date32"),
        ({"kind": "one_hot", "columns": ["tags"]}, "'tags', which is list"),
        ({"kind": "numeric", "columns": ["late"]}, "reads the label 'late'"),
        ({"kind": "numeric", "columns": ["temp"], "tensor": "late"}, "named 'late' like the label"),
    ],
)
def test_a_recipe_that_does_not_fit_the_data_is_refused(profiles, schema, group, said):
    with pytest.raises(UsageError, match=said):
        fit_transform(profiles.train, groups(group), schema, "late", "binary")


def test_one_tensor_cannot_hold_both_numbers_and_indices(profiles, schema):
    recipe = groups(
        {"kind": "numeric", "columns": ["temp"], "tensor": "t"},
        {"kind": "embedding", "columns": ["carrier"], "tensor": "t"},
    )
    with pytest.raises(UsageError, match="'t' would hold both"):
        fit_transform(profiles.train, recipe, schema, "late", "binary")


def test_the_examples_function_is_finite_for_any_timetable():
    file = Path(__file__).parents[4] / "configs" / "flights_features.py"
    add_route = runpy.run_path(str(file))["add_route"]
    flights = pa.table(
        {
            "sched_dep_minute": [0, 1439, 600, 600],
            "sched_arr_minute": [0, 1, 600, 590],
            "distance": [80, 4983, 17, 200],
        }
    )
    made = add_route(flights)
    assert made.shape == (4, 2)
    assert np.isfinite(made).all()
    assert (made > 0).all()
