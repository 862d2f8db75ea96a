"""The validation stage, as a run calls it."""

from dataclasses import replace

import pytest

from raypipe.config.validation import ValidationConfig
from raypipe.errors import UsageError, ValidationStopped
from raypipe.stages.validation import admit, infer, schema_from_yaml, schema_to_yaml, validate
from raypipe.values.codec import TreeCodec
from raypipe.values.dataset import Dataset

SETTINGS = ValidationConfig()
DATASET = Dataset(shards=(), uri="local://flights/main", commit="c")


def test_good_rows_are_admitted_and_only_the_schema_goes_on(profiles, schema, data):
    rows = profiles()
    validation = validate(rows, schema, data, SETTINGS)
    assert admit(DATASET, rows, validation, schema) == schema


def test_bad_rows_are_stopped_with_reasons_and_what_allows_each(profiles, schema, data):
    rows = profiles({"temp": None, "late": [True] * 100})
    validation = validate(rows, schema, data, SETTINGS)
    with pytest.raises(ValidationStopped) as stopped:
        admit(DATASET, rows, validation, schema)
    said = str(stopped.value)
    assert stopped.value.exit_code == 4
    assert said.startswith("2 things stop local://flights/main:")
    assert "temp: the column is missing." in said
    assert "validation.columns.temp: warn" in said
    assert "validation.severities.constant_label: warn" in said


def test_warnings_let_rows_in(profiles, schema, data):
    rows = profiles({"temp": [99.0] * 100})
    validation = validate(rows, schema, data, SETTINGS)
    assert validation.verdict == "warn"
    assert admit(DATASET, rows, validation, schema) == schema


def test_what_a_setting_allows_does_not_stop(profiles, schema, data):
    rows = profiles({"late": [True] * 100})
    settings = ValidationConfig(severities={"constant_label": "warn"})
    assert validate(rows, schema, data, settings).verdict == "warn"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "temp"}, "data.label is 'temp', but the schema has 'late' as label"),
        ({"key": ()}, "data.key is none, but the schema has 'id' as key"),
        ({"time": None}, "data.time is none"),
        ({"label": "tempp"}, "data.label names 'tempp', which is no column"),
    ],
)
def test_settings_and_schema_must_agree_on_roles(profiles, schema, data, change, said):
    with pytest.raises(UsageError, match=said):
        validate(profiles(), schema, data.model_copy(update=change), SETTINGS)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"columns": {"tmep": "ignore"}}, "validation.columns names column 'tmep', which the data"),
        ({"drift": {"columns": {"tmep": 0.3}}}, "validation.drift.columns names column 'tmep'"),
        ({"drift": {"measures": {"tmep": "ks"}}}, "validation.drift.measures names column 'tmep'"),
        ({"skew": {"columns": {"tmep": 0.3}}}, "validation.skew.columns names column 'tmep'"),
    ],
)
def test_a_setting_for_a_column_that_nothing_knows_is_a_slip(
    profiles, schema, data, settings, said
):
    with pytest.raises(UsageError, match=said) as slip:
        validate(profiles(), schema, data, ValidationConfig(**settings))
    assert str(slip.value).endswith("did you mean 'temp'?")


def test_groups_that_nothing_knows_are_a_slip_for_none_would_be_searched(profiles, schema, data):
    with pytest.raises(UsageError, match=r"data.groups names column 'carier', .*'carrier'\?"):
        validate(profiles(), schema, data.model_copy(update={"groups": ("carier",)}), SETTINGS)


@pytest.mark.parametrize(
    "name", ["temp", "gust", "carrier, late", "temp.width"], ids=["missing", "new", "pair", "part"]
)
def test_a_setting_for_a_column_of_schema_or_rows_is_none(profiles, schema, data, name):
    """Whoever allows a column to be missing, or to be new, names one that only one of them has."""
    rows = profiles({"temp": None, "gust": [1.0] * 100})
    validate(rows, schema, data, ValidationConfig(columns={name: "ignore"}))


def test_an_inferred_schema_counts_the_same_read_back_from_its_file(profiles, data, tmp_path):
    """Else the second run, which reads the file, would fit and transform everything again."""
    schema = infer("test", profiles(), data, SETTINGS, "binary")
    codec = TreeCodec(lambda path: "")
    again = schema_from_yaml(schema_to_yaml(schema))
    assert codec.encode(again).digest == codec.encode(schema).digest
    edited = replace(schema, columns=schema.columns[1:])
    assert codec.encode(edited).digest != codec.encode(schema).digest
