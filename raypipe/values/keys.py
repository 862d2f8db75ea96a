"""Which keys rows have, in bounded room: exact for some millions, beyond that for a fair share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from raypipe.values.hashing import Hashes

KEYS = 1 << 22
"""Keys that are kept, eight bytes each: those with the smallest hashes."""

_FEW = 8
"""Times as many keys as all others have, from which on one part is most of them."""

_NONE = np.empty(0, np.uint64)

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyProfile:
    """Which keys the rows have: enough to find duplicates, within a shard and across shards.

    To find one key that is twice among a billion takes room for them all, so up to KEYS keys the
    counts are exact. Beyond, the keys kept are a fair sample, whose duplicates are all known.
    """

    columns: tuple[str, ...]
    rows: int
    """Rows that have a key, all of them."""
    hashes: Hashes
    """Of the keys, each once, in order; of more than KEYS, the smallest."""
    repeated: Hashes
    """Those of them that several rows have, in order."""
    more: Counts
    """How many rows beyond the first have each of these."""

    @classmethod
    def of(cls, columns: tuple[str, ...], hashes: Hashes) -> Self:
        """Write down the keys of rows."""
        return cls._kept(columns, len(hashes), np.sort(hashes), _NONE, np.empty(0, np.int64))

    @classmethod
    def merge_all(cls, parts: Sequence[Self]) -> Self:
        """Hold the keys of all parts."""
        longest = max(len(part.hashes) for part in parts)
        hashes = np.concatenate([part.hashes for part in parts])
        # A stable sort merges what is in order, and is the quicker where one part is nearly all.
        one_is_most = _FEW * (len(hashes) - longest) <= longest
        hashes.sort(kind="stable" if one_is_most else None)
        return cls._kept(
            parts[0].columns,
            sum(part.rows for part in parts),
            hashes,
            np.concatenate([part.repeated for part in parts]),
            np.concatenate([part.more for part in parts]),
        )

    @classmethod
    def _kept(
        cls, columns: tuple[str, ...], rows: int, ordered: Hashes, repeated: Hashes, more: Counts
    ) -> Self:
        """Keep the smallest of keys in order, and how many rows have those that are repeated."""
        keys, again = _each_once(ordered)
        keys = keys[:KEYS]
        twice = np.concatenate([again, repeated])
        found, place = np.unique(twice, return_inverse=True)
        ones = np.ones(len(again), np.int64)
        counts = np.bincount(place, np.concatenate([ones, more]), len(found)).astype(np.int64)
        kept = found <= keys[-1] if len(keys) else np.zeros(0, np.bool_)
        return cls(columns=columns, rows=rows, hashes=keys, repeated=found[kept], more=counts[kept])

    @property
    def exact(self) -> bool:
        """Whether every key is kept."""
        return len(self.hashes) + int(self.more.sum()) == self.rows

    @property
    def distinct(self) -> int:
        """Keys that differ."""
        return self.rows - self.duplicates

    @property
    def duplicates(self) -> int:
        """Rows whose key an earlier row has; beyond KEYS keys, as many as the kept ones suggest."""
        more = int(self.more.sum())
        kept = len(self.hashes) + more
        return more if kept == self.rows else round(more / kept * self.rows)


def _each_once(ordered: Hashes) -> tuple[Hashes, Hashes]:
    """Return ordered keys without those that are there already, and these."""
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return (ordered, ordered[:0]) if first.all() else (ordered[first], ordered[~first])
