"""What pydantic found wrong is put in sentences, wherever in the settings it lies."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from raypipe.config.base import BaseConfig
from raypipe.config.faults import find_faults, suggest


class One(BaseConfig):
    kind: Literal["one"] = "one"
    size: int = Field(1, le=9)


class Two(BaseConfig):
    kind: Literal["two"] = "two"
    one: One | None = None


class Top(BaseConfig):
    parts: tuple[Annotated[One | Two, Field(discriminator="kind")], ...] = ()
    named: dict[str, One] = Field({})
    first: One | None = One()
    flag: bool = False


def sentences(data: Any) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(ValidationError) as refused:
        Top.model_validate(data)
    faults = find_faults(Top, refused.value.errors())
    return {fault.path: fault.sentence for fault in faults}


def test_a_path_is_that_of_the_text_without_the_names_of_variants():
    data = {"parts": [{"kind": "one", "size": 10}, {"kind": "two", "one": {"sise": 1}}]}
    assert sentences(data) == {
        ("parts", 0, "size"): "parts.0.size is 10; it must be at most 9",
        ("parts", 1, "one", "sise"): "parts.1.one.sise is no setting; did you mean 'size'?",
    }


def test_a_key_that_has_the_name_of_a_variant_stays_in_the_path():
    assert ("parts", 0, "two") in sentences({"parts": [{"kind": "two", "two": 1}]})


def test_what_is_in_a_dictionary_is_named_by_its_key():
    said = sentences({"named": {"a": {"size": "x"}, "b": 3}})
    assert said[("named", "a", "size")] == "named.a.size is 'x'; it must be a whole number"
    assert said[("named", "b")] == "named.b is 3; it must hold keys and values"


def test_a_flag_must_be_true_or_false():
    assert sentences({"flag": "perhaps"}) == {
        ("flag",): "flag is 'perhaps'; it must be true or false"
    }


def test_an_unknown_name_lists_what_there_is_when_nothing_is_near():
    assert suggest("zebra", ["size", "kind"]) == "there are kind, size"
