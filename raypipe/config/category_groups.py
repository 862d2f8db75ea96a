"""Groups of a recipe that read categories, beside the one-hot and embedding ones."""

from typing import Literal, Self

from pydantic import Field, model_validator

from raypipe.config.base import BaseConfig, Columns


class OrdinalGroup(BaseConfig):
    """A category that has a place in an order, as a number from 0 (the first) to 1 (the last).

    One that is missing or not in the order is -1.
    """

    kind: Literal["ordinal"] = "ordinal"

    columns: Columns
    """Columns of text, numbers, booleans, dates or timestamps."""

    order: tuple[str, ...] | None = None
    """The values from first to last, the same for all columns: numbers as text, true and false.

    None: those of the train split, numbers by size and all else as text.
    """

    limit: int = Field(1_000, ge=1)
    """Most frequent values that have a place, where no order is given."""

    tensor: str = "dense"
    """Tensor (float32) that the places go into, one a column."""

    @model_validator(mode="after")
    def _values_are_named_once(self) -> Self:
        if self.order is not None and (not self.order or len(set(self.order)) < len(self.order)):
            raise ValueError("order must name at least one value, and each once")
        return self


class FrequencyGroup(BaseConfig):
    """A category as the share of the train split's rows that have it; 0: missing or unseen."""

    kind: Literal["frequency"] = "frequency"

    columns: Columns
    """Columns of text, numbers, booleans, dates or timestamps."""

    limit: int = Field(10_000, ge=1)
    """Most frequent values whose share is kept; those of others count as 0."""

    tensor: str = "dense"
    """Tensor (float32) that the shares go into, one a column."""


class HashingGroup(BaseConfig):
    """A category as one of so many buckets, by a hash that is the same everywhere and for ever.

    Nothing is fitted, so that no value is unseen; values may share a bucket. One that is missing
    (null or NaN) is in none: no flag, or index 0.
    """

    kind: Literal["hashing"] = "hashing"

    columns: Columns
    """Columns of text, numbers, booleans, dates or timestamps."""

    buckets: int = Field(1_024, ge=2)
    """Buckets of each column."""

    output: Literal["one_hot", "index"] = "index"
    """A flag for each bucket, or its number from 1, for an embedding."""

    tensor: str | None = None
    """Tensor that the values go into; None: `dense` (float32) for flags, `indices` (int64) else."""


class MultiHotGroup(BaseConfig):
    """A list of categories as one flag for each value seen in the train split's lists.

    An unseen value in a list sets no flag, nor does a null in it; a list that is missing is like
    an empty one.
    """

    kind: Literal["multi_hot"] = "multi_hot"

    columns: Columns
    """Columns of lists of text, integers or booleans."""

    limit: int = Field(64, ge=1)
    """Most frequent values that get a flag of their own."""

    tensor: str = "dense"
    """Tensor (float32) that the flags go into."""
