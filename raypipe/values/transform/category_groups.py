"""Fitted groups that read categories, beside the one-hot and embedding ones.

Known values are canonical text, by column; the empty text is a value like any other.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ordinal:
    """The place of a value in an order, from 0 to 1; float32. -1: missing or unknown."""

    columns: tuple[str, ...]
    tensor: str
    vocabularies: tuple[tuple[str, ...], ...]
    """Values from first to last, by column."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        return self.columns


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """The share of the train split's rows that have a value; float32. 0: missing or unknown."""

    columns: tuple[str, ...]
    tensor: str
    vocabularies: tuple[tuple[str, ...], ...]
    shares: tuple[tuple[float, ...], ...]
    """Share of each known value, by column."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        return self.columns


@dataclass(frozen=True, kw_only=True)
class Hashed:
    """The bucket of a value by its stable hash; float32 flags, or int64 from 1.

    Null and NaN: no flag, or 0. See raypipe.values.hashing for what is hashed.
    """

    columns: tuple[str, ...]
    tensor: str
    buckets: int
    index: bool
    """Tell the number of the bucket, instead of flags."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        if self.index:
            return self.columns
        return tuple(f"{column}#{n}" for column in self.columns for n in range(self.buckets))

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """How many values each index can take."""
        return (1 + self.buckets,) * len(self.columns)


@dataclass(frozen=True, kw_only=True)
class MultiHot:
    """A flag for each known value that a list holds; float32."""

    columns: tuple[str, ...]
    tensor: str
    vocabularies: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        pairs = zip(self.columns, self.vocabularies, strict=True)
        return tuple(f"{column}[{value[:60]}]" for column, known in pairs for value in known)
