"""What tuning is asked for and gives: a search, its trials, and the settings that did best."""

from dataclasses import dataclass, field
from typing import Any, Literal

from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.config.training import AnyModel, TrainingConfig
from raypipe.config.tuning import MORE_IS_BETTER, ChoicesConfig, HalvingConfig, RangeConfig
from raypipe.values.kinds import aside


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a trial is found by, beside its number: how often and how many at once is no part."""

    space: dict[str, RangeConfig | ChoicesConfig]
    """Setting, named from the top, to what it may be."""
    sampler: Literal["tpe", "gp", "random", "grid"]
    seed: int
    metric: str
    """Of the validation split; what decides."""
    epochs: int | None
    """Most epochs of a trial; None: as many as training has."""
    models: tuple[AnyModel, ...] = ()
    """The architectures that may be chosen, so that the code that they name counts."""
    recipes: tuple[PreprocessingConfig, ...] = ()
    """The recipes that may be chosen; none if it is always the one that is written."""
    halving: HalvingConfig | None = None
    """When trials that do badly end early."""

    @property
    def more_is_better(self) -> bool:
        """Say whether the metric is maximised."""
        return self.metric in MORE_IS_BETTER


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One choice of settings tried."""

    number: int
    """Its place in the sweep, from 0."""
    chosen: dict[str, Any]
    """Setting, named from the top, to its value."""
    metrics: dict[str, float]
    """Of the validation split after its best epoch; none if it failed."""
    history: tuple[dict[str, float], ...] = ()
    """One row an epoch: epoch, train_loss, loss and the metrics."""
    failed: str = ""
    """Why it came to nothing."""
    stopped: int | None = None
    """The epoch after which it ended early, since others did better; None: it came to its end."""
    like: int | None = None
    """The trial before it with the same settings, whose metrics these are: it was not trained."""
    seconds: float = field(default=0.0, metadata=aside())


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The settings that training goes on with."""

    settings: TrainingConfig
    recipe: PreprocessingConfig
    chosen: dict[str, Any]
    """What a sweep chose of them; none if there was no sweep."""
    trial: int | None
    """The trial that did best."""
    metrics: dict[str, float]
    """Of that trial."""


def ranked(trials: "list[Trial] | tuple[Trial, ...]", search: Search) -> list[Trial]:
    """Return the trials that came to something, best first; of equals the first.

    Those that ended early come after those that came to their end.
    """
    sign = -1 if search.more_is_better else 1
    done = [trial for trial in trials if not trial.failed]
    return sorted(
        done,
        key=lambda one: (one.stopped is not None, sign * one.metrics[search.metric], one.number),
    )
