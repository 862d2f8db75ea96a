"""The tuning stage, as a run calls it: trials are made and kept, and the best one is chosen."""

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from raypipe.config.data import SplitRule
from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.config.training import TrainingConfig
from raypipe.config.tuning import Written, with_chosen
from raypipe.engine.context import current
from raypipe.engine.step import step
from raypipe.errors import StepFailed, UsageError
from raypipe.pages.look import look_of
from raypipe.values.dataset import TensorFile
from raypipe.values.signature import Signature
from raypipe.values.tuning import Search, Trial, Tuned, ranked
from raypipe.values.words import amount

Transformed: TypeAlias = tuple[list[TensorFile], list[TensorFile], Signature]
"""Rows as a recipe makes them: the train split, the validation split, and what they are."""


@step(
    num_cpus=0,
    batch="numbers",
    kept="known",
    uncounted=("rows", "concurrent", "earlier"),
)
def trial(
    numbers: list[int],
    search: Search,
    training: TrainingConfig,
    recipe: PreprocessingConfig,
    label: str,
    rule: SplitRule,
    repository: str,
    rows: list[Transformed],
    concurrent: int,
    swept_on: list[Transformed] | None = None,
    earlier: tuple[Trial, ...] | None = None,
    known: tuple[tuple[int, Trial], ...] = (),
) -> list[Trial]:
    """Try settings: train with them on the train split, measure them on the validation split.

    `rows` are those of each recipe that may be chosen, in the order of `search.recipes`. A trial is
    found again by its number, by what is searched and by the recipe, whatever the rows are;
    `swept_on` is given where every change of the data should count. `known` are the trials of this
    sweep that are kept: those of now go by what they came to. `earlier` are those
    of other sweeps, which the sampler goes by too.
    """
    from raypipe.stages.tuning.sweeping import Sweep
    from raypipe.stages.tuning.trying import Rows, Work

    here = current()
    for train, validation, _ in rows:
        check_rows(train, validation)
    work = Work(
        written=Written(training=training, preprocessing=recipe),
        search=search,
        rows=tuple(
            Rows(signature=signature, train=tuple(train), validation=tuple(validation))
            for train, validation, signature in rows
        ),
        context=here,
    )
    sweep = Sweep(work=work, numbers=tuple(numbers), known=dict(known), earlier=earlier or ())
    sweep.tell()
    if here.runtime == "ray":
        from raypipe.stages.tuning.on_ray import sweep_on_ray

        sweep_on_ray(sweep, concurrent)
    else:
        sweep_here(sweep)
    return sweep.outcome()


def sweep_here(sweep: Any) -> None:
    """Try one choice after the other in this process: the plain version."""
    from raypipe.stages.tuning.trying import read_shares, try_settings

    work = sweep.work
    workers = work.written.training.workers
    if workers.count > 1:
        raise UsageError(
            f"training.workers.count is {workers.count}, but without Ray there is "
            "one worker, this process",
            hint="run with --runtime ray, or set training.workers.count to 1",
        )
    shares = read_shares(work.rows[0])
    while (asked := sweep.next()) is not None:
        rows = work.rows_for(asked.chosen)
        if shares.rows is not rows:
            shares = read_shares(rows)
        sweep.record(try_settings(asked, work, shares))


def check_rows(train: list[TensorFile], validation: list[TensorFile]) -> None:
    """Raise StepFailed unless both splits have rows."""
    for name, files in (("train", train), ("validation", validation)):
        if not sum(file.rows for file in files):
            raise StepFailed(
                f"the {name} split has no rows (shards: {len(files)}); a sweep needs some",
                hint="look at `data.split` (its shares, or its column), or import more data",
            )


@step(driver=True)
def choose(
    trials: list[Trial], training: TrainingConfig, recipe: PreprocessingConfig, search: Search
) -> Tuned:
    """Return the settings that did best."""
    best = next(iter(ranked(trials, search)), None)
    if best is None:
        raise StepFailed(
            f"none of {amount(len(trials), 'trial')} came to anything; the first said: "
            f"{trials[0].failed}",
            hint="mend what it says, or `--force trial` to try them again",
        )
    made = with_chosen(Written(training=training, preprocessing=recipe), best.chosen)
    return Tuned(
        settings=made.training,
        recipe=made.preprocessing,
        chosen=best.chosen,
        trial=best.number,
        metrics=best.metrics,
    )


@step(driver=True)
def recall(last: Tuned | None, training: TrainingConfig, recipe: PreprocessingConfig) -> Tuned:
    """Return the settings as written, with what the last sweep found in them, if there was one."""
    if last is None:
        return Tuned(settings=training, recipe=recipe, chosen={}, trial=None, metrics={})
    try:
        made = with_chosen(Written(training=training, preprocessing=recipe), last.chosen)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(
            f"what the last sweep found does not fit the settings any more: "
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
            hint="set tuning.when to recipe, so that the sweep is run again, or take tuning away",
        ) from None
    return replace(last, settings=made.training, recipe=made.preprocessing)


def sweep_look() -> str:
    """Return the digest of what a sweep is drawn with."""
    return look_of(Path(__file__).with_name("templates"))


@step(driver=True)
def report_sweep(trials: list[Trial], search: Search, look: str = "") -> str:
    """Draw what a sweep found: HTML that stands in the report of the run.

    `look` is the digest of what it is drawn with.
    """
    from raypipe.stages.tuning.report import render_part

    return render_part(trials, search)
