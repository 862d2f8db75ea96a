"""How often two values stand in one row: co-counts of the pairs of columns that are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from raypipe.values.columns import ColumnProfile
from raypipe.values.counting import EXACT_VALUES, Countable, Counts, ValueCounts, counted_texts
from raypipe.values.measure import Measured, Parts, coded, is_countable
from raypipe.values.sketches import Distinct

PAIR = "pair"
"""The type that a pair's counts have where columns have one of Arrow's."""

Pair = tuple[str, str]


def name_of(pair: Pair) -> str:
    """Return what a pair of columns is called."""
    return ", ".join(pair)


def pair_counts(
    columns: Mapping[str, Measured], pair: Pair, parts: Parts
) -> list[ValueCounts | None]:
    """Count the pairs of values of each part's rows, as the text `["a","b"]`; a null is `null`.

    None where they are more than EXACT_VALUES, or long, and of nested values.
    """
    one, other = (columns[name] for name in pair)
    return [
        _counted(_Side.of(one, parts, n), _Side.of(other, parts, n)) for n in range(parts.count)
    ]


def merged_counts(
    parts: Iterable[Mapping[str, ValueCounts | None]],
) -> dict[str, ValueCounts | None]:
    """Merge counts by the names of their pairs, in the order in which they are met."""
    found: dict[str, list[ValueCounts | None]] = {}
    for part in parts:
        for name, counts in part.items():
            found.setdefault(name, []).append(counts)
    return {name: _merged(counts) for name, counts in found.items()}


def as_column(name: str, rows: int, counts: ValueCounts | None) -> ColumnProfile:
    """Return the counts of a pair as a column whose values are the pairs."""
    return ColumnProfile(
        name=name,
        type=PAIR,
        count=rows,
        nulls=0,
        seen=Distinct.of_places(np.empty(0, np.int32)),
        counted=counts,
    )


def values_of(text: str) -> tuple[str | None, str | None]:
    """Return the canonical texts of the two values of a pair, None of a null."""
    one, other = json.loads(text)
    return one, other


def association(counts: Mapping[str, int]) -> float | None:
    """Return how far two columns go together, 0 to 1: Cramér's V, bias-corrected.

    After Bergsma 2013, Journal of the Korean Statistical Society 42, 323-328. None where one of the
    columns has a single value.
    """
    pairs = [values_of(text) for text in counts]
    places = [_numbered(side) for side in zip(*pairs, strict=True)]
    if len(places) < 2 or any(int(place.max()) == 0 for place in places):
        return None
    table = np.zeros([int(place.max()) + 1 for place in places])
    table[places[0], places[1]] = list(counts.values())
    total = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    square = float(((table - expected) ** 2 / expected).sum() / total)
    by_chance = np.array(table.shape) - 1.0
    square = max(0.0, square - by_chance.prod() / (total - 1))
    least = (np.array(table.shape) - by_chance**2 / (total - 1)).min() - 1
    return float(min(1.0, np.sqrt(square / least))) if least > 0 else None


def _numbered(values: Sequence[str | None]) -> Counts:
    known: dict[str | None, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Side:
    """One column of a pair, in the rows of a part."""

    texts: list[str]
    """Canonical ones as JSON; the last is that of a null and of what is no number."""
    places: Counts
    """Of each row's text."""

    @classmethod
    def of(cls, column: Measured, parts: Parts, number: int) -> Self | None:
        """Take a part's rows; None where they have too many values."""
        if column.codes is not None:
            return cls._coded(column.countable, parts.take(number, column.codes))
        # Of a column with too many values a part may have few, as it would have by itself.
        if not parts.rows or not is_countable(column.array.type):
            return None
        found = coded(column.array.take(pa.array(parts.rows[number])))
        return None if found is None else cls._coded(Countable.of(found[0]), found[1])

    @classmethod
    def _coded(cls, values: Countable, codes: Counts) -> Self:
        places = np.append(values.place, len(values.quoted))[codes]
        return cls(texts=[*values.quoted, "null"], places=places)


def _counted(first: _Side | None, second: _Side | None) -> ValueCounts | None:
    if first is None or second is None:  # one alone has too many values
        return None
    ones, others = first.texts, second.texts
    cells = first.places * len(others) + second.places
    held, times = np.unique(cells, return_counts=True)
    if len(held) > EXACT_VALUES:
        return None
    places = [divmod(cell, len(others)) for cell in held.tolist()]
    texts = [f"[{ones[one]},{others[other]}]" for one, other in places]
    return counted_texts(dict(zip(texts, times.tolist(), strict=True)))


def _merged(parts: Sequence[ValueCounts | None]) -> ValueCounts | None:
    known = [part for part in parts if part is not None]
    return ValueCounts.merge_all(known) if len(known) == len(parts) else None
