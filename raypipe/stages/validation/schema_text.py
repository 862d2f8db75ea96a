"""A schema as text that a person reads and edits: YAML, which reads back equal."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from raypipe.config.base import BaseConfig, Share
from raypipe.config.faults import MANY, Fault, find_faults
from raypipe.config.text import Document, Inline, parse, to_yaml
from raypipe.errors import SettingsError
from raypipe.values.schema import Column, Role, Schema

_HEAD = """\
# What the columns must be. It was inferred from the data once; now it is yours to edit.
# nulls: largest share of missing values. range: smallest and largest value. categories: all values.
# A column without `range` or `categories` may hold any value of its type. others: largest share of
# rows with other values than `categories`. absent_in: [serving] for what requests do not have.
# rows: how many it was inferred from. What so few cannot rule out raises no alarm; without this
# line every limit is meant as it is written.
"""


class _ColumnText(BaseConfig):
    """One column, as it is written."""

    type: str
    """Arrow's name of the type: int64, double, string, bool, date32[day], timestamp[us], …"""

    role: Annotated[
        tuple[Role, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)
    ] = ()
    """label, key or time, or several of them."""

    required: bool = True
    """Whether every shard must have the column."""

    nulls: Share = 0.0
    """Largest share of missing values, from 0 to 1."""

    categories: tuple[str, ...] | None = None
    """All values that there are, as text; in quotes where they look like numbers."""

    others: Share = 0.0
    """Largest share of rows with a value that `categories` does not list."""

    absent_in: tuple[str, ...] = ()
    """Environments whose rows do not have the column: serving."""

    range: Annotated[tuple[float | None, ...], Field(min_length=2, max_length=2)] | None = None
    """Smallest and largest value; null for any."""

    @model_validator(mode="after")
    def _in_order(self) -> "_ColumnText":
        low, high = self.range or (None, None)
        if low is not None and high is not None and low > high:
            raise ValueError(f"range goes from {low:g} to {high:g}; write the smaller number first")
        return self


class _SchemaText(BaseConfig):
    """The file."""

    name: str
    """Of the model or dataset."""

    rows: Annotated[int, Field(ge=1)] | None = None
    """Rows that it was inferred from; left out, every limit is meant as it is written."""

    columns: dict[str, _ColumnText]
    """By name."""


def schema_to_yaml(schema: Schema) -> str:
    """Write a schema for people; `schema_from_yaml` reads it back equal."""
    columns = {column.name: _column_to_data(column) for column in schema.columns}
    rows = {} if schema.rows is None else {"rows": schema.rows}
    return _HEAD + to_yaml({"name": schema.name, **rows, "columns": columns})


def schema_from_yaml(text: str, name: str = "schema") -> Schema:
    """Read a schema; SettingsError names file, line and key of what is wrong."""
    document = parse(text, name)
    try:
        read = _SchemaText.model_validate(document.data)
    except ValidationError as error:
        found = find_faults(_SchemaText, error.errors(include_url=False))
        raise _in_words(found, document) from None
    return Schema(
        name=read.name,
        rows=read.rows,
        columns=tuple(_column(name, column) for name, column in read.columns.items()),
    )


def schema_changes(before: Schema, after: Schema) -> tuple[str, ...]:
    """Say how a schema differs from an earlier one, by column and as it is written."""
    old, new = ({column.name: column for column in one.columns} for one in (before, after))
    said = [f"{name}: is no column any more" for name in old if name not in new]
    said += [f"{name}: is a column now" for name in new if name not in old]
    for name in (name for name in new if name in old):
        then, now = _column_to_data(old[name]), _column_to_data(new[name])
        said += [
            f"{name}: {key} {_as_written(then.get(key))} → {_as_written(now.get(key))}"
            for key in dict.fromkeys((*then, *now))
            if then.get(key) != now.get(key)
        ]
    if before.rows != after.rows:
        said.append(f"rows: {_as_written(before.rows)} → {_as_written(after.rows)}")
    return tuple(said)


def _as_written(value: object) -> str:
    if value is None:
        return "not said"
    if isinstance(value, list | tuple):
        return f"[{', '.join('any' if one is None else str(one) for one in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _column(name: str, read: _ColumnText) -> Column:
    low, high = read.range or (None, None)
    return Column(
        name=name,
        type=read.type,
        roles=read.role,
        required=read.required,
        nulls=read.nulls,
        categories=read.categories,
        others=read.others,
        absent_in=read.absent_in,
        minimum=low,
        maximum=high,
    )


def _column_to_data(column: Column) -> dict[str, Any]:
    """Only what differs from the defaults is written."""
    data: dict[str, Any] = {"type": column.type}
    if column.roles:
        data["role"] = column.roles[0] if len(column.roles) == 1 else Inline(column.roles)
    if not column.required:
        data["required"] = False
    if column.nulls:
        data["nulls"] = column.nulls
    if column.categories is not None:
        data["categories"] = Inline(column.categories)
    if column.others:
        data["others"] = column.others
    if column.absent_in:
        data["absent_in"] = Inline(column.absent_in)
    if column.minimum is not None or column.maximum is not None:
        data["range"] = Inline([_short(column.minimum), _short(column.maximum)])
    return data


def _short(number: float | None) -> float | None:
    """A whole number without its point, where that reads back as the same float."""
    if number is None or not number.is_integer() or abs(number) >= 2**53:
        return number
    return number if str(number) == "-0.0" else int(number)


def _in_words(faults: Sequence[Fault], document: Document) -> SettingsError:
    hint = "Mend the schema file, or delete it: the next run infers it again."
    lines = [f"line {document.line(fault.path) or 1}: {fault.sentence}" for fault in faults[:MANY]]
    if len(lines) == 1:
        return SettingsError(f"{document.name}, {lines[0]}", hint=hint)
    more = [f"  … and {len(faults) - MANY} more"] if len(faults) > MANY else []
    said = [
        f"{len(faults)} things in {document.name} are wrong:",
        *("  " + x for x in lines),
        *more,
    ]
    return SettingsError("\n".join(said), hint=hint)
