"""A sweep by Ray Tune: several trials at once, each in a process that is used again."""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import ray.util
from ray import tune
from ray.tune.search import Searcher

from raypipe.config.training import WorkersConfig
from raypipe.errors import ClusterError
from raypipe.runtime.imports import importing_from
from raypipe.stages.tuning.sweeping import Sweep
from raypipe.stages.tuning.trying import (
    Asked,
    Rows,
    Shares,
    Work,
    from_text,
    read_shares,
    to_text,
    try_settings,
    try_with_workers,
)
from raypipe.values.tuning import Trial

SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a model of the user's may read files of the project
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # nothing is taken up from Tune's own snapshots
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}


PATIENCE = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"
"""Variable with the seconds that Ray Train waits for nodes. A cluster that starts them when they
are asked for sets it, and a sweep waits as long for the room of its first trial."""
GRACE = 60.0
"""Seconds that the room of the other trials may come later."""
CONDUCTOR = {"memory": 1}
"""What a trial holds that only starts workers, which hold the CPUs: next to nothing, and no CPU,
so that as many trials fit as their workers do. (A request for nothing at all is refused.)"""


def each(workers: WorkersConfig) -> dict[str, float]:
    """Return what one worker of a trial needs."""
    return {"CPU": workers.cpus, **({"GPU": 1} if workers.gpu else {})}


def sweep_on_ray(sweep: Sweep, concurrent: int) -> None:
    """Make the trials of a sweep, so many at once as there is room for."""
    workers = sweep.work.written.training.workers
    if not room_for(workers):
        await_room(workers, concurrent)
    at_once = min(concurrent, room_for(workers))
    if not at_once:
        raise _no_room(workers)
    resources = each(workers) if workers.count == 1 else CONDUCTOR
    storage = sweep.work.context.scratch / "ray_tune"
    shutil.rmtree(storage, ignore_errors=True)
    asking = Asking(sweep)
    with _quietly():
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(_try, work=sweep.work), resources),
            tune_config=tune.TuneConfig(
                search_alg=asking,
                num_samples=len(sweep.numbers),
                max_concurrent_trials=at_once,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=str(storage),
                verbose=0,
                # What a trial raises is its result: it is made anew only if its process is lost.
                failure_config=tune.FailureConfig(max_failures=1),
            ),
        )
        try:
            tuner.fit()
        except (tune.TuneError, ray.exceptions.RayError) as error:
            raise asking.broken or ClusterError(
                f"Ray Tune broke off: {type(error).__name__}: {_last_line(error)}",
                hint="run again: the trials that ended are kept",
            ) from error
        finally:
            shutil.rmtree(storage, ignore_errors=True)
    if asking.broken is not None:
        raise asking.broken
    if sweep.left:
        raise ClusterError(
            f"Ray Tune ended with {sweep.left} of {len(sweep.numbers)} trials not begun",
            hint="run again: the trials that ended are kept",
        )


class Asking(Searcher):  # type: ignore[misc]
    """Gives Tune one trial after the other, and takes in what each came to."""

    def __init__(self, sweep: Sweep) -> None:
        super().__init__()
        self.sweep = sweep
        self.broken: Exception | None = None
        """What ended the sweep, rather than a trial."""
        self._asked: dict[str, Asked] = {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial; None while it depends on one under way."""
        if self.broken is not None:
            return Searcher.FINISHED
        asked = self.sweep.next()
        if asked is None:
            return None if self.sweep.left else Searcher.FINISHED
        self._asked[trial_id] = asked
        return {
            "number": asked.number,
            "place": asked.place,
            "chosen": asked.chosen,
            "bars": [[epoch, bar] for epoch, bar in asked.bars.items()],
        }

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Take a trial in; one without a result lost its process."""
        asked = self._asked.pop(trial_id)
        told = result or {}
        if "outcome" in told:
            self.sweep.record(from_text(told["outcome"]))
        elif "broken" in told:
            self.broken = told["broken"]
        else:
            lost = "it lost its process twice: look at the machine's memory"
            self.sweep.record(
                Trial(number=asked.number, chosen=asked.chosen, metrics={}, failed=lost)
            )

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: trials are kept by the ledger, and no pickle is read."""

    def restore(self, checkpoint_path: str) -> None:
        """Take nothing up."""


_read: dict[tuple[Path, ...], Shares] = {}
"""The rows that this process has read; it makes one trial after the other."""


def _try(config: dict[str, Any], work: Work) -> None:
    """Make a trial in a process of Tune's."""
    asked = Asked(
        number=config["number"],
        place=config["place"],
        chosen=dict(config["chosen"]),
        bars=dict(config["bars"]),
    )
    try:
        with importing_from(work.context.paths):
            made = _make(asked, work)
    except Exception as error:
        tune.report({"broken": error})
        return
    tune.report({"outcome": to_text(made)})


def _make(asked: Asked, work: Work) -> Trial:
    workers = work.written.training.workers
    if workers.count > 1:
        return try_with_workers(asked, work)
    return try_settings(asked, work, _shares(work.rows_for(asked.chosen), gpu=workers.gpu))


def _shares(rows: Rows, *, gpu: bool) -> Shares:
    import torch  # in the processes of trials alone: the one that asks has no use for it

    files = tuple(file.file for file in (*rows.train, *rows.validation))
    if files not in _read:
        _read.clear()
        _read[files] = read_shares(rows, torch.device("cuda" if gpu else "cpu"))
    return _read[files]


def room_for(workers: WorkersConfig) -> int:
    """Return for how many trials the cluster has room; a worker needs its CPUs on one node."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    places = sum(
        int(min(node.get(name, 0) / amount for name, amount in each(workers).items()) + 1e-9)
        for node in nodes
    )
    return places // workers.count


def await_room(workers: WorkersConfig, trials: int) -> None:
    """Ask for the room of so many trials, and wait for it if the cluster may start nodes."""
    patience = float(os.environ.get(PATIENCE, 0))
    if not patience:
        return
    trial = [each(workers)] * workers.count
    first, *others = groups = [ray.util.placement_group(trial) for _ in range(trials)]
    try:
        if first.wait(patience):
            deadline = time.monotonic() + GRACE
            for other in others:
                other.wait(max(0, deadline - time.monotonic()))
    finally:
        for group in groups:
            ray.util.remove_placement_group(group)


def _no_room(workers: WorkersConfig) -> ClusterError:
    has = ray.cluster_resources()
    gpu, gpus = (" and a GPU each", f", {has.get('GPU', 0):g} GPU") if workers.gpu else ("", "")
    return ClusterError(
        f"a trial needs {workers.count} × {workers.cpus:g} CPU{gpu}, and the cluster has "
        f"{has.get('CPU', 0):g} CPU{gpus}: not one trial has room",
        hint="lower training.workers.count or .cpus, or give --address of a larger cluster",
    )


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no word of why"


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep Tune from printing, writing logs and taking signals; then put all back."""
    added = [name for name in SETTINGS if name not in os.environ]
    os.environ.update({name: SETTINGS[name] for name in added})
    logger = logging.getLogger("ray.tune")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        for name in added:
            os.environ.pop(name, None)
