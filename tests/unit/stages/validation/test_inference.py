"""From profiles to a schema."""

import pyarrow as pa
import pytest

from raypipe.config.validation import ValidationConfig
from raypipe.errors import UsageError, ValidationStopped
from raypipe.stages.validation.inference import infer_schema
from raypipe.values.profile import Profile, profile_table


def infer(data, settings=None, **columns):
    """Infer the column `x` beside those that the settings name."""
    rest = {"id": [1, 2, 3, 4], "day": [1, 2, 3, 4], "late": [True, False] * 2}
    profile = profile_table(pa.table({**rest, **columns}), data.key)
    return infer_schema("n", profile, data, settings or ValidationConfig()).column("x")


def test_numbers_get_the_range_that_was_seen(data):
    column = infer(data, x=[3.5, -1.0, 2.0, 2.0])
    assert (column.minimum, column.maximum, column.nulls) == (-1.0, 3.5, 0.0)


def test_text_of_few_values_gets_closed_categories(data):
    assert infer(data, x=["b", "a", "a", "b"]).categories == ("a", "b")


def test_text_of_more_values_than_the_settings_allow_stays_open(data):
    settings = ValidationConfig(categories=1)
    assert infer(data, settings, x=["b", "a", "a", "b"]).categories is None


def test_nulls_get_some_room_where_there_are_some(data):
    assert infer(data, x=[1, None, 2, 3]).nulls == 0.39
    assert infer(data, x=pa.nulls(4, pa.int64())).nulls == 1.0


def test_a_nan_is_a_missing_value_too(data):
    assert infer(data, x=[1.0, float("nan"), 2.0, 3.0]).nulls == 0.39


def test_a_key_that_counts_up_and_a_time_that_goes_on_have_no_range(schema):
    assert schema.column("id").maximum is None
    assert schema.column("day").maximum is None
    assert schema.column("temp").maximum == 49


def test_roles_come_from_the_settings(schema):
    assert (schema.label, schema.key, schema.named("time")) == ("late", ("id",), ("day",))


def test_a_column_that_came_as_whole_and_as_broken_numbers_is_broken_numbers(data):
    rest = {"id": [1], "day": [1], "late": [True]}
    parts = [profile_table(pa.table({**rest, "x": x})) for x in ([1], [1.5])]
    found = infer_schema("n", Profile.merge_all(parts), data, ValidationConfig())
    assert found.column("x").type == "double"


def test_a_label_that_is_not_there_is_named_with_what_might_be_meant(data):
    profile = profile_table(pa.table({"id": [1], "day": [1], "lat": [True]}))
    with pytest.raises(UsageError, match=r"data\.label names column 'late'.*did you mean 'lat'"):
        infer_schema("n", profile, data, ValidationConfig())


def test_no_rows_stop(data):
    with pytest.raises(ValidationStopped, match="no rows"):
        infer_schema("n", Profile.merge_all([]), data, ValidationConfig())
