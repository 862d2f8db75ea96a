"""A schema as text that a person reads and edits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.errors import SettingsError
from raypipe.stages.validation import schema_from_yaml, schema_to_yaml
from raypipe.values.schema import Column, Schema

_TEXTS = st.text(max_size=20)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def _columns(draw, name):
    low, high = sorted((draw(_NUMBERS), draw(_NUMBERS)))
    return Column(
        name=name,
        type=draw(st.sampled_from(["int64", "double", "string", "timestamp[us, tz=UTC]"])),
        roles=draw(st.sampled_from([(), ("label",), ("key", "time")])),
        required=draw(st.booleans()),
        nulls=draw(st.floats(0, 1)),
        categories=draw(st.none() | st.lists(_TEXTS, max_size=4).map(tuple)),
        minimum=draw(st.none() | st.just(low)),
        maximum=draw(st.none() | st.just(high)),
    )


@st.composite
def _schemas(draw):
    names = draw(st.lists(_TEXTS.filter(lambda t: t != "<<"), max_size=3, unique=True))
    return Schema(name=draw(_TEXTS), columns=tuple(draw(_columns(name)) for name in names))


@settings(max_examples=60, deadline=None)
@given(_schemas())
def test_what_is_written_reads_back_equal(schema):
    """To the bit: -0.0 is not 0.0, since the digest of the schema must survive a round trip."""
    read = schema_from_yaml(schema_to_yaml(schema))
    assert repr(read) == repr(schema)


def test_it_is_short_and_says_what_its_words_mean(schema):
    text = schema_to_yaml(schema)
    assert text.startswith("# What the columns must be.")
    assert "  carrier:\n    type: string\n    categories: [AA, UA]\n" in text
    assert "  temp:\n    type: double\n    range: [0, 49]\n" in text


def test_values_that_yaml_would_misread_stay_text():
    column = Column(
        name="c", type="string", categories=("no", "NO", "1e3", "007", "2013-01-01", "")
    )
    schema = Schema(name="on", columns=(column,))
    assert schema_from_yaml(schema_to_yaml(schema)) == schema


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "name: n\ncolumns:\n  x: {typ: int64}",
            r"line 3: .*typ is no setting; did you mean 'type'",
        ),
        ("name: n\ncolumns:\n  x:\n    type: int64\n    nulls: 2", r"line 5: .*at most 1"),
        ("name: n\ncolumns:\n  x:\n    type: int64\n    range: [5, 1]", r"range goes from 5 to 1"),
        ("name: n\ncolumns:\n  x:\n    type: int64\n    range: [5]", r"line 5: .*range"),
        ("name: n\ncolumns:\n  x:\n    type: string\n    categories: [1]", r"line 5: .*in quotes"),
        ("name: n\ncolumns:\n  x: {type: int64, role: lable}", r"did you mean 'label'"),
        ("name: n\n", r"columns is missing"),
        ("", r"keys and values"),
        ("name: [", r"no YAML"),
        ("name: n\ncolumns:\n  x: {type: a}\n  x: {type: a}", r"line 4: 'x' is set already"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_key(text, said):
    with pytest.raises(SettingsError, match=said) as refused:
        schema_from_yaml(text, "flights.yaml")
    assert "flights.yaml" in str(refused.value)


def test_several_faults_are_all_shown():
    text = "name: n\ncolumns:\n  x: {typ: int64}\n  y: {type: int64, nulls: x}"
    with pytest.raises(SettingsError, match="3 things in the schema") as refused:
        schema_from_yaml(text, "the schema")
    assert str(refused.value).count("line ") == 3
