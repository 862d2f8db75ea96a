"""Training by real Ray Train workers: every row once, the same bits as without Ray, no hang."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load

from raypipe.config.training import CustomModelConfig, MlpConfig, TrainingConfig, WorkersConfig
from raypipe.engine.context import StepContext, within
from raypipe.errors import ClusterError, CodeReferenceError, StepFailed
from raypipe.values.dataset import TensorFile
from raypipe.values.signature import Label, Signature, TensorSpec

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SIGNATURE = Signature(
    features=(),
    tensors=(TensorSpec(name="dense", dtype="float32", shape=(2,), columns=("temp", "wind")),),
    label=Label(name="late", task="binary", classes=("no", "yes")),
)
SETTINGS = TrainingConfig(
    model=MlpConfig(hidden=(8,), dropout=0.0), epochs=3, batch_size=64, patience=None, keep=1
)

MINE = """
import os, signal
from pathlib import Path
import torch

class Mine(torch.nn.Module):
    def __init__(self, marker):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)
        self.marker = Path(marker)
        self.calls = 0

    def forward(self, tensors):
        self.calls += self.training
        if self.calls == 6:
            self.happens()
        return self.linear(tensors["dense"])

class Dies(Mine):
    def happens(self):
        if not self.marker.exists():
            self.marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)

class Raises(Mine):
    def happens(self):
        with self.marker.open("a") as file:
            file.write("raised ")
        raise ValueError("there is no sixth time")

def dies(signature, marker):
    return Dies(marker)

def raises(signature, marker):
    return Raises(marker)
"""


@pytest.fixture(scope="module")
def cluster(ray_token: Path) -> Iterator[None]:
    """A Ray of two CPUs."""
    import ray

    temporary = tempfile.mkdtemp(prefix="rpt", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(ray_token))
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=temporary,
        )
    try:
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(temporary, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a training gave, read before its scratch folder goes."""

    history: tuple[dict[str, float], ...]
    weights: bytes
    curve: dict[int, float]


@dataclass(frozen=True)
class Training:
    """The stage over some files, as a step of a run would call it."""

    folder: Path

    def write(self, name: str, rows: int, start: int = 0) -> TensorFile:
        """Write rows that are numbered from `start` in their first value."""
        draw = np.random.default_rng(start)
        dense = draw.standard_normal((rows, 2)).astype(np.float32)
        table = pa.table(
            {
                "dense": pa.FixedSizeListArray.from_arrays(pa.array(dense.ravel()), 2),
                "late": pa.array((dense[:, 0] + dense[:, 1] > 0).astype(np.float32)),
                "row": pa.array(np.arange(start, start + rows)),
            }
        )
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        pq.write_table(table, folder / "train.parquet")
        return TensorFile(file=folder / "train.parquet", rows=rows)

    def files(self) -> dict[str, list[TensorFile]]:
        """Three shards whose rows divide by neither two nor three, one of them without any."""
        return {
            "train": [self.write("z", 100), self.write("y", 0), self.write("a", 97, 100)],
            "validation": [self.write("v", 50, 1000)],
        }

    def run(self, name: str, runtime: str, settings: TrainingConfig, files: Any = None) -> Outcome:
        """Run the stage, on Ray as a task that holds no CPU, as the engine would."""
        files = files or self.files()
        if runtime != "ray":
            return _run(self.folder, name, runtime, files, settings)
        import ray

        timeout = {k: v for k, v in os.environ.items() if k.startswith("RAY_TRAIN_")}
        task = ray.remote(num_cpus=0, max_retries=0, runtime_env={"env_vars": timeout})(_run)
        try:
            outcome: Outcome = ray.get(
                task.remote(self.folder, name, runtime, files, settings), timeout=240
            )
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        return outcome


def _run(folder: Path, name: str, runtime: Any, files: Any, settings: TrainingConfig) -> Outcome:
    from raypipe.stages.training import train

    if str(folder) not in sys.path:  # as the engine does with the project root
        sys.path.insert(0, str(folder))
    scratch = folder / name
    scratch.mkdir(exist_ok=True)
    context = StepContext(
        run="r",
        step="train",
        runtime=runtime,
        home=None,
        root=folder,
        paths=(str(folder),),
        scratch=scratch,
        events=scratch / "events.jsonl",
    )
    with within(context):
        trained = train(**files, signature=SIGNATURE, settings=settings)
    events = map(json.loads, (scratch / "events.jsonl").read_text().splitlines())
    return Outcome(
        history=trained.history,
        weights=trained.candidate.weights.read_bytes(),
        curve={e["step"]: e["value"] for e in events if e.get("name") == "loss"},
    )


@pytest.fixture
def training(tmp_path: Path, cluster: None) -> Training:
    """The stage on a Ray of two CPUs."""
    (tmp_path / "mine_on_ray.py").write_text(MINE)
    return Training(tmp_path)


def test_one_worker_gives_the_very_bits_of_the_plain_loop(training):
    on_ray = training.run("ray", "ray", SETTINGS)

    assert on_ray == training.run("plain", "inline", SETTINGS)
    assert on_ray.curve == {int(row["epoch"]): row["loss"] for row in on_ray.history}


@pytest.mark.long
@pytest.mark.parametrize("count", [2, 3])
def test_workers_that_share_the_rows_learn_what_one_does(training, count):
    """With all rows in each step, N workers do one worker's arithmetic but for its order."""
    settings = SETTINGS.model_copy(update={"batch_size": 1000})
    workers = settings.workers.model_copy(update={"count": count, "cpus": 2 / count})

    alone = training.run("alone", "inline", settings)
    together = training.run("ray", "ray", settings.model_copy(update={"workers": workers}))

    for one, other in zip(alone.history, together.history, strict=True):
        assert other == pytest.approx(one, rel=1e-4)


@pytest.mark.parametrize(
    "workers",
    [{"count": 2, "strategy": "fsdp"}, {"min": 1, "max": 4}],
    ids=["sharded", "elastic"],
)
def test_sharded_weights_and_as_many_workers_as_there_is_room_for_learn_the_same(training, workers):
    settings = SETTINGS.model_copy(update={"batch_size": 1000})
    together = settings.model_copy(update={"workers": WorkersConfig(**workers)})

    alone = training.run("alone", "inline", settings)
    found = training.run("ray", "ray", together)

    for one, other in zip(alone.history, found.history, strict=True):
        assert other == pytest.approx(one, rel=1e-4)
    assert sorted(load(found.weights)) == sorted(load(alone.weights))
    assert len(list((training.folder / "ray").glob("worker-*"))) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray Data warns of its own settings
@pytest.mark.parametrize("small", [0, 2**20], ids=["by tasks", "here"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_row_is_lost_and_none_comes_twice_and_the_order_is_that_of_the_files(
    training, count, small, monkeypatch
):
    from raypipe.model.rows.on_ray import cut, hold, quietly

    monkeypatch.setattr("raypipe.model.rows.on_ray.SMALL", small)

    with quietly():
        shares = cut(training.files()["train"], ["row"], WorkersConfig(count=count))
        rows = [
            [int(n) for b in share.iter_batches(batch_size=None) for n in b["row"]]
            for share in shares
        ]
        held = hold(training.files()["train"], ["row"], WorkersConfig(count=count))

    assert [row for share in rows for row in share] == list(range(197))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1
    assert [
        [row for table in share.read() for row in table["row"].to_pylist()] for share in held
    ] == rows


def test_handing_rows_to_the_workers_needs_no_torch_in_the_processes_of_ray_train_itself():
    script = (
        "import sys, pickle, raypipe.model.rows.on_ray as rows; "
        "pickle.dumps(rows.GivenShares({'train': [rows.Held(())]})); "
        "print('torch' in sys.modules)"
    )

    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert found.stdout.strip() == "False", found.stderr


def mine(training: Training, name: str) -> TrainingConfig:
    model = CustomModelConfig(
        build=f"mine_on_ray:{name}", options={"marker": str(training.folder / "marker")}
    )
    return SETTINGS.model_copy(update={"model": model})


def test_a_worker_that_is_killed_is_replaced_and_goes_on_to_the_same_bits(training):
    killed = training.run("killed", "ray", mine(training, "dies"))

    assert (training.folder / "marker").read_text() != str(os.getpid())
    assert killed == training.run("whole", "ray", mine(training, "dies"))


@pytest.mark.long
def test_a_model_that_raises_is_not_tried_again_and_its_own_frames_are_shown(training):
    with pytest.raises(StepFailed, match=r"raised ValueError .*there is no sixth time") as stopped:
        training.run("raises", "ray", mine(training, "raises"))

    assert (training.folder / "marker").read_text() == "raised "
    assert stopped.value.kind == "ValueError"
    assert "mine_on_ray.py" in stopped.value.frames


@pytest.mark.long
def test_a_worker_that_finds_one_class_only_says_what_the_plain_loop_says(training):
    files = training.files()
    few = {**files, "train": [training.write("one", 1)]}
    told = {}
    for runtime in ("inline", "ray"):
        with pytest.raises(StepFailed) as stopped:
            training.run(runtime, runtime, SETTINGS, files=few)
        told[runtime] = (str(stopped.value), stopped.value.hint, stopped.value.exit_code)

    assert told["ray"] == told["inline"]
    assert "has one value in the train split" in told["ray"][0]


def test_a_model_that_cannot_be_built_is_refused_before_workers_start(training):
    with pytest.raises(CodeReferenceError, match="nothing_of_that_name"):
        training.run("wrong", "ray", mine(training, "nothing_of_that_name"))

    assert not (training.folder / "wrong" / "ray_train").exists()


def test_more_workers_than_the_cluster_can_hold_are_an_error_and_no_wait(training, monkeypatch):
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "3")
    workers = SETTINGS.workers.model_copy(update={"count": 3, "cpus": 1})

    with pytest.raises(ClusterError, match="they need 3 × 1 CPU, the cluster has 2 CPU"):
        training.run("many", "ray", SETTINGS.model_copy(update={"workers": workers}))
