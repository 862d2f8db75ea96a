"""What is known of the rows of a dataset without reading them again: statistics that merge.

The profile of a whole equals the merged profiles of its parts, in any order, to the bit: sums
are exact, and every sketch is one of sets.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa

from raypipe.errors import StoreError
from raypipe.values.columns import ColumnProfile, by_name, merged
from raypipe.values.counting import EXACT_VALUES
from raypipe.values.hashing import Hashes, combined, joined
from raypipe.values.keys import KeyProfile
from raypipe.values.measure import Measured, Parts, compact_array
from raypipe.values.sampling import drawn, smallest, stacked, taken

__all__ = [
    "EXACT_VALUES",
    "SAMPLE_ROWS",
    "ColumnProfile",
    "KeyProfile",
    "Profile",
    "Sample",
    "SplitProfiles",
    "profile_parts",
    "profile_table",
]

FORMAT = 3
"""Of the profiles that this code writes and reads."""

SAMPLE_ROWS = 1_000
"""Rows in the sample of a profile: those with the smallest hashes, so the same whoever draws it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The rows with the smallest hashes: a fair sample that is the same each time."""

    hashes: Hashes
    """Of the rows, in order."""
    rows: pa.Table

    @classmethod
    def of(cls, table: pa.Table, hashes: Hashes) -> Self:
        """Draw the sample of a table."""
        places = smallest(hashes, SAMPLE_ROWS)
        return cls(hashes=hashes[places], rows=taken(table, places))

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Draw the sample of the rows that the parts were drawn from."""
        return cls.of(
            stacked([part.rows for part in parts]), np.concatenate([part.hashes for part in parts])
        )


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Statistics of some rows."""

    rows: int
    columns: dict[str, ColumnProfile]
    """By name, in the order of the columns."""
    sample: Sample
    keys: KeyProfile | None = None
    """None if the rows have no key."""
    format: int = FORMAT
    """Of the profile, raised as what is in it changes."""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise StoreError(
                f"a profile is of format {self.format}, and this raypipe writes {FORMAT}",
                hint="run what made it again: profiles are made anew from the shards",
            )
        columns = {name: column.beside(self.sample.rows) for name, column in self.columns.items()}
        object.__setattr__(self, "columns", columns)

    def merge(self, other: Self) -> Self:
        """Return the profile of the rows of both."""
        return self.merge_all([self, other])

    @classmethod
    def merge_all(cls, profiles: Iterable[Self]) -> Self:
        """Return the profile of all rows; a column that a part lacks counts fewer than rows."""
        parts = list(profiles)
        if not parts:
            return cls(rows=0, columns={}, sample=_NO_SAMPLE)
        if len(parts) == 1:
            return parts[0]
        return cls(
            rows=sum(part.rows for part in parts),
            columns=by_name(part.columns for part in parts),
            sample=Sample.merge_all([part.sample for part in parts]),
            keys=merged(part.keys for part in parts),
        )


@dataclass(frozen=True, kw_only=True)
class SplitProfiles:
    """Profiles of the three splits of some rows."""

    train: Profile
    validation: Profile
    analysis: Profile
    keys: KeyProfile | None = None
    """Of all rows, since a key that is in two splits is twice; the splits' own are not kept."""

    @cached_property
    def all(self) -> Profile:
        """The profile of all rows."""
        profile = Profile.merge_all([self.train, self.validation, self.analysis])
        return profile if self.keys is None else replace(profile, keys=self.keys)

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Merge split by split."""
        return cls(
            train=Profile.merge_all(part.train for part in parts),
            validation=Profile.merge_all(part.validation for part in parts),
            analysis=Profile.merge_all(part.analysis for part in parts),
            keys=merged(part.keys for part in parts),
        )


def profile_table(table: pa.Table, key: Sequence[str] = ()) -> Profile:
    """Profile the rows of a table; `key` names the columns that name a row."""
    return profile_parts(table, Parts.of(np.zeros(table.num_rows, np.int8), 1), key)[0]


def profile_parts(table: pa.Table, parts: Parts, key: Sequence[str] = ()) -> list[Profile]:
    """Profile the rows of each part of a table; each value is looked at once."""
    columns = measured(table)
    profiles = profile_measured(columns, parts)
    if not key:
        return profiles
    hashes = key_hashes(columns, key)
    keys = [KeyProfile.of(tuple(key), parts.take(n, hashes)) for n in range(parts.count)]
    return [replace(profile, keys=own) for profile, own in zip(profiles, keys, strict=True)]


def measured(table: pa.Table) -> dict[str, Measured]:
    """Look at each value of a table."""
    return {name: Measured.of(compact_array(table[name])) for name in table.column_names}


def key_hashes(columns: Mapping[str, Measured], key: Sequence[str]) -> Hashes:
    """Return the hash of each row's key."""
    return combined([columns[name].hashes for name in key], len(columns[key[0]].hashes))


def profile_measured(columns: Mapping[str, Measured], parts: Parts) -> list[Profile]:
    """Profile the rows of each part of a table whose values were looked at, but for their keys."""
    hashes = joined((column.hashes for column in columns.values()), len(parts.of_row))
    told = {name: column.profiles(name, parts) for name, column in columns.items()}
    plain = pa.table({name: column.array for name, column in columns.items()})
    samples = _samples(plain, hashes, parts)
    return [
        Profile(
            rows=parts.size(number),
            columns={name: profiles[number] for name, profiles in told.items()},
            sample=samples[number],
        )
        for number in range(parts.count)
    ]


def _samples(table: pa.Table, hashes: Hashes, parts: Parts) -> list[Sample]:
    """Draw the sample of each part, all by one look into the table."""
    held = [parts.take(number, np.arange(len(hashes))) for number in range(parts.count)]
    rows = [places[smallest(hashes[places], SAMPLE_ROWS)] for places in held]
    all_rows = drawn(table, np.concatenate(rows))
    ends = np.cumsum([len(one) for one in rows])
    return [
        Sample(hashes=hashes[one], rows=taken(all_rows, np.arange(end - len(one), end)))
        for one, end in zip(rows, ends, strict=True)
    ]


_NO_SAMPLE = Sample(hashes=np.empty(0, np.uint64), rows=pa.table({}))
