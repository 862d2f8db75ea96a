"""What went wrong in training, as a sentence: the epoch, the batch, the worker."""

import traceback
from dataclasses import dataclass
from pathlib import Path

import torch

from raypipe.errors import StepFailed

PACKAGE = Path(__file__).parents[1]
FULL = ("can't allocate memory", "not enough memory", "out of memory")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where training was."""

    epoch: int
    batch: int
    """Counted from 1."""
    batches: int
    rank: int
    workers: int
    what: str = "batch"
    """Batches of what are counted."""

    def __str__(self) -> str:
        worker = f" on worker {self.rank} of {self.workers}" if self.workers > 1 else ""
        return f"epoch {self.epoch}, {self.what} {self.batch} of {self.batches}{worker}"


def as_failure(error: Exception, at: Place, shapes: str) -> StepFailed:
    """Return what a batch raised, with the frames of the user's own code, which else stay behind.

    `shapes` says what the batch was.
    """
    kind = type(error).__name__
    if is_out_of_memory(error):
        return StepFailed(
            f"training ran out of memory at {at} ({shapes}): {_first_line(error)}",
            kind=kind,
            hint="lower training.batch_size (and raise training.accumulate, which makes up for it)",
        )
    return StepFailed(
        f"training raised {kind} at {at} ({shapes}): {error}",
        kind=kind,
        frames=own_frames(error),
        hint="mend the model, or the recipe that makes these tensors, then run again",
    )


def is_out_of_memory(error: Exception) -> bool:
    """Say whether memory was asked for that there is none of, of the device's or the machine's."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in FULL)


def own_frames(error: Exception) -> str:
    """Return the frames outside raypipe; all of them if there are none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not Path(frame.filename).is_relative_to(PACKAGE)]
    return "".join(traceback.format_list(own or frames))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
