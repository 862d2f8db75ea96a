"""What the analysis stage is told: metrics, slices, and the thresholds that bless a candidate."""

from pydantic import Field

from raypipe.config.base import BaseConfig, ColumnNames, Columns


class Threshold(BaseConfig):
    """A bound on one metric."""

    at_least: float | None = None
    """Smallest value that passes; None: no bound below."""

    at_most: float | None = None
    """Largest value that passes; None: no bound above."""


class MeasuringConfig(BaseConfig):
    """How a candidate is measured; another way looks at the analysis split again."""

    slices: ColumnNames = ()
    """Columns by whose values the metrics are shown apart."""

    groups: Columns | None = None
    """Columns that name the groups which are resampled for intervals.

    None: the split's own columns.
    """

    resamples: int = Field(500, ge=50)
    """Bootstrap samples behind each interval."""

    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Share of the bootstrap distribution that an interval covers."""

    smallest_slice: int = Field(200, ge=1)
    """Slices with fewer rows are left out."""


class AnalysisConfig(MeasuringConfig):
    """Settings of the analysis stage."""

    thresholds: dict[str, Threshold] = {}
    """Bounds on metrics of the whole analysis split, by the metric's name.

    Such as auc, average_precision or log_loss.
    """

    largest_loss: float = Field(0.01, ge=0)
    """How much worse than the champion a blessed candidate may be.

    In the first metric, on the same rows.
    """

    edge_cases: dict[str, dict[str, Threshold]] = {}
    """Bounds on what a candidate makes of kept edge cases, by the set's name and the metric's.

    Such as `{night: {failed: {at_most: 2}}}`; `failed` is how many rows it gets wrong.
    """

    edge_error: float | None = Field(None, gt=0)
    """Of a regression: how far off a candidate may be, before a row of edge cases fails.

    None: no row fails.
    """

    @property
    def measuring(self) -> MeasuringConfig:
        """The settings that say how, without those that say what is good enough."""
        return MeasuringConfig(
            **{name: getattr(self, name) for name in MeasuringConfig.model_fields}
        )
