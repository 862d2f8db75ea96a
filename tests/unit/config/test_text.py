"""Settings as text: YAML that knows its lines, and `--set`."""

import json

import pytest

from raypipe.config.text import apply, parse, parse_sets
from raypipe.errors import SettingsError


def said(text: str) -> str:
    """Return what is said about a text that does not parse."""
    with pytest.raises(SettingsError) as refused:
        parse(text, "s.yaml")
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("1e-3", 0.001),
        ("-.5", -0.5),
        ("1_000", 1000),
        ("0x1F", 31),
        ("007", "007"),
        ("12:30", "12:30"),
        ("2013-01-01", "2013-01-01"),
        ("~", None),
        ("", None),
        ('""', ""),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(text, value):
    """Under 1.1's rules Norway's code is false, 12:30 is 750, and a date is no JSON."""
    found = parse(text, "s.yaml").data
    assert (found, type(found)) == (value, type(value))


def test_merge_keys_are_merged():
    assert parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", "s.yaml").data["b"] == {"x": 1, "y": 3}


def test_a_syntax_error_has_line_and_column():
    assert said("a: 1\nb: c: d").startswith("s.yaml, line 2, column 5: ")


def test_a_key_set_twice_names_both_lines():
    assert said("a: 1\nb: 2\na: 3") == "s.yaml, line 3: 'a' is set already in line 1"


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.getcwd []", "!!timestamp 2013-01-01", "!!binary aGk=", "!!set {a}"],
)
def test_what_json_cannot_say_is_refused(tag):
    assert "could not determine a constructor" in said(f"a: {tag}")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 50_000, id="deep"),
        pytest.param("a: &a [*a]", id="holds itself"),
        pytest.param(
            "a0: &a0 x\n"
            + "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)),
            id="aliases of aliases",
        ),
    ],
)
def test_a_text_that_would_choke_the_parser_is_refused(text):
    assert "line" in said(text)


def test_a_line_is_known_for_every_key_and_item():
    document = parse("a:\n  b:\n    - x\n    - y: 1\n", "s.yaml")
    assert document.line(("a", "b", 1, "y")) == 4
    assert document.line(("a", "gone")) == 1, "of what is not there: the nearest above"
    assert document.line(("gone",)) is None


@pytest.mark.parametrize("value", ["[" * 5000, "a\x01", "\udcff", "&a [*a]", "{[1]: 2}"])
def test_a_value_that_is_no_yaml_is_told_in_short_with_what_to_do(value):
    with pytest.raises(SettingsError) as told:
        parse_sets([f"x={value}"])
    assert told.value.hint
    assert len(str(told.value)) < 300


def test_set_reads_its_value_as_yaml():
    values = [one.value for one in parse_sets(["a=1", "a.b=x", "a=[1, 2]", "a=", "a=b=c"])]
    assert values == [1, "x", [1, 2], None, "b=c"]


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", ""])
def test_set_without_key_or_value_is_refused_with_an_example(text):
    with pytest.raises(SettingsError, match="is not KEY=VALUE") as refused:
        parse_sets([text])
    assert "--set training.epochs=5" in str(refused.value.hint)


def test_set_reaches_into_mappings_and_lists_and_the_last_one_wins():
    data = {"a": {"b": 1, "c": 2}, "items": [{"x": 1}, {"x": 2}]}
    before = json.dumps(data)
    changed = apply(data, parse_sets(["a.b=5", "items.1.x=9", "new.key=z", "a.b=6"]))
    assert changed == {
        "a": {"b": 6, "c": 2},
        "items": [{"x": 1}, {"x": 9}],
        "new": {"key": "z"},
    }
    assert json.dumps(data) == before, "what was read is left as it was"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a.b=1", "a is 'text', which has no 'b'"),
        ("items.7=1", "items is a list of 2, which has no '7'"),
        ("items.x=1", "items is a list of 2, which has no 'x'"),
    ],
)
def test_set_below_what_holds_nothing_says_what_is_there(text, says):
    with pytest.raises(SettingsError) as refused:
        apply({"a": "text", "items": [1, 2]}, parse_sets([text]))
    assert str(refused.value) == f"--set {text}: {says}"
