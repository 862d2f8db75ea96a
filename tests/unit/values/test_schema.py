"""What the columns of a dataset must be."""

import pytest

from raypipe.values.schema import Column, Schema, is_numeric, kind_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("int8", "integer"),
        ("uint64", "integer"),
        ("halffloat", "number"),
        ("double", "number"),
        ("float", "number"),
        ("decimal128(10, 2)", "number"),
        ("string", "text"),
        ("large_string", "text"),
        ("bool", "boolean"),
        ("date32[day]", "date"),
        ("timestamp[us, tz=UTC]", "timestamp"),
        ("time64[us]", "time of day"),
        ("list<item: int64>", "list"),
        ("null", "null"),
    ],
)
def test_types_of_any_width_are_of_one_kind(name, kind):
    assert kind_of(name) == kind


def test_a_boolean_is_no_number():
    assert not is_numeric("bool")
    assert is_numeric("uint8")


def test_roles_say_what_label_and_key_are():
    schema = Schema(
        name="s",
        columns=(
            Column(name="day", type="date32[day]", roles=("key", "time")),
            Column(name="id", type="int64", roles=("key",)),
            Column(name="late", type="bool", roles=("label",)),
        ),
    )
    assert schema.label == "late"
    assert schema.key == ("day", "id")
    assert schema.named("time") == ("day",)
    assert schema.column("nothing") is None


def test_a_schema_may_have_no_label():
    assert Schema(name="s", columns=()).label is None
