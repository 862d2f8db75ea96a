"""What the data stage is told: which dataset, which columns mean what, and how rows are split."""

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from raypipe.config.base import BaseConfig, ColumnNames, Columns


class Shares(BaseConfig):
    """How much of the rows goes to each split; the three sum to one."""

    train: float = Field(0.70, gt=0, lt=1)
    """Share of rows that models are fitted to."""

    validation: float = Field(0.15, gt=0, lt=1)
    """Share of rows that choose checkpoints and settings."""

    analysis: float = Field(0.15, gt=0, lt=1)
    """Share of rows that no model is fitted to or chosen by: the sealed split."""

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.validation + self.analysis
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of a split must sum to 1, not to {total:g}")
        return self


class HashSplit(BaseConfig):
    """Each row is put in a split by a hash of its key, so that it stays there for ever."""

    by: Literal["hash"] = "hash"

    columns: Columns
    """Columns whose values name the row; rows with equal values share a split."""

    shares: Shares = Shares()
    """How much of the rows goes to each split."""

    salt: str = ""
    """Text mixed into the hash; another salt gives another split."""


class GroupSplit(BaseConfig):
    """Rows of one group (a day, a customer) go to the same split, by a hash of the group."""

    by: Literal["group"] = "group"

    columns: Columns
    """Columns whose values name the group."""

    shares: Shares = Shares()
    """How much of the groups goes to each split."""

    salt: str = ""
    """Text mixed into the hash; another salt gives another split."""


class TimeSplit(BaseConfig):
    """Rows are divided by time: train before `validation_from`, analysis from `analysis_from`."""

    by: Literal["time"] = "time"

    column: str
    """Column of dates or timestamps."""

    validation_from: str
    """First moment of the validation split, in ISO 8601."""

    analysis_from: str
    """First moment of the analysis split, in ISO 8601."""

    @model_validator(mode="after")
    def _validation_comes_first(self) -> Self:
        if self.validation_from >= self.analysis_from:
            raise ValueError(
                f"validation_from ({self.validation_from}) must come before "
                f"analysis_from ({self.analysis_from}); swap them"
            )
        return self


class ColumnSplit(BaseConfig):
    """A column says which split a row is in: train, validation or analysis."""

    by: Literal["column"] = "column"

    column: str
    """Column that holds the name of the split."""


SplitRule = Annotated[HashSplit | GroupSplit | TimeSplit | ColumnSplit, Field(discriminator="by")]


class DataConfig(BaseConfig):
    """Settings of the data stage."""

    dataset: str = Field(pattern=r"^(local|lakefs)://[^/]+/[^/]+(/.*)?$")
    """Dataset reference: local://REPO/REF[/PATH] or lakefs://REPO/REF[/PATH].

    REF is a branch, tag or commit.
    """

    label: str
    """Column that the model learns to predict."""

    key: ColumnNames = ()
    """Columns whose values name a row; duplicates are an anomaly. Empty: rows have no key."""

    time: str | None = None
    """Column that says when a row happened; None if there is none."""

    groups: ColumnNames = ()
    """Columns whose values name what a row belongs to, such as a patient or a machine.

    One in two splits is an anomaly, since its rows tell of one another.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    """Pairs of columns whose values are counted together, such as `[[carrier, late]]`.

    So that a change of how the two go together is drift, though neither moved by itself. Of a pair
    that has more than 1,000 combinations nothing is counted. To ask for another pair reads all
    shards again.
    """

    split: SplitRule
    """How rows are divided into train, validation and analysis."""

    @model_validator(mode="after")
    def _a_pair_is_two_columns(self) -> Self:
        met = Counter(map(frozenset, self.pairs))
        for one, other in self.pairs:
            if one == other:
                raise ValueError(f"pairs has {one} with itself; name two columns")
        if twice := [sorted(pair) for pair, times in met.items() if times > 1]:
            raise ValueError(f"pairs has {' with '.join(twice[0])} twice; name each pair once")
        return self
