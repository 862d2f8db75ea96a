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
    "claim.aside": "a claim is made ready, and not in its place",
    "claim.emptied": "a claim is let go, and its empty folder is there still",
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
    "schema.written": "the schema file is written, and no look at the data is counted",
    "version.entered": "a version is in the ledger, and no gateway was told",
    "route.entered": "a route or an alias is in the ledger, and no gateway was told",
    "gateway.put": "a gateway's Serve has the news, and its processes may not have it yet",
    "repository.aside": "a repository of data is made ready, and has no name yet",
    "import.noted": "an import or a merge is noted, and has no branch yet",
    "import.branched": "an import or a merge has its branch, with nothing on it",
    "import.object": "the bytes of a shard are kept, and no branch knows of them",
    "import.staged": "a shard is put on its branch, and not committed",
    "import.committed": "an import is committed on its branch, and was not looked at",
    "import.merged": "an import or a merge is in its dataset, and its branch is there still",
    "label.kept": "a label of several is in the log, and others are not",
    "segment.sealed": "a segment of the log is sealed, and the open one is there still",
    "removal.noted": "segments are on record as removed by rule, and all of them are there still",
    "segment.removed": "a segment is removed by rule, and others on record are there still",
    "artifact.removed": "an artifact that nobody needs is removed, and others are not",
    "commit.recorded": "a commit of data is written, and its branch does not name it",
    "branch.moved": "a branch of data names its new commit, and that is not durable",
    "object.removed": "bytes of data that nothing holds are removed, and others are not",
    "gateway.entered": "a gateway told of itself, and has no Ray yet",
    "schema.brought up": "a ledger is brought up by one number of the schema, and not by the next",
    "review.decided": "a decision is in the ledger, and nobody was told",
    "effect.begun": "an attempt at an effect is counted, and its target was not asked",
    "effect.done": "an effect is carried out, and the ledger does not say so",
    "effect.recorded": "an effect is recorded, and its claim is not let go",
    "capture.recorded": "captured rows are data and in the ledger, and the outbox does not say so",
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
