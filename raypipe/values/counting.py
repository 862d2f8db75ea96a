"""How often each of few values occurs, by their canonical texts, in bounded room."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import chain
from json.encoder import encode_basestring
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from raypipe.values.hashing import canonical_text

EXACT_VALUES = 1_000
"""Distinct values up to which each is counted."""

LONGEST_COUNTED = 1_000
"""Characters of the longest value up to which values are counted: longer ones are no names."""

_TWICE = 2
"""Values that are no other than some: what is no number does not count, and 0 has two signs."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ValueCounts:
    """How often each of some values occurs, written down in little room."""

    texts: str
    """The values' canonical texts, as a JSON list."""
    counts: Counts

    @cached_property
    def pairs(self) -> dict[str, int]:
        """Values and how often each occurs."""
        return dict(zip(self.places, self.counts.tolist(), strict=True))

    @cached_property
    def places(self) -> dict[str, int]:
        """Values and their places, in order."""
        texts = json.loads(self.texts)
        return dict(zip(texts, range(len(texts)), strict=True))

    @property
    def ends(self) -> tuple[str, str] | None:
        """The first and the last value, in their order; None if there are none."""
        return (next(iter(self.places)), next(reversed(self.places))) if self.places else None

    def most(self, limit: int | None = None) -> list[tuple[str, int]]:
        """Return the most frequent values and how often each occurs, ties in their order."""
        places = np.argsort(-self.counts, kind="stable")[:limit].tolist()
        texts, counts = [*self.places], self.counts.tolist()
        return [(texts[place], counts[place]) for place in places]

    def among(self, other: ValueCounts) -> Counts | None:
        """Return the counts at the places of another's values; None if it lacks one of them."""
        if self.texts == other.texts:
            return self.counts
        counts = np.zeros(len(other.counts), np.int64)
        try:
            counts[self._places_in(other.places)] = self.counts
        except KeyError:
            return None
        return counts

    def _places_in(self, places: Mapping[str, int]) -> Counts:
        known = map(places.__getitem__, self.places)
        return np.fromiter(known, np.int64, len(self.counts))

    @classmethod
    def merge_all(cls, parts: Sequence[ValueCounts]) -> ValueCounts | None:
        """Count the values of all parts; None if they are too many."""
        most = max(parts, key=lambda part: len(part.counts))
        aligned = [part.among(most) for part in parts]
        held = [part for part in aligned if part is not None]
        if len(held) == len(parts):  # in their order, and written down already
            # numpy's sum of a list of arrays looks at each number of it first.
            return cls.placed(most.texts, reduce(np.add, held), most.places)
        # Each is in order: so are long stretches of all of them, which is soon sorted.
        ordered = sorted(dict.fromkeys(chain.from_iterable(part.places for part in parts)))
        if len(ordered) > EXACT_VALUES:
            return None
        places = dict(zip(ordered, range(len(ordered)), strict=True))
        counts = np.zeros(len(ordered), np.int64)
        for part in parts:
            counts[part._places_in(places)] += part.counts
        return cls.placed(_as_json(ordered), counts, places)

    @classmethod
    def placed(cls, texts: str, counts: Counts, places: dict[str, int]) -> ValueCounts:
        """Count texts whose places are known: to read them again is most of what merging costs."""
        made = cls(texts=texts, counts=counts)
        vars(made)["places"] = places
        return made


def counted_texts(counts: Mapping[str, int]) -> ValueCounts | None:
    """Write down how often each text occurs; None if one is so long that it is no name."""
    if max(map(len, counts), default=0) > LONGEST_COUNTED:
        return None
    ordered = sorted(counts)
    times = np.array([counts[text] for text in ordered], np.int64)
    return ValueCounts(texts=_as_json(ordered), counts=times)


@dataclass(frozen=True, kw_only=True, eq=False)
class Countable:
    """The canonical texts of values: written out once, and counted for each part of the rows."""

    texts: list[str]
    """Each once, in order."""
    quoted: list[str]
    """The same as JSON."""
    lengths: Counts
    """Of these texts, in characters."""
    place: npt.NDArray[np.int64]
    """Of the text of each value; beyond the last, of a null and of what is no number."""

    @classmethod
    def of(cls, values: pa.Array) -> Self:
        """Write out values."""
        texts = canonical_text(values)
        left_out = {None, "nan"} if pa.types.is_floating(values.type) else {None}
        known = sorted({text for text in texts if text is not None and text not in left_out})
        places: dict[str | None, int] = {text: place for place, text in enumerate(known)}
        return cls(
            texts=known,
            quoted=[encode_basestring(text) for text in known],
            lengths=np.array([len(text) for text in known], np.int64),
            place=np.array([places.get(text, len(known)) for text in texts], np.int64),
        )

    def counted(self, counts: Counts) -> ValueCounts | None:
        """Return how often each occurs, where each value does so often.

        None if they are too many, or one is so long that many like it were a burden.
        """
        times = np.bincount(self.place, counts, len(self.quoted) + 1)[:-1].astype(np.int64)
        held = times.nonzero()[0]
        if len(held) > EXACT_VALUES or self.lengths[held].max(initial=0) > LONGEST_COUNTED:
            return None
        places = held.tolist()
        return ValueCounts.placed(
            f"[{','.join([self.quoted[place] for place in places])}]",
            times[held],
            dict(zip([self.texts[place] for place in places], range(len(places)), strict=True)),
        )


def may_be_counted(values: int) -> bool:
    """Say whether so many differing values may be few enough by their canonical texts."""
    return values <= EXACT_VALUES + _TWICE


_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
