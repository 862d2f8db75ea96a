"""Trainings that are killed, in processes forked from one that holds torch: each costs little."""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raypipe.model.fit import Job

SEEN = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")
"""What the interpreter tells of before it is done to a file."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A training by one worker, or by a group of torch's, gloo, one process each."""

    job: Job
    given: tuple[Any, ...]
    """Rows of the train split and of the validation split, of each worker."""
    sharded: bool = False
    dies: int | None = None
    """Batch, or act on a file of the checkpoints, before which the processes are killed."""
    after: float | None = None
    """Seconds after which they are killed."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of one worker."""

    killed: bool
    acts: int = 0
    """Batches, and acts on files, of a training that came to its end."""
    first: tuple[int, int] | None = None
    """Epoch, and batch in it, after which the first was told."""
    error: str = ""
    hint: str | None = None


@dataclass
class Trainings:
    """The process that forks."""

    process: "subprocess.Popen[bytes]"

    def run(self, job: Job, *given: Any, **told: Any) -> list[Ended]:
        """Train; return how each worker ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        pickle.dump(Attempt(job=job, given=given, **told), self.process.stdin)
        self.process.stdin.flush()
        ended: list[Ended] = pickle.load(self.process.stdout)
        return ended


@contextmanager
def trainings() -> Iterator[Trainings]:
    """Start the process that forks, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from tests.trainings import serve; serve()"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Trainings(process)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


@contextmanager
def in_memory() -> Iterator[Path]:
    """Return a folder on which a sync costs nothing, where there is one: a kill needs no disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        yield Path(name)


def kept(job: Job) -> dict[str, bytes]:
    """Every byte that a training left."""
    files = (path for path in job.folder.rglob("*") if path.is_file())
    return {path.relative_to(job.folder).as_posix(): path.read_bytes() for path in files}


class _Acts:
    """Counts what a training does, and kills its process before one of it."""

    def __init__(self, attempt: Attempt) -> None:
        self.count = 0
        self.first: tuple[int, int] | None = None
        self._dies = attempt.dies
        self._mark = str(attempt.job.folder)
        self._lock = threading.Lock()

    def batch(self, epoch: int, batches: int, of: int) -> None:
        self.first = self.first or (epoch, batches)
        self._act()

    def audit(self, event: str, given: tuple[Any, ...]) -> None:
        if event in SEEN and given and str(given[0]).startswith(self._mark):
            self._act()

    def _act(self) -> None:
        with self._lock:
            self.count += 1
            if self.count == self._dies:
                os.kill(os.getpid(), signal.SIGKILL)


def _train(attempt: Attempt, rank: int) -> Ended:
    import torch.distributed as dist

    from raypipe.errors import RaypipeError
    from raypipe.model.fit import fit
    from raypipe.model.world import Alone, Distributed, Sharded

    world = Alone()
    size = len(attempt.given)
    if size > 1:
        store = attempt.job.folder.parent / f"{attempt.job.folder.name}.store"
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
        world = Sharded() if attempt.sharded else Distributed()
    acts = _Acts(attempt)
    sys.addaudithook(acts.audit)
    try:
        fit(attempt.job, *attempt.given[rank], on_batch=acts.batch, world=world)
    except RaypipeError as error:
        return Ended(killed=False, error=str(error), hint=error.hint)
    return Ended(killed=False, acts=acts.count, first=acts.first)


def _fork(attempt: Attempt, rank: int) -> tuple[int, int]:
    """Return a worker's process, and where it says how it ended."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid:
        os.close(tell)
        return pid, told
    try:
        os.dup2(2, 1)
        os.write(tell, pickle.dumps(_train(attempt, rank)))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(0)


def _ended(attempt: Attempt) -> list[Ended]:
    store = attempt.job.folder.parent / f"{attempt.job.folder.name}.store"
    store.unlink(missing_ok=True)
    forked = [_fork(attempt, rank) for rank in range(len(attempt.given))]
    if attempt.after is not None:
        time.sleep(attempt.after)
        for pid, _ in forked:
            os.kill(pid, signal.SIGKILL)
    waiting = {pid for pid, _ in forked}
    killed = set()
    while waiting:
        pid, status = os.wait()
        waiting.remove(pid)
        if os.WIFSIGNALED(status):
            killed.add(pid)
            for other in waiting:  # they would wait for their peer
                os.kill(other, signal.SIGKILL)
    ends = []
    for pid, told in forked:
        with os.fdopen(told, "rb") as file:
            said = file.read()
        ends.append(pickle.loads(said) if said and pid not in killed else Ended(killed=True))
    return ends


def serve() -> None:
    """Fork for each attempt that is asked for."""

    import raypipe.model.families
    import raypipe.model.fit
    import raypipe.model.streaming.stream  # noqa: F401

    asked, answer = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    while True:
        try:
            attempt = pickle.load(asked)
        except EOFError:
            return
        pickle.dump(_ended(attempt), answer)
        answer.flush()
