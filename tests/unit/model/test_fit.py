"""A training that is killed and started again ends with the very bits of one that was not."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from raypipe.config.loop import WithinEpochConfig
from raypipe.config.training import TrainingConfig
from raypipe.errors import StepFailed
from raypipe.model.checkpoint import STATE
from raypipe.model.fit import Job, check_labels, fit, measure
from raypipe.model.keeping import Keeper
from raypipe.model.world import Alone
from raypipe.values.signature import Label

SETTINGS = TrainingConfig(epochs=5, batch_size=32, patience=None, keep=2, learning_rate=0.01)

REGRESSION = TrainingConfig(task="regression", epochs=2, batch_size=32, patience=None)

KILLED = """
import os, pickle, signal, sys
from raypipe.model.fit import fit
job, train, validation, epoch, when = pickle.loads(sys.stdin.buffer.read())

def die(end):
    if end.epoch == epoch:
        os.kill(os.getpid(), signal.SIGKILL)

def die_at_batch(at, batches, of):
    if (at, batches) == (epoch, when):
        os.kill(os.getpid(), signal.SIGKILL)

if when == "writing":
    import raypipe.model.weights as weights
    sync = weights.sync
    def die_before_sync(path):
        if f"epoch-{epoch:04d}" in str(path) and path.name == "optimizer.safetensors":
            os.kill(os.getpid(), signal.SIGKILL)
        sync(path)
    weights.sync = die_before_sync
    die = lambda end: None
elif when == "within":
    import raypipe.model.weights as weights
    sync = weights.sync
    def die_within(path):
        if "step-0002-000004.tmp" in str(path) and path.name == "optimizer.safetensors":
            os.kill(os.getpid(), signal.SIGKILL)
        sync(path)
    weights.sync = die_within
    die = lambda end: None
if isinstance(when, int):
    fit(job, train, validation, on_batch=die_at_batch)
else:
    fit(job, train, validation, on_epoch=die)
"""


@pytest.fixture
def job(signature, tmp_path):
    return lambda name, **settings: Job(
        signature=signature,
        settings=SETTINGS.model_copy(update=settings),
        folder=tmp_path / name,
    )


@pytest.fixture
def shares(make_share):
    return make_share(200), make_share(100, seed=1)


def kept(job: Job) -> dict[str, bytes]:
    """Every byte that a finished training left."""
    files = (path for path in job.folder.rglob("*") if path.is_file())
    return {path.relative_to(job.folder).as_posix(): path.read_bytes() for path in files}


def kill_in_a_process_of_its_own(job: Job, shares, epoch: int, when: str | int) -> None:
    import pickle

    told = pickle.dumps((job, *shares, epoch, when))
    ended = subprocess.run(
        [sys.executable, "-c", KILLED],
        input=told,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        capture_output=True,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize(("epoch", "when"), [(2, "told"), (4, "writing")])
def test_killed_and_started_again_ends_with_the_same_bits(job, shares, epoch, when):
    whole, killed = job("whole"), job("killed")
    fit(whole, *shares)
    kill_in_a_process_of_its_own(killed, shares, epoch, when)
    seen = []

    fit(killed, *shares, on_epoch=lambda end: seen.append(end.epoch))

    assert seen == list(range(epoch + (when == "told"), 6))
    assert kept(killed) == kept(whole)


@pytest.mark.slow
@pytest.mark.parametrize("when", [2, 6, "within"])
def test_killed_within_an_epoch_it_ends_with_the_same_bits(job, shares, when):
    """With dropout, momenta and accumulation: all that a step leaves behind is taken up."""
    options = {"checkpoint": WithinEpochConfig(steps=2), "accumulate": 2, "batch_size": 16}
    whole, killed = job("whole", **options), job("killed", **options)
    fit(whole, *shares)
    kill_in_a_process_of_its_own(killed, shares, 2, when)
    seen = []

    fit(killed, *shares, on_batch=lambda epoch, batches, of: seen.append((epoch, batches)))

    last = 4 if when == "within" else when
    assert seen[0] in {(2, batches) for batches in range(2, last + 1, 2)}  # written or not yet
    assert when != "within" or seen[0] == (2, 4)
    assert kept(killed) == kept(whole)


def test_a_torn_checkpoint_within_an_epoch_falls_back_to_the_one_before(job, shares):
    options = {"checkpoint": WithinEpochConfig(steps=2), "epochs": 2}
    whole, torn = job("whole", **options), job("torn", **options)
    fit(whole, *shares)

    class Stopped(Exception):
        pass

    def stop(epoch, batches, of):
        if (epoch, batches) == (2, 5):
            raise Stopped

    with pytest.raises(Stopped):
        fit(torn, *shares, on_batch=stop)
    newest = torn.folder / "step-0002-000004"
    assert newest.is_dir()
    (newest / "within.safetensors").write_bytes(b"torn")
    seen = []

    fit(torn, *shares, on_batch=lambda epoch, batches, of: seen.append((epoch, batches)))

    assert seen[0] == (2, 3)
    assert kept(torn) == kept(whole)


def test_a_state_within_an_epoch_is_for_as_many_workers_as_made_it(job, shares):
    begun = job("begun", checkpoint=WithinEpochConfig(steps=3), epochs=1)
    fit(begun, *shares)
    shutil.rmtree(begun.folder / "epoch-0001")

    assert begun.checkpoints.latest(workers=1).within.batches == 6
    assert begun.checkpoints.latest(workers=2) is None


def test_another_number_of_workers_goes_on_from_the_last_end_of_an_epoch(job, shares):
    begun = job("begun", checkpoint=WithinEpochConfig(steps=1), epochs=2)

    class Stopped(Exception):
        pass

    def stop(epoch, batches, of):
        if (epoch, batches) == (2, 5):
            raise Stopped

    with pytest.raises(Stopped):
        fit(begun, *shares, on_batch=stop)

    assert begun.checkpoints.latest(workers=1).within.batches == 4
    state = begun.checkpoints.latest(workers=2)
    assert (state.epoch, state.within) == (1, None)


def test_a_disk_that_takes_no_checkpoint_ends_training_with_its_words(job, shares, monkeypatch):
    import raypipe.model.checkpoint as checkpoint

    def full(state, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_weights", full)

    with pytest.raises(OSError, match="No space left"):
        fit(job("full", checkpoint=WithinEpochConfig(steps=1)), *shares)


def test_by_time_a_state_is_kept_when_it_is_due(job, shares):
    timed = job("timed", checkpoint=WithinEpochConfig(seconds=10.0), epochs=1)
    ticks = iter(range(0, 1000, 4))
    keeper = Keeper(
        timed.checkpoints, timed.settings, Alone(), torch.device("cpu"), clock=lambda: next(ticks)
    )

    with keeper:
        due = [keeper.wants_state(1, batches, 9) for batches in range(1, 9)]

    assert due == [False, False, True, False, False, True, False, False]


def test_a_torn_last_checkpoint_costs_one_epoch_and_no_bit(job, shares):
    whole, torn = job("whole"), job("torn")
    fit(whole, *shares)
    fit(torn, *shares)
    (torn.folder / "epoch-0005" / STATE).write_text("{")
    seen = []

    fit(torn, *shares, on_epoch=lambda end: seen.append(end.epoch))

    assert seen == [5]
    assert kept(torn) == kept(whole)


def test_a_finished_training_says_so_and_an_unfinished_one_does_not(job, shares):
    short = job("same", epochs=2)
    assert short.finished() is None
    fit(short, *shares)

    assert short.finished().epoch == 2
    assert job("same", epochs=3).finished() is None


def test_the_best_epochs_are_those_of_the_history(job, shares):
    trained = job("best")
    fit(trained, *shares)

    history = trained.finished().history
    best = trained.checkpoints.best(history)

    losses = sorted(history, key=lambda row: row["loss"])
    assert [epoch for epoch, _ in best] == [row["epoch"] for row in losses[:2]]
    assert all(load_file(weights) for _, weights in best)


def test_the_process_keeps_its_number_of_threads(job, shares):
    before = torch.get_num_threads()

    fit(job("threads", epochs=1), *shares)

    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("task", "label", "said"),
    [
        ("binary", [], "train split has no rows"),
        ("binary", [1.0, 1.0], r"'late' has one value in the train split \(1, in all 2 rows\)"),
        ("multiclass", [2, 2, 2], r"one value in the train split \(2, in all 3 rows\)"),
        ("multiclass", [0, 3], "goes from 0 to 3; the signature has 3 classes"),
    ],
)
def test_labels_that_nothing_can_be_learnt_from_are_refused(signature, task, label, said):
    named = Label(name="late", task=task, classes=("a", "b", "c")[: 3 if task != "binary" else 2])

    with pytest.raises(StepFailed, match=said) as stopped:
        check_labels(torch.tensor(label), replace(signature, label=named))

    assert stopped.value.exit_code == 6


def test_numbers_as_labels_may_all_be_alike(signature):
    number = replace(signature, label=Label(name="price", task="regression"))

    check_labels(torch.tensor([3.0, 3.0]), number)


def test_metrics_are_of_the_label_as_it_is_and_the_loss_of_what_is_learned(signature, make_share):
    plain = replace(signature, label=Label(name="y", task="regression"))
    scaled = replace(signature, label=Label(name="y", task="regression", center=50.0, scale=10.0))
    shares = make_share(100), make_share(50, seed=1)
    learned = measure(REGRESSION, plain, *shares)
    told = measure(REGRESSION, scaled, *shares)
    for one, other in zip(learned, told, strict=True):
        assert other["loss"] == one["loss"]
        assert other["rmse"] == pytest.approx(10 * one["rmse"], rel=1e-5)
        assert other["r2"] == pytest.approx(one["r2"], rel=1e-4)


def test_a_row_counts_as_much_as_it_weighs(signature, make_share):
    settings = REGRESSION.model_copy(update={"task": "binary"})
    train, validation = make_share(100), make_share(50, seed=1)
    plain = measure(settings, signature, train, validation)
    assert measure(settings, signature, replace(train, weight=torch.ones(100)), validation) == plain
    wrong = train.label.clone()
    wrong[::2] = 1 - wrong[::2]
    spoiled = replace(train, label=wrong)
    half = torch.zeros(100)
    half[1::2] = 2.0
    weighed = measure(settings, signature, replace(spoiled, weight=half), validation)
    assert weighed[-1]["loss"] < measure(settings, signature, spoiled, validation)[-1]["loss"]
