"""Groups of a recipe that read numbers and moments, beside the plain numeric and cyclic ones."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from raypipe.config.base import BaseConfig, Columns, Share


class ClipConfig(BaseConfig):
    """Bounds that numbers are kept within: given, or quantiles of the train split."""

    low: float | None = None
    """Smallest number, in the column's unit; smaller ones become it. None: any."""

    high: float | None = None
    """Largest number, in the column's unit; larger ones become it. None: any."""

    quantiles: tuple[Share, Share] | None = None
    """Shares of the train split's numbers that lie below the bounds, such as [0.01, 0.99].

    Each column gets bounds of its own, to within 1 % of the number.
    """

    @model_validator(mode="after")
    def _bounds_are_told_one_way(self) -> Self:
        given = self.low is not None or self.high is not None
        if given == (self.quantiles is not None):
            raise ValueError("clip takes either low and high, or quantiles; give one of them")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"clip.low ({self.low:g}) must be below clip.high ({self.high:g})")
        if self.quantiles is not None and self.quantiles[0] >= self.quantiles[1]:
            raise ValueError(f"clip.quantiles {list(self.quantiles)} must rise, as in [0.01, 0.99]")
        return self


class BucketiseGroup(BaseConfig):
    """A number as the bucket that it falls into.

    A bucket begins at its edge: with edges 10 and 20, the number 10 is in the second of three. One
    that is missing (null, NaN or infinite) is in none: no flag, or index 0.
    """

    kind: Literal["bucketise"] = "bucketise"

    columns: Columns
    """Columns of numbers or booleans."""

    edges: tuple[float, ...] | None = None
    """Where buckets begin, rising, in the columns' unit; None: at quantiles of the train split."""

    buckets: int = Field(10, ge=2)
    """Buckets of equal shares of the train split, where no edges are given.

    They are fewer where quantiles coincide.
    """

    output: Literal["one_hot", "index"] = "one_hot"
    """A flag for each bucket, or its number from 1, for an embedding."""

    tensor: str | None = None
    """Tensor that the values go into; None: `dense` (float32) for flags, `indices` (int64) else."""

    @model_validator(mode="after")
    def _edges_rise(self) -> Self:
        edges = self.edges
        if edges is not None and (not edges or sorted(set(edges)) != list(edges)):
            raise ValueError(f"edges {list(edges)} must be at least one number, and rise")
        return self


DatePart = Literal[
    "year",
    "month",
    "day",
    "weekday",
    "hour",
    "minute",
    "day_of_year",
    "is_weekend",
    "epoch",
]


class DateGroup(BaseConfig):
    """What the calendar says of a date or a moment; float32.

    All parts of a moment that is missing are 0.
    """

    kind: Literal["date"] = "date"

    columns: Columns
    """Columns of dates or timestamps."""

    parts: Annotated[tuple[DatePart, ...], Field(min_length=1)] = ("month", "weekday", "epoch")
    """What is told of each moment.

    `year` and `epoch` (seconds since 1970) are told in standard deviations from the train split's
    mean moment; `is_weekend` is 0 or 1; all others go round.
    """

    cyclic: bool = True
    """Tell what goes round (month, day, weekday, hour, minute, day_of_year) by sine and cosine.

    Else as a share of the way round, from 0 to 1.
    """

    zone: str | None = None
    """Time zone whose calendar and clock are read, such as America/New_York.

    For timestamps that have a zone; None: UTC. What has none is read as it stands.
    """

    tensor: str = "dense"
    """Tensor (float32) that the values go into."""

    @model_validator(mode="after")
    def _parts_are_told_once(self) -> Self:
        if len(set(self.parts)) != len(self.parts):
            raise ValueError(f"parts names one twice: {', '.join(self.parts)}")
        return self
