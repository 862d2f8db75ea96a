"""What the columns of a dataset must be."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, Self

Role = Literal["label", "key", "time"]
ROLES: tuple[Role, ...] = ("label", "key", "time")

SERVING = "serving"
"""The environment of requests: rows come without the label."""

NUMBERS = ("integer", "number", "boolean")
"""Kinds whose values can be reckoned with."""

_KINDS = {
    "integer": ("int", "uint"),
    "number": ("float", "halffloat", "double", "decimal"),
    "text": ("string", "large_string", "string_view"),
    "boolean": ("bool",),
    "date": ("date",),
    "timestamp": ("timestamp",),
    "time of day": ("time",),
    "duration": ("duration",),
    "list": ("list", "large_list", "fixed_size_list"),
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """What one column must be."""

    name: str
    type: str
    """Arrow's name of the type; another width of the same kind (int32 for int64) will do."""
    roles: tuple[Role, ...] = ()
    """What the column is besides a feature; a key may be a feature too, the label never is."""
    required: bool = True
    """Whether every shard must have it."""
    nulls: float = 0.0
    """Largest share of values that may be missing: null or NaN."""
    categories: tuple[str, ...] | None = None
    """The values that there are, as canonical text; None: any."""
    others: float = 0.0
    """Largest share of rows that may have a value that `categories` does not list."""
    absent_in: tuple[str, ...] = ()
    """Environments whose rows do not have it, such as `serving`; that of the label is said by its
    role."""
    minimum: float | None = None
    """Smallest value; None: any."""
    maximum: float | None = None
    """Largest value; None: any."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What the columns of a dataset must be."""

    name: str
    columns: tuple[Column, ...]
    rows: int | None = None
    """Rows that it was inferred from, whose limits are only as sure as these are many; None: its
    limits are meant as they are written."""

    def column(self, name: str) -> Column | None:
        """Return the column of this name; None if there is none."""
        return next((column for column in self.columns if column.name == name), None)

    def named(self, role: Role) -> tuple[str, ...]:
        """Return the names of the columns that have a role."""
        return tuple(column.name for column in self.columns if role in column.roles)

    def within(self, environment: str) -> Self:
        """Return what rows must be in an environment, such as `serving`, where no label is."""
        kept = (
            column
            for column in self.columns
            if environment not in column.absent_in
            and not (environment == SERVING and "label" in column.roles)
        )
        return replace(self, columns=tuple(kept))

    def of_columns(self, names: Collection[str]) -> Self:
        """Return what some of the columns must be."""
        return replace(self, columns=tuple(one for one in self.columns if one.name in names))

    @property
    def label(self) -> str | None:
        """The column that the model learns to predict."""
        return next(iter(self.named("label")), None)

    @property
    def key(self) -> tuple[str, ...]:
        """The columns whose values name a row."""
        return self.named("key")


def kind_of(type_name: str) -> str:
    """Return the kind of an Arrow type, whatever its width: `integer` for int32; `null` stays."""
    stem = type_name.split("[")[0].split("<")[0].split("(")[0].strip()
    bare = stem.rstrip("0123456789")
    for kind, names in _KINDS.items():
        if stem in names or bare in names:
            return kind
    return stem


def is_numeric(type_name: str) -> bool:
    """Say whether values of a type are numbers."""
    return kind_of(type_name) in ("integer", "number")
