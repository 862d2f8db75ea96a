"""What the preprocessing stage is told: the recipe that turns raw columns into tensors."""

from typing import Annotated, Literal

from pydantic import Field

from raypipe.config.base import BaseConfig, CodeReference, Columns
from raypipe.config.category_groups import (
    FrequencyGroup,
    HashingGroup,
    MultiHotGroup,
    OrdinalGroup,
)
from raypipe.config.content_groups import ImageGroup, TextGroup
from raypipe.config.number_groups import BucketiseGroup, ClipConfig, DateGroup


class NumericGroup(BaseConfig):
    """Numbers: filled, perhaps clipped and logged, then scaled.

    Missing are null, NaN and infinities.
    """

    kind: Literal["numeric"] = "numeric"

    columns: Columns
    """Columns of numbers or booleans."""

    impute: Literal["mean", "median", "zero"] = "mean"
    """What stands in for a missing value; taken from the train profile."""

    clip: ClipConfig | None = None
    """Bounds that numbers are kept within before all that follows; None: none."""

    log: bool = False
    """Take log(1 + x) of what is not negative (negative values count as 0) before scaling."""

    scale: Literal["standard", "min_max", "robust", "none"] = "standard"
    """Standard: subtract the mean of the train split, divide by its standard deviation.

    Min_max: from 0 at its smallest number to 1 at its largest; what lies outside of them in other
    rows, lies outside of 0 to 1. Robust: subtract its median, divide by the distance of its
    quartiles. A column of one value is divided by 1.
    """

    tensor: str = "dense"
    """Tensor (float32) that the values go into."""


class CyclicGroup(BaseConfig):
    """A number that comes round again (hour, month): its sine and cosine."""

    kind: Literal["cyclic"] = "cyclic"

    columns: Columns
    """Columns of numbers."""

    period: float = Field(gt=0)
    """Length of the cycle, in the column's unit: 24 for hours, 12 for months."""

    tensor: str = "dense"
    """Tensor (float32) that the values go into, two a column."""


class OneHotGroup(BaseConfig):
    """A category as one flag for each value seen in the train split.

    An unseen value has no flag set.
    """

    kind: Literal["one_hot"] = "one_hot"

    columns: Columns
    """Columns of text, integers or booleans."""

    limit: int = Field(64, ge=1)
    """Most frequent values that get a flag of their own."""

    tensor: str = "dense"
    """Tensor (float32) that the flags go into."""


class EmbeddingGroup(BaseConfig):
    """A category as an index into an embedding table; index 0 is for values out of vocabulary."""

    kind: Literal["embedding"] = "embedding"

    columns: Columns
    """Columns of text, integers or booleans."""

    limit: int = Field(10_000, ge=1)
    """Most frequent values that get an index of their own."""

    min_count: int = Field(1, ge=1)
    """Values seen less often than this in the train split are out of vocabulary."""

    tensor: str = "indices"
    """Tensor (int64) that the indices go into, one a column."""


class FunctionGroup(BaseConfig):
    """Values made by a function of yours, from an Arrow table of the columns it is given."""

    kind: Literal["function"] = "function"

    columns: Columns
    """Columns that the function reads."""

    function: CodeReference
    """The function: takes a pyarrow.Table of `columns`.

    Returns a float array of shape [rows] or [rows, width].
    """

    width: int = Field(1, ge=1)
    """Values that the function returns for each row."""

    tensor: str = "dense"
    """Tensor (float32) that the values go into."""


Group = Annotated[
    NumericGroup
    | BucketiseGroup
    | CyclicGroup
    | DateGroup
    | OneHotGroup
    | OrdinalGroup
    | FrequencyGroup
    | HashingGroup
    | MultiHotGroup
    | EmbeddingGroup
    | TextGroup
    | ImageGroup
    | FunctionGroup,
    Field(discriminator="kind"),
]


class LabelConfig(BaseConfig):
    """What the model learns of a label that is a number.

    It is undone wherever predictions and metrics are shown: both are of the label as it is.
    """

    log: bool = False
    """Learn log(1 + x), for what is never negative and skewed, such as a price.

    A negative label stops the run; no prediction is below 0.
    """

    scale: Literal["none", "standard"] = "none"
    """Standard: subtract the mean of the train split, divide by its standard deviation."""


class PreprocessingConfig(BaseConfig):
    """Settings of the preprocessing stage."""

    groups: tuple[Group, ...] = Field(min_length=1)
    """Groups of columns, in the order in which their values stand in the tensors."""

    label: LabelConfig = LabelConfig()
    """What is done to the label; for training.task: regression alone."""

    weight: str | None = None
    """Column that says how much a row counts in training's loss; None: all count the same.

    Its numbers are divided by their mean in the train split. One that is missing, below 0 or
    infinite stops the run. Validation and analysis count each row once; requests need no weight.
    """

    refit: Literal["recipe", "always"] = "recipe"
    """When the transform is fitted again.

    When the recipe, the schema or the code that fits it changed (so that a new commit transforms
    only its new shards), or whenever the train split changed.
    """
