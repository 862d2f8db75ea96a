"""What the tuning stage is told: which settings are searched, how, and how often."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from raypipe.config.base import BaseConfig
from raypipe.config.faults import find_faults, shorten
from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.config.training import TrainingConfig

METRICS = {
    "binary": ("loss", "auc", "accuracy"),
    "multiclass": ("loss", "accuracy"),
    "multilabel": ("loss", "auc", "accuracy"),
    "regression": ("loss", "rmse", "mae", "r2"),
}
"""Metrics of the validation split, by task."""
MORE_IS_BETTER = frozenset(
    {
        "auc", "accuracy", "r2", "f1", "precision", "recall", "average_precision", "matthews",
        "kappa", "specificity", "exact_match", "explained_variance", "pearson", "spearman",
    }
)  # fmt: skip
"""Metrics that are maximised; the others are minimised."""
UNSEARCHED = {
    "training.seed": "the seed that did best did so by luck, and is no better on other rows",
    "training.task": "it says what the label is",
    "training.checkpoint": "it says when a state is kept, and the model stays the same",
    "training.feed": "it says how rows come to training, and the model stays the same",
    "training.loop": "a loop of your own is not run by a sweep",
    "training.keep": "it says how many checkpoints are kept, and the model stays the same",
    "training.workers": "it says what a trial runs on",
    "preprocessing.refit": "it says when the recipe is fitted again, and not what it is",
}
"""Settings that make no sense in a search, and why."""
MOST_RECIPES = 16
"""Recipes that a search may choose among: all rows are transformed by each of them."""
MOST_STEPS = 1_000_000
"""Values of a range by steps of a fraction: they are counted one by one."""


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"it is {shorten(value)}; it must be a finite number")
    return value


Number = Annotated[float, PlainValidator(_number), WithJsonSchema({"type": "number"})]
"""A number that stays whole if it is written so."""


class RangeConfig(BaseConfig):
    """Numbers from `low` to `high`, both included; whole ones where both are."""

    kind: Literal["range"] = "range"

    low: Number
    """Smallest value."""

    high: Number
    """Largest value."""

    log: bool = False
    """Search magnitudes: as many trials from 0.001 to 0.01 as from 0.01 to 0.1."""

    step: Number | None = None
    """Only every so manyth value from `low` on; None: all of them, of whole numbers each."""

    @property
    def whole(self) -> bool:
        """Say whether it holds whole numbers alone."""
        return all(isinstance(one, int) for one in (self.low, self.high, self.step or 1))

    @model_validator(mode="after")
    def _holds_more_than_one_value(self) -> Self:
        low, high = self.low, self.high
        if low >= high:
            raise ValueError(
                f"low ({low:g}) must be below high ({high:g}); swap them, or set the value itself"
            )
        if self.log and low <= 0:
            raise ValueError(
                f"low is {low:g}, and log needs it above 0; leave log away, or raise low"
            )
        if self.step is None:
            return self
        if self.log:
            raise ValueError("log and step do not go together; leave one away, or list choices")
        if not 0 < self.step <= high - low:
            raise ValueError(
                f"step is {self.step:g}; it must be above 0 and at most high less low "
                f"({high - low:g})"
            )
        if not self.whole and (high - low) / self.step > MOST_STEPS:
            raise ValueError(
                f"step is {self.step:g}, which makes more than {MOST_STEPS:,} values; leave it "
                "away, and all between low and high is searched"
            )
        return self


class ChoicesConfig(BaseConfig):
    """Some values, of any kind that the setting takes: numbers, texts, lists, whole sections."""

    kind: Literal["choices"] = "choices"

    choices: tuple[Any, ...] = Field(min_length=2)
    """The values."""


def _said_whole(value: Any) -> Any:
    if isinstance(value, Mapping | RangeConfig | ChoicesConfig):
        return value
    raise ValueError(f"it is {shorten(value)}; write {{choices: […]}}, or {{low: …, high: …}}")


Dimension = Annotated[
    RangeConfig | ChoicesConfig, Field(discriminator="kind"), BeforeValidator(_said_whole)
]
_PARTS = {*RangeConfig.model_fields, *ChoicesConfig.model_fields}


class HalvingConfig(BaseConfig):
    """Trials that do badly end early: successive halving by ASHA's stopping rule.

    At `first` epochs, and each time at `factor` times as many, a trial goes on only if it is among
    the best of those that came so far: one of `factor`. What others came to is what was known
    when it began, so that no trial waits for another (Li et al., 2020).
    """

    first: int = Field(1, ge=1)
    """Epochs that each trial has."""

    factor: int = Field(3, ge=2)
    """One of so many goes on; and how many times more epochs there are until the next look."""

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs at which a trial of so many may end early."""
        found, rung = [], self.first
        while rung < epochs:
            found.append(rung)
            rung *= self.factor
        return tuple(found)


class TuningConfig(BaseConfig):
    """Settings of the tuning stage."""

    space: dict[str, Dimension] = {}
    """What is searched: a setting of training or preprocessing to its range or its choices.

    Such as `training.learning_rate: {low: 0.0003, high: 0.01, log: true}`, or, for the third group
    of columns, `preprocessing.groups.2.log: {choices: [true, false]}`; empty: no sweep.
    """

    trials: int = Field(6, ge=1)
    """Choices of settings that are tried; a larger number later runs only those that are new."""

    concurrent: int = Field(2, ge=1)
    """Trials that run at once on Ray, as far as its CPUs go; without Ray it is one."""

    sampler: Literal["tpe", "gp", "random", "grid"] = "tpe"
    """How the next trial is chosen.

    By what the trials before it say (TPE, or a Gaussian process, which needs fewer trials where few
    numbers are searched and takes a second or so for each), at random, or point by point of a grid.
    """

    halving: HalvingConfig | None = None
    """End trials early that do badly: `{first: 2, factor: 3}`; None: each has all its epochs."""

    seed: int = 0
    """Seed of the sampler."""

    learn_from: Literal["sweep", "earlier"] = "sweep"
    """What the sampler goes by beside the trials of this sweep: nothing, or earlier sweeps too.

    With `earlier`, trials of this pipeline's newest runs whose settings lie within the space count
    as known, over whatever rows they were made; none of them can be chosen.
    """

    metric: str = "loss"
    """Metric of the validation split that decides: the loss, or one of the task's."""

    epochs: int | None = Field(None, ge=1)
    """Most epochs of a trial; None: as many as training.epochs says."""

    when: Literal["recipe", "always", "never"] = "recipe"
    """When the sweep is run again.

    When code, recipe or what is searched changed, but not for new rows alone; whenever the rows
    changed; or never: then what the last sweep found is used, if there was one.
    """

    @field_validator("space", mode="before")
    @classmethod
    def _sections_are_written_with_dots(cls, value: Any) -> Any:
        """Take `{training: {epochs: …}}`, as `--set` writes it, for `{training.epochs: …}`."""
        if not isinstance(value, Mapping):
            return value
        flat: dict[str, Any] = {}
        for key, one in _flat(value, ""):
            before = flat.get(key)
            merged = isinstance(before, dict) and isinstance(one, dict) and "choices" not in one
            flat[key] = {**before, **one} if merged and before else one
        return {key: _with_kind(one) for key, one in flat.items()}


def _flat(value: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, one in value.items():
        name = f"{prefix}{key}"
        if isinstance(one, Mapping) and one and not one.keys() & _PARTS:
            yield from _flat(one, f"{name}.")
        else:
            yield name, dict(one) if isinstance(one, Mapping) else one


def _with_kind(value: Any) -> Any:
    if isinstance(value, dict) and "kind" not in value:
        return {"kind": "choices" if "choices" in value else "range", **value}
    return value


# --- what a choice of settings comes to ---------------------------------------------------------


class Written(BaseConfig):
    """The settings as they are written, which a search goes around."""

    training: TrainingConfig
    preprocessing: PreprocessingConfig


def with_chosen(written: Written, chosen: Mapping[str, Any]) -> Written:
    """Return settings with others in place of some; ValidationError if none such are.

    `chosen` names them from the top: `training.learning_rate`, `preprocessing.groups.0.log`.
    """
    data: Any = written.model_dump(exclude_unset=True)
    for key, value in chosen.items():
        data = _put(data, key.split("."), value)
    return Written.model_validate(data)


def _put(data: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    first, *rest = path
    if isinstance(data, list | tuple):
        return [_put(one, rest, value) if str(n) == first else one for n, one in enumerate(data)]
    known = data if isinstance(data, dict) else {}
    return {**known, first: _put(known.get(first), rest, value)}


def value_at(written: Written, key: str) -> Any:
    """Return a setting as written, or its default; KeyError if there is none of that name."""
    found: Any = written.model_dump(mode="json")
    for part in key.split("."):
        if isinstance(found, list):
            found = {str(place): one for place, one in enumerate(found)}
        if not isinstance(found, dict):
            raise KeyError(part)
        found = found[part]
    return found


Space = Mapping[str, RangeConfig | ChoicesConfig]
"""Setting, named from the top, to what it may be."""


def of_recipe(space: Space) -> Space:
    """Return the part of a space that says how rows become tensors."""
    return {key: one for key, one in space.items() if key.startswith("preprocessing.")}


def recipes(space: Space, written: Written) -> tuple[PreprocessingConfig, ...]:
    """Return the recipes that a search chooses among; none if it searches training alone."""
    own = of_recipe(space)
    count = (points_of(own) or 0) if own else 0
    return tuple(with_chosen(written, point_of(own, n)).preprocessing for n in range(count))


def values_of(dimension: RangeConfig | ChoicesConfig) -> Sequence[Any] | None:
    """Return the values of a dimension, in order; None if they cannot be counted."""
    if isinstance(dimension, ChoicesConfig):
        return dimension.choices
    low, high, step = dimension.low, dimension.high, dimension.step
    if dimension.whole:
        return range(int(low), int(high) + 1, int(step or 1))
    if step is None:
        return None
    count = math.floor((high - low) / step + 1e-9) + 1
    return [round(low + place * step, 12) for place in range(count)]


def points_of(space: Space) -> int | None:
    """Return how many points a space has; None if they cannot be counted."""
    values = [values_of(dimension) for dimension in space.values()]
    return None if None in values else math.prod(len(one) for one in values if one is not None)


def point_of(space: Space, number: int) -> dict[str, Any]:
    """Return a point of a space that can be counted; the last setting moves fastest."""
    found: dict[str, Any] = {}
    for key, dimension in reversed(list(space.items())):
        values = values_of(dimension) or ()
        number, place = divmod(number, len(values))
        found[key] = values[place]
    return {key: found[key] for key in space}


# --- what cannot be searched --------------------------------------------------------------------

Complaint = tuple[tuple[str, ...], str]
"""Where under `tuning`, and what is wrong."""


def complaints(tuning: TuningConfig, written: Written) -> Iterator[Complaint]:
    """Yield what makes a search impossible, given the settings that it is a search around."""
    task = written.training.task
    named = (one for one in written.training.metrics if ":" not in one)
    measured = (*METRICS[task], *named)
    if tuning.metric not in measured:
        known = ", ".join(measured)
        yield (
            ("metric",),
            f"it is {tuning.metric!r}; a {task} model is measured by {known}",
        )
    if tuning.space and tuning.when != "never" and written.training.feed == "stream":
        yield (
            ("space",),
            "training.feed is stream, and trials share rows that are transformed once; set "
            "training.feed to materialize, or search nothing",
        )
    if tuning.epochs is not None and "training.epochs" in tuning.space:
        yield (
            ("epochs",),
            "trials have so many epochs, and training.epochs is searched too; leave one away",
        )
    for key, dimension in tuning.space.items():
        place = ("space", key)
        if why := _unsearchable(key, tuning.space, written):
            yield place, why
        else:
            yield from ((place, why) for why in _misfits(key, dimension, written))
    yield from _recipe_complaints(tuning.space)
    if tuning.sampler == "grid" and tuning.space:
        yield from _grid_complaints(tuning)


def _unsearchable(key: str, space: Space, written: Written) -> str:
    head, *rest = key.split(".")
    if head not in Written.model_fields:
        return (
            "only settings under `training` and `preprocessing` can be searched: with others each "
            "trial would need its own rows; make a settings file for each instead"
        )
    if not rest:
        return f"it is all of {head}; name a setting in it, such as {_EXAMPLES[head]}"
    if why := UNSEARCHED.get(f"{head}.{rest[0]}"):
        return f"it cannot be searched: {why}"
    if above := next((other for other in space if key.startswith(f"{other}.")), None):
        return f"{above} is searched whole; write this setting into its choices"
    for depth in range(2, len(rest) + 1):
        holder, part = ".".join((head, *rest[: depth - 1])), rest[depth - 1]
        try:
            held = value_at(written, holder)
        except KeyError:
            break
        if _is_list_of_sections(held):
            if part not in map(str, range(len(held))):
                return f"{holder} has {len(held)} entries, counted from 0; there is no {part!r}"
        elif not isinstance(held, dict):
            return f"{holder} is {shorten(held)}, which has no {part!r}; search it whole"
    return ""


_EXAMPLES = {"training": "training.learning_rate", "preprocessing": "preprocessing.groups.0.limit"}


def _is_list_of_sections(held: Any) -> bool:
    return isinstance(held, list) and bool(held) and all(isinstance(one, dict) for one in held)


def _recipe_complaints(space: Space) -> Iterator[Complaint]:
    own = of_recipe(space)
    for key, dimension in own.items():
        if values_of(dimension) is None:
            yield (
                ("space", key),
                "all rows are transformed by each value, so that they must be counted; give it a "
                "step, or list choices",
            )
    if own and (points_of(own) or 0) > MOST_RECIPES:
        yield (
            ("space", next(iter(own))),
            f"the settings of preprocessing make {points_of(own):,} recipes, and all rows are "
            f"transformed by each; search {MOST_RECIPES} at most",
        )


def _misfits(key: str, dimension: RangeConfig | ChoicesConfig, written: Written) -> Iterator[str]:
    """Yield what the searched setting refuses: an end of the range, or a choice."""
    seen: dict[str, str] = {}
    for name, value in _samples(dimension):
        try:
            made = with_chosen(written, {key: value})
        except ValidationError as error:
            yield f"{name} does not do: {_first_fault(error)}"
            if isinstance(dimension, RangeConfig):
                return
            continue
        twin = seen.setdefault(made.model_dump_json(), name)
        if twin != name:
            yield f"{twin} and {name} are the same ({shorten(value)}); leave one away"
    if isinstance(dimension, RangeConfig) and _leaves_fractions_out(key, dimension, written):
        yield (
            f"low ({dimension.low}) and high ({dimension.high}) are whole, so that no other number "
            f"would be tried, and {key} takes others; write {dimension.low}.0, or step: 1"
        )


def _leaves_fractions_out(key: str, dimension: RangeConfig, written: Written) -> bool:
    """Say whether whole numbers are few of those that a setting takes; options take anything."""
    if not dimension.whole or dimension.step is not None or ".options." in key:
        return False
    try:
        with_chosen(written, {key: dimension.low + 0.5})
    except ValidationError:
        return False
    return True


def _samples(dimension: RangeConfig | ChoicesConfig) -> Iterator[tuple[str, Any]]:
    """Yield what stands for a dimension: every choice; of a range the ends, and one between."""
    if isinstance(dimension, ChoicesConfig):
        yield from ((f"choices.{place}", one) for place, one in enumerate(dimension.choices))
        return
    yield "low", dimension.low
    if dimension.step is not None:
        yield "low and a step", dimension.low + dimension.step
    elif not dimension.whole:
        yield "what lies between", dimension.low + (dimension.high - dimension.low) / math.pi
    if dimension.step is None or dimension.low + dimension.step != dimension.high:
        yield "high", dimension.high


def _first_fault(error: ValidationError) -> str:
    return find_faults(Written, error.errors(include_url=False)[:1])[0].sentence


def _grid_complaints(tuning: TuningConfig) -> Iterator[Complaint]:
    for key, dimension in tuning.space.items():
        if values_of(dimension) is None:
            yield (
                ("space", key),
                "a grid needs values that can be counted; give it a step, or list choices",
            )
    points = points_of(tuning.space)
    if points is not None and tuning.trials > points:
        yield ("trials",), f"it is {tuning.trials}, and the grid has {points} points; lower it"
