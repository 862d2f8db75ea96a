"""A sweep of 16 short trials, two at once: raypipe's beside bare Ray Tune's, in one run.

The same space, sampler, rows and training function; both on a Ray of two CPUs that is up already.
Seconds of CPU are those of all its processes, from the start of the sweep to its end. Beside them
raypipe's sweep of one trial, and of all of them one at a time: what two at once gain over these.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from bench_common import row

TRIALS, AT_ONCE, ROWS, EPOCHS, ROUNDS = 16, 2, 20_000, 3, 2
SWEEPS = {
    "raypipe": (TRIALS, AT_ONCE),
    "bare": (TRIALS, AT_ONCE),
    "in turn": (TRIALS, 1),
    "alone": (1, 1),
}
"""Trials, and how many at once."""
NAMES = {
    "raypipe": f"{TRIALS} trials, {AT_ONCE} at once: raypipe",
    "bare": f"{TRIALS} trials, {AT_ONCE} at once: bare Ray Tune with OptunaSearch",
    "in turn": f"{TRIALS} trials, one at a time: raypipe",
    "alone": "a sweep of one trial, wall",
}
SHARE = 0.85
"""Of twice what trials a second are where there is one, as many at least where two run at once."""
MARK = "RAYPIPE_BENCH"
SPACE = {
    "training.learning_rate": {"low": 0.0003, "high": 0.03, "log": True},
    "training.model.dropout": {"low": 0.0, "high": 0.5},
}


def main() -> None:
    """Run both by turns, each in a process of its own, and print."""
    figures: dict[str, list[dict[str, float]]] = {who: [] for who in SWEEPS}
    for _ in range(ROUNDS):
        for who, found in figures.items():
            with tempfile.TemporaryDirectory(prefix="rpb-", dir="/tmp") as folder:
                done = subprocess.run(
                    [sys.executable, __file__, who, folder],
                    check=True,
                    capture_output=True,
                    text=True,
                    env={**os.environ, MARK: f"{os.getpid()}", "SPT_NOENV": "1"},
                )
                found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    best = {who: min(found, key=lambda one: one["cpu"]) for who, found in figures.items()}
    for who, one in best.items():
        if SWEEPS[who][0] == TRIALS:
            row(f"{NAMES[who]} (CPU)", one["cpu"], None)
        row("  the same, wall" if SWEEPS[who][0] == TRIALS else NAMES[who], one["wall"], None)
    row("  raypipe / bare (CPU)", best["raypipe"]["cpu"] / best["bare"]["cpu"], 1.25, "")
    wall = best["raypipe"]["wall"]
    twice = AT_ONCE / best["alone"]["wall"]
    row("  2 x one trial's throughput / raypipe's", twice / (TRIALS / wall), 1 / SHARE, "")
    row(
        "  raypipe / half of one at a time (wall)",
        wall / best["in turn"]["wall"] * AT_ONCE,
        None,
        "",
    )


def measured(who: str, folder: Path) -> dict[str, float]:
    """Make one sweep on a Ray of its own; return what it took."""
    import ray

    parts = prepare(folder)
    ray.init(
        address="local",
        num_cpus=AT_ONCE,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        configure_logging=False,
        _temp_dir=str(folder / "t"),
    )
    ray.get(ray.remote(lambda: None).remote())  # its first worker is up
    watch = Watch()
    started = time.perf_counter()
    try:
        make = by_tune if who == "bare" else partial(by_raypipe, *SWEEPS[who])
        make(folder, **parts)
        wall = time.perf_counter() - started
        return {"cpu": watch.end(), "wall": wall}
    finally:
        ray.shutdown()


class Watch:
    """Adds up the CPU of all processes that carry the mark, those that end meanwhile too."""

    def __init__(self) -> None:
        self._before = self._now()
        self._last = dict(self._before)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> float:
        """Return the seconds since the start."""
        self._done.set()
        self._thread.join()
        self._last |= self._now()
        return sum(spent - self._before.get(pid, 0.0) for pid, spent in self._last.items())

    def _look(self) -> None:
        while not self._done.wait(0.1):
            self._last |= self._now()

    @staticmethod
    def _now() -> dict[str, float]:
        mark = f"{MARK}={os.environ[MARK]}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    ticks = int(fields[11]) + int(fields[12])
                    found[entry.name] = ticks / os.sysconf("SC_CLK_TCK")
            except OSError:
                continue
        return found


def prepare(folder: Path) -> dict[str, Any]:
    """Write rows as tensor files; return what both sweeps are given."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from raypipe.config.training import MlpConfig, TrainingConfig
    from raypipe.values.dataset import TensorFile
    from raypipe.values.signature import Label, Signature, TensorSpec

    random = np.random.default_rng(0)
    files = {}
    for name, rows in (("train", ROWS), ("validation", ROWS // 5)):
        dense = random.normal(size=(rows, 20)).astype(np.float32)
        late = (dense[:, 0] + random.normal(size=rows) > 0).astype(np.float32)
        column = pa.FixedSizeListArray.from_arrays(pa.array(dense.ravel()), 20)
        pq.write_table(pa.table({"dense": column, "late": late}), folder / f"{name}.parquet")
        files[name] = TensorFile(file=folder / f"{name}.parquet", rows=rows)
    signature = Signature(
        features=(),
        tensors=(TensorSpec(name="dense", dtype="float32", shape=(20,)),),
        label=Label(name="late", task="binary", classes=("no", "yes")),
    )
    settings = TrainingConfig(model=MlpConfig(hidden=(64, 64)), epochs=EPOCHS, patience=None)
    return {"files": files, "signature": signature, "settings": settings}


GROUP = {"kind": "numeric", "columns": ["x"]}
"""A recipe that nothing here is made with: the rows are tensors already."""


def by_raypipe(
    trials: int, at_once: int, folder: Path, files: dict, signature: Any, settings: Any
) -> None:
    """Make the sweep as the step does, its events and its context included."""
    from pydantic import TypeAdapter

    from raypipe.config.data import HashSplit
    from raypipe.config.preprocessing import PreprocessingConfig
    from raypipe.config.tuning import TuningConfig
    from raypipe.engine.context import StepContext, within
    from raypipe.stages.tuning import trial
    from raypipe.values.tuning import Search

    space = TypeAdapter(TuningConfig).validate_python({"space": SPACE}).space
    scratch = folder / "scratch"
    scratch.mkdir()
    context = StepContext(
        run="bench",
        step="trial",
        runtime="ray",
        home=folder,
        root=folder,
        paths=(),
        scratch=scratch,
        events=scratch / "events.jsonl",
    )
    with within(context):
        made = trial(
            list(range(trials)),
            Search(space=space, sampler="tpe", seed=0, metric="loss", epochs=None),
            settings,
            PreprocessingConfig.model_validate({"groups": [GROUP]}),
            "late",
            HashSplit(columns=("number",)),
            "bench",
            [([files["train"]], [files["validation"]], signature)],
            at_once,
        )
    assert len([one for one in made if not one.failed]) == trials


def by_tune(folder: Path, files: dict, signature: Any, settings: Any) -> None:
    """Make the same sweep by Ray Tune alone."""
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    space = {
        "learning_rate": tune.loguniform(0.0003, 0.03),
        "dropout": tune.uniform(0.0, 0.5),
    }
    given = {"files": files, "signature": signature, "settings": settings}
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, **given), {"CPU": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(metric="loss", mode="min", seed=0),
            metric="loss",
            mode="min",
            num_samples=TRIALS,
            max_concurrent_trials=AT_ONCE,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
    )
    results = tuner.fit()
    assert len(results) == TRIALS
    assert results.num_errors == 0


READ: dict = {}


def trainable(config: dict, files: dict, signature: Any, settings: Any) -> None:
    """Train with one choice of settings, on rows that the process has read once."""
    from ray import tune

    from raypipe.model.fit import measure
    from raypipe.model.share import read_share

    if not READ:
        READ.update({name: read_share([file], signature) for name, file in files.items()})
    model = settings.model.model_copy(update={"dropout": config["dropout"]})
    chosen = {"learning_rate": config["learning_rate"], "model": model}
    history = measure(
        settings.model_copy(update=chosen), signature, READ["train"], READ["validation"]
    )
    tune.report({"loss": min(one["loss"] for one in history)})


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measured(sys.argv[1], Path(sys.argv[2]))))
    else:
        main()
