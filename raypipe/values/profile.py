"""What is known of the rows of a dataset without reading them again: statistics that merge.

The profile of a whole equals the merged profiles of its parts, in any order, to the bit: sums
are exact, and every sketch is one of sets.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa

from raypipe.errors import StoreError
from raypipe.values.columns import ColumnProfile, by_name, merged
from raypipe.values.counting import EXACT_VALUES, ValueCounts
from raypipe.values.hashing import Hashes, combined, joined
from raypipe.values.keys import KeyProfile
from raypipe.values.measure import Measured, Parts, compact_array
from raypipe.values.pairs import Pair, as_column, merged_counts, name_of, pair_counts
from raypipe.values.sampling import drawn, fitting, smallest, stacked, taken

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

FORMAT = 4
"""Of the profiles that this code writes and reads."""

SAMPLE_ROWS = 1_000
"""Most rows in a profile's sample: those with the smallest hashes, so the same whoever draws it."""

SAMPLE_BYTES = 16 * 2**20
"""Bytes of values from which on a sample takes no more rows: 160 images of 100 kB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The rows with the smallest hashes: a fair sample that is the same each time."""

    hashes: Hashes
    """Of the rows, in order."""
    rows: pa.Table

    @classmethod
    def later(cls, parts: Sequence[Self]) -> Self:
        """Draw the sample of what the parts were drawn from once it is looked at.

        Until then the parts are kept: for those that are kept anyway.
        """
        made = object.__new__(cls)
        vars(made)["_parts"] = parts
        return made

    def __getattr__(self, name: str) -> Any:
        """Draw what is drawn later: asked only where a field is not there yet."""
        if name not in {"hashes", "rows"} or "_parts" not in vars(self):
            raise AttributeError(name)
        vars(self).update(vars(self.merge_all(vars(self).pop("_parts"))))
        return vars(self)[name]

    @classmethod
    def of(cls, table: pa.Table, hashes: Hashes) -> Self:
        """Draw the sample of a table."""
        places = smallest(hashes, SAMPLE_ROWS)
        return cls.bounded(hashes[places], taken(table, places))

    @classmethod
    def bounded(cls, hashes: Hashes, rows: pa.Table) -> Self:
        """Keep the first rows, up to the one that fills SAMPLE_BYTES.

        Of rows in the order of their hashes, those stay before which there are fewer bytes: so the
        sample of a whole is that of the samples of its parts.
        """
        kept = fitting(rows, SAMPLE_BYTES)
        return cls(hashes=hashes[:kept], rows=rows if kept == len(hashes) else rows[:kept])

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Draw the sample of the rows that the parts were drawn from."""
        hashes = np.sort(np.concatenate([part.hashes for part in parts]))
        if len(hashes) > SAMPLE_ROWS:
            parts = [part.until(hashes[SAMPLE_ROWS - 1]) for part in parts]
        return cls.of(
            stacked([part.rows for part in parts]), np.concatenate([part.hashes for part in parts])
        )

    def until(self, hashed: np.uint64) -> Self:
        """Return the rows whose hashes are that one at most: a view."""
        kept = int(np.searchsorted(self.hashes, hashed, side="right"))
        return replace(self, hashes=self.hashes[:kept], rows=self.rows[:kept])


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Statistics of some rows."""

    rows: int
    columns: dict[str, ColumnProfile]
    """By name, in the order of the columns."""
    sample: Sample
    keys: KeyProfile | None = None
    """None if the rows have no key."""
    pairs: dict[str, ValueCounts | None] = field(default_factory=dict)
    """How often two values stand in one row, by the pair that was asked for: `carrier, late`.

    None where they are too many; see raypipe.values.pairs.
    """
    format: int = FORMAT
    """Of the profile, raised as what is in it changes."""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise StoreError(
                f"a profile is of format {self.format}, and this raypipe writes {FORMAT}",
                hint="run what made it again: profiles are made anew from the shards",
            )
        columns = {name: column.beside(self.sample) for name, column in self.columns.items()}
        object.__setattr__(self, "columns", columns)

    def merge(self, other: Self) -> Self:
        """Return the profile of the rows of both."""
        return self.merge_all([self, other])

    @classmethod
    def merge_all(
        cls,
        profiles: Iterable[Self],
        draw: Callable[[Sequence[Sample]], Sample] = Sample.merge_all,
    ) -> Self:
        """Return the profile of all rows; a column that a part lacks counts fewer than rows."""
        parts = list(profiles)
        if not parts:
            return cls(rows=0, columns={}, sample=_NO_SAMPLE)
        if len(parts) == 1:
            return parts[0]
        return cls(
            rows=sum(part.rows for part in parts),
            columns=by_name(part.columns for part in parts),
            sample=draw([part.sample for part in parts]),
            keys=merged(part.keys for part in parts),
            pairs=merged_counts(part.pairs for part in parts),
        )

    @cached_property
    def derived(self) -> dict[str, ColumnProfile]:
        """What can be held against other rows beside the columns.

        What images are like (`picture.width`), and the pairs that were asked for (`carrier, late`).
        """
        images = {
            f"{name}.{part}": inner
            for name, column in self.columns.items()
            if "binary" in column.type
            for part, inner in column.inner.items()
        }
        pairs = {name: as_column(name, self.rows, counts) for name, counts in self.pairs.items()}
        return images | pairs


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
        parts = [self.train, self.validation, self.analysis]
        profile = Profile.merge_all(parts, Sample.later)
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


def profile_table(table: pa.Table, key: Sequence[str] = (), pairs: Sequence[Pair] = ()) -> Profile:
    """Profile the rows of a table; `key` names the columns that name a row."""
    return profile_parts(table, Parts.of(np.zeros(table.num_rows, np.int8), 1), key, pairs)[0]


def profile_parts(
    table: pa.Table, parts: Parts, key: Sequence[str] = (), pairs: Sequence[Pair] = ()
) -> list[Profile]:
    """Profile the rows of each part of a table; each value is looked at once."""
    columns = measured(table)
    profiles = profile_measured(columns, parts, pairs)
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


def profile_measured(
    columns: Mapping[str, Measured], parts: Parts, pairs: Sequence[Pair] = ()
) -> list[Profile]:
    """Profile the rows of each part of a table whose values were looked at, but for their keys.

    `pairs` names columns whose values are counted together; one that is not there is left out.
    """
    known = [pair for pair in pairs if set(pair) <= set(columns)]
    together = {name_of(pair): pair_counts(columns, pair, parts) for pair in known}
    hashes = joined((column.hashes for column in columns.values()), len(parts.of_row))
    told = {name: column.profiles(name, parts) for name, column in columns.items()}
    plain = pa.table({name: column.array for name, column in columns.items()})
    samples = _samples(plain, hashes, parts)
    return [
        Profile(
            rows=parts.size(number),
            columns={name: profiles[number] for name, profiles in told.items()},
            sample=samples[number],
            pairs={name: counts[number] for name, counts in together.items()},
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
        Sample.bounded(hashes[one], taken(all_rows, np.arange(end - len(one), end)))
        for one, end in zip(rows, ends, strict=True)
    ]


_NO_SAMPLE = Sample(hashes=np.empty(0, np.uint64), rows=pa.table({}))
