"""One trial: train with some settings in this process, and say what that came to."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from raypipe.config.training import TrainingConfig
from raypipe.config.tuning import Written, with_chosen
from raypipe.engine.context import StepContext
from raypipe.engine.digest import digest_bytes
from raypipe.errors import ClusterError, RaypipeError, StoreError
from raypipe.stages.tuning.halving import falls_short
from raypipe.values.dataset import TensorFile
from raypipe.values.signature import Signature
from raypipe.values.tuning import Search, Trial

if TYPE_CHECKING:
    import torch

    from raypipe.model.loop import EpochEnd
    from raypipe.model.share import Share


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows as one recipe makes them."""

    signature: Signature
    train: tuple[TensorFile, ...]
    validation: tuple[TensorFile, ...]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What all trials of a sweep share."""

    written: Written
    search: Search
    rows: tuple[Rows, ...]
    """By each of the recipes of the search, or by the one that is written."""
    context: StepContext
    """Of the step, to report to."""

    def settings(self, chosen: Mapping[str, Any]) -> TrainingConfig:
        """Return what a trial trains with; ValidationError where it does not fit together."""
        made = with_chosen(self.written, chosen).training
        if self.search.epochs is None:
            return made
        return made.model_copy(update={"epochs": self.search.epochs})

    def rows_for(self, chosen: Mapping[str, Any]) -> Rows:
        """Return the rows that a trial trains on."""
        from raypipe.stages.tuning.suggesting import recipe_of

        return self.rows[recipe_of(self.search, chosen)] if self.search.recipes else self.rows[0]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A trial to be made."""

    number: int
    place: int
    """Among those that the step was asked for."""
    chosen: dict[str, Any]
    bars: dict[int, float] = field(default_factory=dict)
    """Epoch to what the metric must be by then for it to go on."""


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Rows that were read, for many trials."""

    rows: Rows
    train: "Share"
    validation: "Share"
    device: "torch.device"


def read_shares(rows: Rows, device: "torch.device | None" = None) -> Shares:
    """Read the rows that trials train on and are measured by."""
    import torch

    from raypipe.model.share import read_share

    where = device or torch.device("cpu")
    return Shares(
        rows=rows,
        train=read_share(rows.train, rows.signature).to(where),
        validation=read_share(rows.validation, rows.signature).to(where),
        device=where,
    )


def try_settings(asked: Asked, work: Work, shares: Shares) -> Trial:
    """Make a trial; what its settings bring down is its result, and does not end the sweep."""
    from raypipe.model.fit import measure

    tell = Teller(context=work.context, place=asked.place)

    def on_epoch(end: "EpochEnd") -> None:
        tell(end)
        if falls_short(end.state.history, asked.bars, work.search):
            raise Stopped(end.state.history)

    def train() -> tuple[dict[str, float], ...]:
        return measure(
            work.settings(asked.chosen),
            shares.rows.signature,
            shares.train,
            shares.validation,
            on_epoch=on_epoch,
            device=shares.device,
        )

    return concluded(asked, work, train)


def try_with_workers(asked: Asked, work: Work) -> Trial:
    """Make a trial whose training takes several workers, by Ray Train."""
    from raypipe.model.fit import Job
    from raypipe.model.on_ray import Work as Training
    from raypipe.model.on_ray import train_on_ray

    # What a killed sweep left of a trial of this number may be of other settings.
    of = digest_bytes(json.dumps(asked.chosen, sort_keys=True).encode())[:16]
    scratch = work.context.scratch / "trials" / f"{asked.number}-{of}"
    short = partial(falls_short, bars=asked.bars, search=work.search)

    def train() -> tuple[dict[str, float], ...]:
        settings = work.settings(asked.chosen)
        rows, folder = work.rows_for(asked.chosen), scratch / "checkpoints"
        job = Job(signature=rows.signature, settings=settings, folder=folder)
        tell = Teller(context=work.context, place=asked.place)
        training = Training(job=job, tell=tell, paths=work.context.paths, enough=short)
        train_on_ray(training, rows.train, rows.validation, scratch)
        state = job.checkpoints.latest()
        assert state is not None
        if short(state.history):
            raise Stopped(state.history)
        return state.history

    try:
        return concluded(asked, work, train)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class Stopped(Exception):
    """A trial is not among the best of those that came so far."""

    def __init__(self, history: tuple[dict[str, float], ...]) -> None:
        super().__init__(f"stopped after {len(history)} epochs")
        self.history = history


def concluded(asked: Asked, work: Work, train: Callable[[], tuple[dict[str, float], ...]]) -> Trial:
    """Return what training came to as a trial; `train` gives one row an epoch."""
    started = time.perf_counter()
    made = Trial(number=asked.number, chosen=asked.chosen, metrics={})
    try:
        made = _measured(made, train(), work.search.metric)
    except Stopped as stopped:
        measured = _measured(made, stopped.history, work.search.metric)
        made = replace(measured, stopped=len(stopped.history))
    except (StoreError, ClusterError):
        raise
    except Exception as error:
        made = replace(made, failed=_reason(error))
    return replace(made, seconds=time.perf_counter() - started)


def _measured(made: Trial, history: tuple[dict[str, float], ...], metric: str) -> Trial:
    """Go by the epoch whose weights training would keep: the one of the least validation loss."""
    from raypipe.model.schedule import best_epochs

    (best,) = best_epochs(history, 1)
    row = next(row for row in history if int(row["epoch"]) == best)
    metrics = {name: value for name, value in row.items() if name not in {"epoch", "train_loss"}}
    if metric in metrics:
        return replace(made, metrics=metrics, history=history)
    return replace(
        made,
        history=history,
        failed=f"the rows of the validation split give no {metric}: they are all of one class",
    )


def _reason(error: Exception) -> str:
    if isinstance(error, RaypipeError):
        return str(error)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no word of why'}"


@dataclass(frozen=True, kw_only=True)
class Teller:
    """Reports the epochs of one trial: a point on each of its curves."""

    context: StepContext
    place: int

    def __call__(self, end: "EpochEnd") -> None:
        """Report one epoch."""
        for name, value in end.metrics.items():
            self.context.log_metric(name, value, end.epoch, item=self.place)


def to_text(trial: Trial) -> str:
    """Write a trial as JSON, for a worker to hand over."""
    return json.dumps(asdict(trial))


def from_text(text: str) -> Trial:
    """Read back what `to_text` wrote."""
    data = json.loads(text)
    return Trial(**{**data, "history": tuple(data["history"])})
