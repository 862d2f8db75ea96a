"""From profiles to a schema: what the rows at hand are is what later rows must be."""

import math

from raypipe.config.data import DataConfig
from raypipe.config.faults import suggest
from raypipe.config.validation import ValidationConfig
from raypipe.errors import UsageError, ValidationStopped
from raypipe.values.columns import ColumnProfile
from raypipe.values.profile import Profile
from raypipe.values.schema import ROLES, Column, Role, Schema, is_numeric, kind_of

HEAVY = 10
"""How many times as far from the median as the outer tenth the last value of a heavy tail lies: a
million values of a normal distribution reach 4, of an exponential one 8."""
ENOUGH = 50
"""Rows from which a tail can be told."""


def infer_schema(
    name: str, profile: Profile, data: DataConfig, settings: ValidationConfig
) -> Schema:
    """Return the schema that the profiled rows keep, with room for somewhat more nulls."""
    if not profile.rows:
        raise ValidationStopped(
            "There are no rows to infer a schema from.", hint="Import data: raypipe data import."
        )
    roles = _roles(profile, data)
    return Schema(
        name=name,
        rows=profile.rows,
        columns=tuple(
            _column(column, roles[column.name], profile.rows, settings, data.key)
            for column in profile.columns.values()
        ),
    )


def _roles(profile: Profile, data: DataConfig) -> dict[str, tuple[Role, ...]]:
    named: dict[Role, tuple[str, ...]] = {
        "label": (data.label,),
        "key": data.key,
        "time": (data.time,) if data.time else (),
    }
    for role, columns in named.items():
        for column in columns:
            if column not in profile.columns:
                raise _unknown(role, column, profile)
    return {
        column: tuple(role for role in ROLES if column in named[role]) for column in profile.columns
    }


def _unknown(role: str, column: str, profile: Profile) -> UsageError:
    return UsageError(
        f"data.{role} names column {column!r}, which the data does not have; "
        + suggest(column, list(profile.columns))
    )


def _column(
    profile: ColumnProfile,
    roles: tuple[Role, ...],
    rows: int,
    settings: ValidationConfig,
    key: tuple[str, ...],
) -> Column:
    kind = _type(profile.type)
    grows = "time" in roles or key == (profile.name,)
    minimum, maximum = (None, None) if grows or not is_numeric(kind) else _range(profile)
    categories = _categories(profile, kind, settings.categories)
    return Column(
        name=profile.name,
        type=kind,
        roles=roles,
        required=profile.count == rows,
        nulls=_room_for_nulls(profile),
        categories=categories,
        others=_room_for_others(profile) if categories else 0.0,
        minimum=minimum,
        maximum=maximum,
    )


def _type(name: str) -> str:
    """Return one type for a column that came in several: the widest number, else text."""
    parts = name.split(" | ")
    if len(parts) == 1:
        return name
    if not all(map(is_numeric, parts)):
        return "string"
    return "int64" if all(kind_of(part) == "integer" for part in parts) else "double"


def _room_for_nulls(profile: ColumnProfile) -> float:
    """Half as many again, and one in a hundred; none where there are none."""
    missing = profile.nulls + profile.nans
    if not missing:
        return 0.0
    return min(1.0, math.ceil(100 * (1.5 * missing / profile.count + 0.01)) / 100)


def _categories(profile: ColumnProfile, kind: str, limit: int) -> tuple[str, ...] | None:
    values = profile.values
    if kind_of(kind) != "text" or not values or len(values) > limit:
        return None
    return tuple(sorted(values))


def _room_for_others(profile: ColumnProfile) -> float:
    """Half as many again as were met once, and one in a hundred; none where all came again.

    The share of values met once is the chance that the next is new: Good (1953), Biometrika 40,
    237-264.
    """
    once = sum(count == 1 for count in (profile.values or {}).values())
    return min(1.0, math.ceil(100 * (1.5 * once / profile.count + 0.01)) / 100) if once else 0.0


def _range(profile: ColumnProfile) -> tuple[float | None, float | None]:
    """Return the range of the numbers; an end without bound where the tail has none to speak of."""
    low, high = profile.min, profile.max
    if not isinstance(low, float) or not isinstance(high, float):
        return None, None
    if profile.count < ENOUGH:
        return low, high
    middle, tenth, last = (profile.quantile(share) or 0.0 for share in (0.5, 0.1, 0.9))
    return (
        low if middle - low <= HEAVY * (middle - tenth) or low == 0 else None,
        high if high - middle <= HEAVY * (last - middle) else None,
    )
