"""What is known of the rows of a dataset without reading them again: statistics that merge.

The profile of a whole equals the merged profiles of its parts, in any order, but for the rounding
of floating-point sums; and the same rows give the same profile, to the bit.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.columns import EXACT_VALUES, ColumnProfile, ValueCounts, by_frequency, merged
from raypipe.values.hashing import Hashes, canonical_text, combined
from raypipe.values.measure import CountedColumn, plain_array, profile_column

__all__ = [
    "EXACT_VALUES",
    "SAMPLE_ROWS",
    "ColumnProfile",
    "KeyProfile",
    "Profile",
    "Sample",
    "SplitProfiles",
    "profile_table",
]

SAMPLE_ROWS = 1_000
"""Rows in the sample of a profile: those with the smallest hashes, so the same whoever draws it."""

_TOP = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyProfile:
    """Which keys the rows have: enough to find duplicates, within a shard and across shards."""

    columns: tuple[str, ...]
    hashes: Hashes
    """One a row, in order."""

    @property
    def rows(self) -> int:
        """Rows that have a key, all of them."""
        return len(self.hashes)

    @property
    def distinct(self) -> int:
        """Keys that differ."""
        return int(np.count_nonzero(np.diff(self.hashes))) + 1 if self.rows else 0

    @property
    def duplicates(self) -> int:
        """Rows whose key an earlier row has."""
        return self.rows - self.distinct

    def merge(self, other: Self) -> Self:
        """Hold the keys of both."""
        return replace(self, hashes=np.sort(np.concatenate([self.hashes, other.hashes])))


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The rows with the smallest hashes: a fair sample that is the same each time."""

    hashes: Hashes
    """Of the rows, in order."""
    rows: pa.Table

    @classmethod
    def of(cls, table: pa.Table, hashes: Hashes) -> Self:
        """Draw the sample of a table."""
        if len(hashes) > SAMPLE_ROWS:
            places = np.argpartition(hashes, SAMPLE_ROWS)[:SAMPLE_ROWS]
        else:
            places = np.arange(len(hashes))
        places = places[np.argsort(hashes[places], kind="stable")]
        return cls(hashes=hashes[places], rows=table.take(places).combine_chunks())

    def merge(self, other: Self) -> Self:
        """Draw the sample of the rows that both were drawn from."""
        return self.of(_stacked(self.rows, other.rows), np.concatenate([self.hashes, other.hashes]))


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Statistics of some rows."""

    rows: int
    columns: dict[str, ColumnProfile]
    """By name, in the order of the columns."""
    sample: Sample
    keys: KeyProfile | None = None
    """None if the rows have no key."""

    def merge(self, other: Self) -> Self:
        """Return the profile of the rows of both; a column that one lacks counts fewer."""
        sample = self.sample.merge(other.sample)
        columns = {
            name: merged(self.columns.get(name), other.columns.get(name))
            for name in self.columns | other.columns
        }
        return replace(
            self,
            rows=self.rows + other.rows,
            columns={n: _sampled(c, sample.rows) for n, c in columns.items() if c is not None},
            sample=sample,
            keys=merged(self.keys, other.keys),
        )

    @classmethod
    def merge_all(cls, profiles: Iterable[Self]) -> Self:
        """Return the profile of all rows; of none, if there is no profile."""
        parts = list(profiles)
        return reduce(cls.merge, parts) if parts else cls(rows=0, columns={}, sample=_NO_SAMPLE)


@dataclass(frozen=True, kw_only=True)
class SplitProfiles:
    """Profiles of the three splits of some rows."""

    train: Profile
    validation: Profile
    analysis: Profile

    @cached_property
    def all(self) -> Profile:
        """The profile of all rows."""
        return Profile.merge_all([self.train, self.validation, self.analysis])

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Merge split by split."""
        return cls(
            train=Profile.merge_all(part.train for part in parts),
            validation=Profile.merge_all(part.validation for part in parts),
            analysis=Profile.merge_all(part.analysis for part in parts),
        )


def profile_table(table: pa.Table, key: Sequence[str] = ()) -> Profile:
    """Profile the rows of a table; `key` names the columns that name a row."""
    arrays = {name: plain_array(table[name]) for name in table.column_names}
    counted = {name: CountedColumn.of(array) for name, array in arrays.items()}
    rows = combined((column.hashes for column in counted.values()), table.num_rows)
    sample = Sample.of(pa.table(arrays), rows)
    columns = {name: profile_column(name, column) for name, column in counted.items()}
    return Profile(
        rows=table.num_rows,
        columns={name: _sampled(column, sample.rows) for name, column in columns.items()},
        sample=sample,
        keys=_keys(counted, table.num_rows, key) if key else None,
    )


def _keys(columns: Mapping[str, CountedColumn], rows: int, key: Sequence[str]) -> KeyProfile:
    hashes = combined((columns[name].hashes for name in key), rows)
    return KeyProfile(columns=tuple(key), hashes=np.sort(hashes))


def _sampled(column: ColumnProfile, rows: pa.Table) -> ColumnProfile:
    """Count a column's values within the sample, where there are too many to count all."""
    if column.counted is not None or pa.types.is_nested(rows[column.name].type):
        return column
    texts = canonical_text(rows[column.name])
    counts = Counter(text for text in texts if text is not None)
    return replace(column, sampled=ValueCounts.of(by_frequency(counts)[:_TOP]))


def _stacked(a: pa.Table, b: pa.Table) -> pa.Table:
    """Put the rows of one table under those of another; where types differ, as text."""
    for name in a.column_names:
        if name in b.column_names and a[name].type != b[name].type:
            a, b = _agreeing(a, b, name)
    return pa.concat_tables([a, b], promote_options="default").combine_chunks()


def _agreeing(a: pa.Table, b: pa.Table, name: str) -> tuple[pa.Table, pa.Table]:
    kinds = {table[name].type for table in (a, b)} - {pa.null()}
    kind = kinds.pop() if len(kinds) == 1 else None
    return _as_type(a, name, kind), _as_type(b, name, kind)


def _as_type(table: pa.Table, name: str, kind: pa.DataType | None) -> pa.Table:
    """Cast a column of nulls to `kind`; to text if there is none."""
    column = table[name]
    array = pc.cast(column, kind) if kind else pa.array(canonical_text(column), pa.string())
    return table.set_column(table.column_names.index(name), name, array)


_NO_SAMPLE = Sample(hashes=np.empty(0, np.uint64), rows=pa.table({}))
