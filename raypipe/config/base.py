"""The base that every settings model shares, and the types that several of them use."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class BaseConfig(
    BaseModel,
    frozen=True,
    extra="forbid",
    use_attribute_docstrings=True,
    allow_inf_nan=False,
    validate_default=True,  # a default of 1 is 1.0 where a float is meant, as when it is read back
):
    """Settings that are checked once, then never change.

    The docstring under a field is its help text, on the command line and in the docs.
    """


class CodeReference(str):
    """A setting that names code, as `module:name`.

    It counts as the fingerprint of what it names.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> "CodeReference":
        module, _, name = text.partition(":")
        parts = [*module.split("."), *name.split(".")]
        if not all(part.isidentifier() for part in parts):
            raise ValueError(
                f"{text!r} is no code reference; write MODULE:NAME, such as my_pkg.model:build"
            )
        return super().__new__(cls, text)

    @property
    def code_reference(self) -> str:
        """`module:name`; the engine knows a code reference by this attribute."""
        return str(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=core_schema.to_string_ser_schema()
        )


class Secret(BaseConfig):
    """A secret, named by the environment variable that holds it; settings never hold the value."""

    env: str
    """Name of the environment variable."""


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValueError(f"it names column {name!r} twice; name each column once")
    return names


ColumnNames = Annotated[tuple[str, ...], AfterValidator(_each_once)]
"""A list of columns' names, each once; it may be empty."""

Columns = Annotated[
    tuple[str, ...],
    BeforeValidator(_one_or_many),
    Field(min_length=1),
    AfterValidator(_each_once),
]
"""One column's name, or a list of names."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A share of a whole, from 0 to 1."""
