"""Columns that settings name: one that nothing knows is a slip, and would be ignored for ever."""

from collections.abc import Collection, Iterator

from raypipe.config.data import DataConfig
from raypipe.config.faults import suggest
from raypipe.config.validation import ValidationConfig
from raypipe.errors import UsageError
from raypipe.values.profile import Profile
from raypipe.values.schema import Schema


def require_columns(
    profile: Profile, schema: Schema, data: DataConfig, settings: ValidationConfig
) -> None:
    """Raise UsageError if a setting names a column that is neither in the rows nor in the schema.

    One that is in the schema alone may be missing; one that is in the rows alone may be new.
    """
    columns = dict.fromkeys([*profile.columns, *(column.name for column in schema.columns)])
    for setting, names in _named(data, settings):
        known = [*columns, *(profile.derived if setting.startswith("validation.") else ())]
        for name in names:
            if name not in known and not _is_of(name, columns):
                raise UsageError(
                    f"{setting} names column {name!r}, which the data does not have; "
                    + suggest(name, known)
                )


def _named(data: DataConfig, settings: ValidationConfig) -> Iterator[tuple[str, Collection[str]]]:
    yield "data.groups", data.groups
    yield "validation.columns", settings.columns
    for part, held in (("drift", settings.drift), ("skew", settings.skew)):
        if held is not None:
            yield f"validation.{part}.columns", held.columns
            yield f"validation.{part}.measures", held.measures


def _is_of(name: str, columns: Collection[str]) -> bool:
    """Say whether a name is of a pair (`carrier, late`) or a part of a column (`picture.width`).

    These are told of rows that have them; where they are not told, the columns are known still.
    """
    return all(part in columns for part in name.split(", ")) or name.rpartition(".")[0] in columns
