"""Named points between any two durable acts, at which a process can be made to die.

`RAYPIPE_FAULT=result.recorded` makes the process that comes to this point kill itself, as kill -9
would; `RAYPIPE_FAULT=result.recorded:3` when it comes there for the third time. What is run again
afterwards must end as if nothing had happened, and tests hold that for each point.
"""

import os
import signal

from raypipe.errors import UsageError

VARIABLE = "RAYPIPE_FAULT"
FAULT_POINTS = {
    "run.entered": "the run is in the ledger, and nothing was decided",
    "claim.taken": "a step's key is claimed, and its attempt is not in the ledger",
    "code.kept": "the run names its snapshot of the code, and the first step was not handed over",
    "literals.published": "what a step is given is published, and its attempt is not in the ledger",
    "attempt.entered": "an attempt is in the ledger, and was not begun",
    "artifact.aside": "an artifact is written aside, whole, and not in its place",
    "artifact.placed": "an artifact is in its place, and its folder is not durable",
    "output.published": "a step's output is published, and nobody was told",
    "item.told": "an item of a batch is handed in, and not recorded",
    "result.recorded": "a result is in the ledger, and the step scratch folder is there still",
    "scratch.dropped": "a step is done, and its claim is not let go",
    "review.opened": "a review is open, and the run does not say that it waits",
    "run.resting": "the run came to rest, and nothing of that is in the ledger",
    "steps.saved": "what became of the steps is in the ledger, and the run has no end",
    "run.ended": "the run has its end, and nobody was told",
    "version.entered": "a version is in the ledger, and no gateway was told",
}
"""Name to what was done, and what was not."""

_passed: dict[str, int] = {}


def fault_point(name: str) -> None:
    """Die here if that was asked for."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        return
    wanted, time = asked_for(asked)
    if wanted == name:
        _passed[name] = _passed.get(name, 0) + 1
        if _passed[name] == time:
            os.kill(os.getpid(), signal.SIGKILL)


def check_asked() -> None:
    """Raise UsageError if a fault is asked for that there is not."""
    if asked := os.environ.get(VARIABLE):
        asked_for(asked)


def asked_for(text: str) -> tuple[str, int]:
    """Return the point that is asked for, and the how manyth time; UsageError if it is none."""
    name, _, time = text.partition(":")
    if name not in FAULT_POINTS:
        raise UsageError(
            f"{VARIABLE} is {text!r}, and there is no such fault point",
            hint="`raypipe doctor --faults` lists them",
        )
    if time and not (time.isdecimal() and int(time) > 0):
        raise UsageError(
            f"{VARIABLE} is {text!r}; after the colon stands the how manyth time, from 1",
        )
    return name, int(time or 1)
