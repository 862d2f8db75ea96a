"""The next choice of settings: a function of the search, a number, and what is known so far."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from raypipe.config.tuning import (
    ChoicesConfig,
    RangeConfig,
    Written,
    of_recipe,
    point_of,
    points_of,
    value_at,
    values_of,
    with_chosen,
)
from raypipe.values.tuning import Search, Trial

AT_RANDOM = 4
"""Trials after which TPE, or a Gaussian process, goes by what the earlier ones came to."""
ATTEMPTS = 10
"""Suggestions that are drawn before one is taken that was tried already."""

Chosen = Mapping[str, Any]
"""Setting, named from the top, to its value."""


def suggest(
    search: Search,
    written: Written,
    number: int,
    known: Mapping[int, Trial],
    pending: Mapping[int, Chosen],
    earlier: Sequence[Trial] = (),
) -> dict[str, Any]:
    """Return what the trial of this number tries; the same for the same history.

    The first one tries the settings as they are written, if they are within the space: so a sweep
    finds nothing worse. What was tried, or is being tried, comes again only if nothing else does.
    `earlier` trials, of other sweeps, count as known to the sampler, and may be tried again.
    """
    if search.sampler == "grid":
        return point_of(search.space, number)
    if number == 0 and (first := as_written(search, written)) is not None:
        return first
    taken = {*map(identity, pending.values()), *(identity(one.chosen) for one in known.values())}
    for attempt in range(ATTEMPTS):
        chosen = _draw(search, number, attempt, known, pending, earlier)
        if identity(chosen) not in taken:
            return chosen
    return _untried(search, number, taken) or chosen


def _untried(search: Search, number: int, taken: set[str]) -> dict[str, Any] | None:
    """Return a point that was not tried; None if all were, or they cannot be counted.

    Of one more points than were tried, one was not.
    """
    points = points_of(search.space)
    if points is None:
        return None
    start = _seed(search, number, ATTEMPTS) % points
    for place in range(start, start + min(points, len(taken) + 1)):
        chosen = point_of(search.space, place % points)
        if identity(chosen) not in taken:
            return chosen
    return None


def identity(chosen: Chosen) -> str:
    """Return a text that is the same for the same settings."""
    return json.dumps(chosen, sort_keys=True)


def recipe_of(search: Search, chosen: Chosen) -> int:
    """Return which of the recipes of a search was chosen."""
    own = of_recipe(search.space)
    wanted = identity({key: chosen[key] for key in own})
    places = range(len(search.recipes))
    return next((n for n in places if identity(point_of(own, n)) == wanted), 0)


def as_written(search: Search, written: Written) -> dict[str, Any] | None:
    """Return the searched settings as they are written; None if one is not within the space."""
    found: dict[str, Any] = {}
    for key, dimension in search.space.items():
        within = list(_written_within(key, dimension, written))
        if not within:
            return None
        found[key] = within[0]
    return found


def _written_within(
    key: str, dimension: RangeConfig | ChoicesConfig, written: Written
) -> Iterator[Any]:
    try:
        value = value_at(written, key)
    except KeyError:  # an option of a model of the user's that is left to its default
        return
    if isinstance(dimension, ChoicesConfig):
        full = written.model_dump()
        choices = dimension.choices
        yield from (c for c in choices if with_chosen(written, {key: c}).model_dump() == full)
    elif isinstance(value, int | float) and dimension.low <= value <= dimension.high:
        values = values_of(dimension)
        if values is None:
            yield value
        elif (near := values[_nearest(dimension, value, len(values))]) == value:
            yield near


def _nearest(dimension: RangeConfig, value: float, count: int) -> int:
    return min(count - 1, round((value - dimension.low) / (dimension.step or 1)))


# --- Optuna -------------------------------------------------------------------------------------


def _draw(
    search: Search,
    number: int,
    attempt: int,
    known: Mapping[int, Trial],
    pending: Mapping[int, Chosen],
    earlier: Sequence[Trial],
) -> dict[str, Any]:
    """Ask Optuna, with a study that holds what is known: nothing of it is kept from call to call.

    Each number has a seed of its own, so that a sweep that goes on does not begin anew.
    """
    places = distributions(search.space)
    with quietly():
        study = optuna.create_study(
            direction="maximize" if search.more_is_better else "minimize",
            sampler=_sampler(search, number, attempt),
        )
        study.add_trials([told(one, search, places) for one in earlier])
        study.add_trials([told(known[one], search, places) for one in sorted(known)])
        study.add_trials(
            [_under_way(pending[one], search.space, places) for one in sorted(pending)]
        )
        asked = study.ask(places)
    return {key: _value(dimension, asked.params[key]) for key, dimension in search.space.items()}


def _sampler(search: Search, number: int, attempt: int) -> optuna.samplers.BaseSampler:
    seed = _seed(search, number, attempt)
    if search.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if search.sampler == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=AT_RANDOM)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=AT_RANDOM, constant_liar=True)


def _seed(search: Search, number: int, attempt: int) -> int:
    text = f"{search.seed} {number} {attempt}"
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest())


def distributions(
    space: Mapping[str, RangeConfig | ChoicesConfig],
) -> dict[str, BaseDistribution]:
    """Return a space as Optuna knows it; a choice is known by its place."""
    return {key: _distribution(dimension) for key, dimension in space.items()}


def _distribution(dimension: RangeConfig | ChoicesConfig) -> BaseDistribution:
    if isinstance(dimension, ChoicesConfig):
        return CategoricalDistribution(range(len(dimension.choices)))
    high = (values_of(dimension) or [dimension.high])[-1]  # the last that the steps reach
    if dimension.whole:
        step = int(dimension.step or 1)
        return IntDistribution(int(dimension.low), int(high), log=dimension.log, step=step)
    return FloatDistribution(dimension.low, high, log=dimension.log, step=dimension.step)


def told(trial: Trial, search: Search, places: dict[str, BaseDistribution]) -> FrozenTrial:
    """Return a trial as Optuna knows it."""
    return create_trial(
        state=TrialState.FAIL if trial.failed else TrialState.COMPLETE,
        value=None if trial.failed else trial.metrics[search.metric],
        params=_params(trial.chosen, search.space),
        distributions=places,
    )


def misfit(trial: Trial, search: Search) -> str:
    """Say why a trial of another sweep is no whole point of this one's space; empty: it is one."""
    if trial.failed:
        return "failed"
    if trial.stopped is not None:
        return "ended early"
    if trial.like is not None:
        return "like another trial"
    if search.metric not in trial.metrics:
        return f"no {search.metric}"
    for key, dimension in search.space.items():
        if key not in trial.chosen:
            return f"no {key}"
        if not _lies_within(trial.chosen, key, dimension):
            return f"{key} outside the space"
    return ""


def _lies_within(chosen: Chosen, key: str, dimension: RangeConfig | ChoicesConfig) -> bool:
    try:
        create_trial(
            value=0.0,
            params=_params(chosen, {key: dimension}),
            distributions=distributions({key: dimension}),
        )
    except (ValueError, TypeError):  # no such choice, or outside the range
        return False
    return True


def _under_way(
    chosen: Chosen,
    space: Mapping[str, RangeConfig | ChoicesConfig],
    places: dict[str, BaseDistribution],
) -> FrozenTrial:
    params = _params(chosen, space)
    return create_trial(state=TrialState.RUNNING, params=params, distributions=places)


def _params(chosen: Chosen, space: Mapping[str, RangeConfig | ChoicesConfig]) -> dict[str, Any]:
    return {
        key: _place(dimension.choices, chosen[key])
        if isinstance(dimension, ChoicesConfig)
        else chosen[key]
        for key, dimension in space.items()
    }


def _place(choices: tuple[Any, ...], choice: Any) -> int:
    """Return where a choice stands; 1 and True, which are equal, are told apart."""
    return [json.dumps(one) for one in choices].index(json.dumps(choice))


def _value(dimension: RangeConfig | ChoicesConfig, param: Any) -> Any:
    if isinstance(dimension, ChoicesConfig):
        return dimension.choices[param]
    if dimension.step is not None and not dimension.whole:
        return round(param, 12)
    return param


@contextmanager
def quietly() -> Iterator[None]:
    """Keep Optuna from telling of each trial."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
