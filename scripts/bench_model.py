"""Training beside the same loop in plain torch, in one run: from memory, by stream, by two workers.

Rows in the shape of the flights recipe (numbers, embeddings, a binary label), the built-in MLP.
What is compared is measured by turns, and the best turn of each counts. Two workers need two cores
that nobody else uses. The overhead is that of a training step with a loop of one's own that does
nothing, beside Ray Train alone with the same loop; and that of a real one beside what a person
writes who follows Ray Train's guide: a TorchTrainer that is given the same rows as datasets, and
one step of AdamW.

    python scripts/bench_model.py [transform] [loop] [workers] [overhead]
"""

import json
import math
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

MARK = "RAYPIPE_BENCH"
ROWS, BATCH, NUMBERS, ROUNDS = 524_288, 1024, 12, 2
TURNS, SHARED = 3, 16_384
"""Of one worker and of two, and the rows that they share."""
CARRIERS, AIRPORTS = 16, 105
PARTS = ("transform", "loop", "workers", "overhead")


def main() -> None:
    """Measure each part in a process of its own, and print."""
    for part in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory(prefix="rpm-", dir="/tmp") as folder:
            done = subprocess.run(
                [sys.executable, __file__, "--part", part, folder],
                check=False,
                capture_output=True,
                text=True,
                env={**os.environ, MARK: f"{os.getpid()}", "SPT_NOENV": "1"},
            )
            if done.returncode:
                sys.exit(done.stderr[-3000:])
            for what, measured, bound, unit in json.loads(done.stdout.strip().splitlines()[-1]):
                told(what, measured, bound, unit)


def told(what: str, measured: float, bound: list[Any] | None, unit: str) -> None:
    """Print a line of the table; a bound is `["at least", 0.95]` or `["at most", 0.5]`."""
    line = f"{what:<64} {measured:>12,.3f} {unit:<6}"
    if bound:
        side, limit = bound
        holds = measured >= limit if side == "at least" else measured <= limit
        line += f" {side} {limit:g}  {'holds' if holds else 'MISSED'}"
    print(line, flush=True)


Spent = tuple[float, float]
"""Seconds by the clock, and of CPU."""
Line = tuple[str, float, list[Any] | None, str]


# --- the loop ------------------------------------------------------------------------------------


def source_at(folder: Path, rows: int = ROWS, parts: int = 4) -> Any:
    """Write raw shards and fit the recipe to them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from raypipe.config.data import ColumnSplit
    from raypipe.config.preprocessing import PreprocessingConfig
    from raypipe.model.streaming.source import Source
    from raypipe.stages.data.profiling import profile_splits
    from raypipe.stages.preprocessing.fitting import fit_transform
    from raypipe.values.dataset import Shard
    from raypipe.values.schema import Column, Schema

    rule, draw = ColumnSplit(column="split"), np.random.default_rng(0)
    numbers = {f"n{place}": draw.standard_normal(rows) for place in range(NUMBERS)}
    carrier, airport = draw.integers(0, CARRIERS, rows), draw.integers(0, AIRPORTS, rows)
    late = numbers["n0"] + (carrier % 3) - 1 + draw.standard_normal(rows) > 0
    table = pa.table(
        {
            **numbers,
            "carrier": pa.array([f"c{one}" for one in carrier]),
            "airport": pa.array([f"a{one}" for one in airport]),
            "late": late,
            "split": np.where(np.arange(rows) % 32, "train", "validation"),
        }
    )
    shards = []
    for number in range(parts):
        file = folder / f"{number}.parquet"
        size = rows // parts
        pq.write_table(table.slice(number * size, size), file, row_group_size=size // 2)
        shards.append(
            Shard(path=file.name, object_id=f"blake2b:{number}", size=1, location=str(file))
        )
    recipe = PreprocessingConfig(
        groups=[
            {"kind": "numeric", "columns": list(numbers)},
            {"kind": "embedding", "columns": ["carrier", "airport"]},
        ]
    )
    texts = [Column(name=name, type="string") for name in ("carrier", "airport", "split")]
    doubles = [Column(name=name, type="double") for name in numbers]
    label = Column(name="late", type="bool", roles=("label",))
    schema = Schema(name="s", columns=(*doubles, *texts, label))
    profile = profile_splits(table, rule, ()).train
    transform = fit_transform(profile, recipe.groups, schema, "late", "binary")
    return Source(shards=tuple(shards), transform=transform, rule=rule)


def loop(folder: Path) -> list[Line]:
    """Return the rates of raypipe's loop and of plain torch's, over the same rows in memory."""
    import torch

    from raypipe.config.training import TrainingConfig
    from raypipe.model.build import build_module
    from raypipe.model.feed import TensorFeed
    from raypipe.model.loop import train_loop
    from raypipe.model.streaming.on_ray import read_by_data
    from raypipe.model.streaming.stream import Stream, stream_of
    from raypipe.model.world import Alone

    torch.set_num_threads(1)
    source = source_at(folder)
    stream = stream_of(source)
    share = source.share(stream.train.pieces, "train")
    held = source.share(stream.validation.pieces[:1], "validation")
    settings = TrainingConfig(epochs=2, batch_size=BATCH, patience=None)

    def by_raypipe(make: Callable[[], Any]) -> Spent:
        module = build_module(settings.model, source.signature)
        feed, marks = make(), []

        class Clock:
            def wants_state(self, epoch: int, batches: int, of: int) -> bool:
                if batches == of:
                    marks.append(now())
                return False

            def take(self, state: Any) -> None: ...

        train_loop(
            module, feed, held, settings, watcher=Clock(), on_epoch=lambda end: marks.append(now())
        )
        begun, ended = marks[1], marks[2]  # the second epoch, without the validation split
        return ended[0] - begun[0], ended[1] - begun[1]

    def in_memory() -> Any:
        return TensorFeed(share=share, batch_size=BATCH)

    def of(read: Any) -> Callable[[], Any]:
        made = Stream(source=source, train=stream.train, validation=stream.validation, read=read)
        return lambda: made.feed(settings, Alone(), torch.device("cpu"))

    start_ray(folder)
    who: dict[str, Callable[[], Spent]] = {
        "plain": lambda: plain_torch(build_module(settings.model, source.signature), share),
        "memory": lambda: by_raypipe(in_memory),
        "data": lambda: by_raypipe(of(partial(read_by_data, source, "train"))),
        "here": lambda: by_raypipe(of(None)),
    }
    spent: dict[str, list[Spent]] = {name: [] for name in who}
    for _ in range(ROUNDS):
        for name, run in who.items():
            spent[name].append(run())
    end_ray()
    best = {name: share.rows / min(wall for wall, _ in one) for name, one in spent.items()}
    cpu = {name: min(used for _, used in one) for name, one in spent.items()}
    return [
        ("plain torch, from memory, one worker", best["plain"], None, "rows/s"),
        ("raypipe's loop, from memory", best["memory"], None, "rows/s"),
        ("  over plain torch", best["memory"] / best["plain"], ["at least", 0.95], ""),
        ("  the same by CPU of this process", cpu["plain"] / cpu["memory"], None, ""),
        ("raypipe's loop, by stream (Ray Data)", best["data"], None, "rows/s"),
        ("  over plain torch", best["data"] / best["plain"], ["at least", 0.8], ""),
        ("raypipe's loop, by stream without Ray", best["here"], None, "rows/s"),
        ("  over plain torch", best["here"] / best["plain"], None, ""),
    ]


def plain_torch(module: Any, share: Any) -> Spent:
    """Train as a script of one's own would: the same module, optimizer, clip and schedule."""
    import torch
    from torch.nn import functional

    module.train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
    steps = -(-share.rows // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2 * steps)
    for _ in range(2):
        begun = now()
        order = torch.randperm(share.rows)
        for index in order.split(BATCH):
            batch = {name: tensor[index] for name, tensor in share.tensors.items()}
            optimizer.zero_grad(set_to_none=True)
            logits = module(batch)[:, 0]
            loss = functional.binary_cross_entropy_with_logits(logits, share.label[index])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    ended = now()
    return ended[0] - begun[0], ended[1] - begun[1]


def now() -> Spent:
    """Return the time, and the CPU that this process has used."""
    return time.perf_counter(), time.process_time()


# --- workers and overhead ------------------------------------------------------------------------


def files_at(folder: Path, rows: int) -> dict[str, Any]:
    """Write transformed rows, of both splits."""
    from raypipe.stages.preprocessing.shards import Work, transform_shard

    raw = folder / f"raw-{rows}"
    raw.mkdir()
    source = source_at(raw, rows)
    work = Work(transform=source.transform, rule=source.rule, folder=raw)
    made = [transform_shard(shard, work) for shard in source.shards]
    return {
        "train": [one.train for one in made],
        "validation": [one.validation for one in made],
        "signature": source.signature,
    }


def train_with(folder: Path, files: dict[str, Any], settings: Any) -> list[float]:
    """Run the training step on Ray; return when it began, each epoch's end, and its own end."""
    from raypipe.model.fit import Job
    from raypipe.model.on_ray import Work, train_on_ray

    place = Path(tempfile.mkdtemp(dir=folder))
    said = place / "ends"
    job = Job(signature=files["signature"], settings=settings, folder=place / "checkpoints")
    began = time.time()
    work = Work(job=job, tell=Said(said), paths=())
    train_on_ray(work, files["train"], files["validation"], place)
    return [began, *map(float, said.read_text().split()), time.time()]


class Said:
    """Writes down when an epoch ended."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, end: Any) -> None:
        with self.file.open("a") as file:
            file.write(f"{time.time()}\n")


def workers(folder: Path) -> list[Line]:
    """Return how much more two workers train on in a second, of a model that computes a lot.

    One and two take turns, and the best epoch of each counts: what else the machine does then
    would have to hit every epoch of one of them to show.
    """
    from raypipe.config.training import MlpConfig, TrainingConfig, WorkersConfig

    files = files_at(folder, SHARED)
    start_ray(folder)
    rates = {1: 0.0, 2: 0.0}
    for _ in range(TURNS):
        for count in rates:
            settings = TrainingConfig(
                model=MlpConfig(hidden=(1024, 1024, 512)),
                epochs=3,
                batch_size=1024,
                patience=None,
                workers=WorkersConfig(count=count),
            )
            ends = train_with(folder, files, settings)[1:-1]
            rates[count] = max(rates[count], *(SHARED / (b - a) for a, b in pairwise(ends)))
    end_ray()
    return [
        (
            f"one worker of Ray Train, compute-bound, best of {TURNS} turns",
            rates[1],
            None,
            "rows/s",
        ),
        ("two workers, by turns with it", rates[2], None, "rows/s"),
        ("  two over one", rates[2] / rates[1], ["at least", 1.6], ""),
    ]


def overhead(folder: Path) -> list[Line]:
    """Return what a training step takes from Ray Train's start to its stop, beside Ray Train alone.

    Like is compared with like: a loop of one's own (`training.loop`) that reports once and does
    nothing else, run as raypipe's step, with its rows, and by Ray's TorchTrainer, without rows.
    Beside them stands a real step, which has next to no rows.
    """
    import ray.data
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    from raypipe.config.training import MlpConfig, TrainingConfig
    from raypipe.model.build import build_module
    from raypipe.model.rows.on_ray import quietly
    from raypipe.model.weights import save_weights

    files = files_at(folder, 2048)
    settings = TrainingConfig(model=MlpConfig(hidden=(8,)), epochs=1, batch_size=4096)
    weights = folder / "weights"
    weights.mkdir()
    module = build_module(settings.model, files["signature"])
    save_weights(module.state_dict(), weights / "model.safetensors")
    own = settings.model_copy(
        update={"loop": "bench_model:only_reports", "loop_options": {"weights": str(weights)}}
    )
    start_ray(folder)

    def timed(trainer: Any, loop: Callable[..., None], **given: Any) -> float:
        began = time.time()
        with quietly():
            trainer(
                loop,
                scaling_config=ScalingConfig(num_workers=1),
                run_config=RunConfig(
                    name="bare",
                    storage_path=str(folder / "bare"),
                    failure_config=FailureConfig(controller_failure_limit=1),
                ),
                **{name: make() for name, make in given.items()},
            ).fit()
        shutil.rmtree(folder / "bare", ignore_errors=True)
        return time.time() - began

    def rows() -> dict[str, Any]:
        return {
            name: ray.data.read_parquet([str(file.file) for file in files[name]]).materialize()
            for name in ("train", "validation")
        }

    def ours() -> float:
        times = train_with(folder, files, settings)
        return times[-1] - times[0]

    config = {"train_loop_config": lambda: own.loop_options}
    who: dict[str, Callable[[], float]] = {
        "same": lambda: timed(TorchTrainer, only_reports, **config),
        "own": lambda: by_own_loop(folder, files, own),
        "same with rows": lambda: timed(TorchTrainer, only_reports, datasets=rows, **config),
        "nothing": lambda: timed(DataParallelTrainer, nothing),
        "guide": lambda: timed(TorchTrainer, as_the_guide_shows, datasets=rows),
        "ours": ours,
    }
    best = dict.fromkeys(who, math.inf)
    for turn in range(1 + ROUNDS):
        for name, run in who.items():
            best[name] = min(best[name], run()) if turn else (run(), math.inf)[1]
    end_ray()
    return [
        ("Ray Train alone, a loop that only reports, no rows", best["same"], None, "s"),
        ("the same loop as raypipe's training step, with rows", best["own"], None, "s"),
        ("  over Ray Train alone", best["own"] - best["same"], ["at most", 0.5], "s"),
        ("Ray Train alone, the same loop, the rows as datasets", best["same with rows"], None, "s"),
        ("Ray Train alone, a loop that does nothing, no torch", best["nothing"], None, "s"),
        ("Ray Train by its guide: torch, the rows, one step", best["guide"], None, "s"),
        ("a real training step of raypipe's, next to no rows", best["ours"], None, "s"),
        ("  over the guide's", best["ours"] - best["guide"], ["at most", 0.5], "s"),
        ("  over a loop that only reports", best["ours"] - best["same"], None, "s"),
        ("  over a loop that does nothing, no torch", best["ours"] - best["nothing"], None, "s"),
    ]


def by_own_loop(folder: Path, files: dict[str, Any], settings: Any) -> float:
    """Run the training step with a loop of one's own; return how long it took."""
    from raypipe.engine.context import StepContext
    from raypipe.model.fit import Job
    from raypipe.model.own_loop.on_ray import train_by_own_loop

    scratch = Path(tempfile.mkdtemp(dir=folder))
    job = Job(signature=files["signature"], settings=settings, folder=scratch / "checkpoints")
    context = StepContext(
        run="bench",
        step="train",
        runtime="ray",
        home=None,
        root=None,
        paths=(str(Path(__file__).parent),),
        scratch=scratch,
        events=None,
    )
    began = time.time()
    train_by_own_loop(job, files["train"], files["validation"], context)
    return time.time() - began


def only_reports(config: dict[str, Any]) -> None:
    """Report weights that are there, once."""
    import ray.train

    checkpoint = ray.train.Checkpoint.from_directory(config["weights"])
    ray.train.report({"loss": 0.0}, checkpoint=checkpoint)


def as_the_guide_shows() -> None:
    """Take the rows of both splits, and one step with a linear model."""
    import ray.train
    import ray.train.torch
    import torch

    model = ray.train.torch.prepare_model(torch.nn.Linear(NUMBERS, 1))
    optimizer = torch.optim.AdamW(model.parameters())
    for name in ("train", "validation"):
        for batch in ray.train.get_dataset_shard(name).iter_batches(batch_size=4096):
            found = model(torch.from_numpy(np.stack(batch["dense"]))[:, :NUMBERS])
            if name == "train":
                found.square().mean().backward()
                optimizer.step()


def nothing() -> None:
    """Do nothing."""


def start_ray(folder: Path) -> None:
    """Start a Ray of two CPUs of our own."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        configure_logging=False,
        _temp_dir=str(folder / "t"),
    )


def end_ray() -> None:
    """End it."""
    import ray

    ray.shutdown()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        token = Path(sys.argv[3]) / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
        from bench_transform import transform

        parts = {"transform": transform, "loop": loop, "workers": workers, "overhead": overhead}
        print(json.dumps(parts[sys.argv[2]](Path(sys.argv[3]))))
    else:
        main()
