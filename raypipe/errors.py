"""Every error that raypipe raises on purpose, the tree at its top.

RaypipeError                      a fault of raypipe's own (exit code 1)
├── UsageError                    what was asked makes no sense (2)
│   ├── SettingsError             a settings file, a key or a value
│   ├── CodeReferenceError        a setting names code that is not there
│   └── PipelineError             a step or pipeline is put together wrongly
├── ValidationStopped             the data breaks its schema (4)
├── NotBlessed                    the analysis found the candidate wanting (5)
├── Rejected                      a person said no (5)
├── StepFailed                    a step raised, or its output cannot be kept (6)
├── StoreError                    store, ledger, artifact or disk (7)
├── ClusterError                  Ray or a port (8)
├── EffectFailed                  what is to be done outside the ledger did not work (8)
│   └── EffectRefused             its target will not have it, however often it is asked
├── NotFound                      the thing asked for does not exist (9)
└── Interrupted                   stopped by a signal (130)

A message names the thing, the value, the bound and the next step. Catch the base broadly; act on
the leaves.
"""

from typing import Literal

Cause = Literal["raised", "timeout", "lost", "node", "said"]
"""What failed of a step: its own code, its time, its worker (out of memory, say), the node under
it; or raypipe says on purpose what another attempt would not change.
"""


class RaypipeError(Exception):
    """Something went wrong inside raypipe."""

    exit_code = 1

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or ""))
        self.hint = hint
        """What to do next, in one sentence; shown under the message."""

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), str(self), self.__dict__))


def _rebuild(kind: type[RaypipeError], message: str, state: dict[str, object]) -> RaypipeError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class UsageError(RaypipeError):
    """What was asked makes no sense."""

    exit_code = 2


class SettingsError(UsageError):
    """A settings file does not say what it should."""


class CodeReferenceError(UsageError):
    """A setting names code that is not there."""


class PipelineError(UsageError):
    """A step or a pipeline is put together wrongly."""


class ValidationStopped(RaypipeError):
    """The data breaks its schema."""

    exit_code = 4


class NotBlessed(RaypipeError):
    """The analysis found the candidate wanting."""

    exit_code = 5


class Rejected(RaypipeError):
    """A person said no."""

    exit_code = 5


class StepFailed(RaypipeError):
    """A step raised, or what it returned cannot be kept."""

    exit_code = 6

    def __init__(
        self,
        message: str = "",
        *,
        step: str = "",
        kind: str = "",
        frames: str = "",
        cause: Cause = "said",
        classes: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.step = step
        """Name of the step in the run."""
        self.kind = kind
        """Class of the exception that the step raised."""
        self.cause = cause
        """What failed: whether another attempt may go better follows from it."""
        self.classes = classes
        """Names of that class and of those above it, with their modules and without."""
        self.frames = frames
        """The traceback's frames in the step's own code, the engine's left out."""


class StoreError(RaypipeError):
    """A store, the ledger, an artifact or the disk failed."""

    exit_code = 7


class ClusterError(RaypipeError):
    """Ray or a port is not to be had."""

    exit_code = 8


class EffectFailed(RaypipeError):
    """What is to be done outside the ledger did not work."""

    exit_code = 8


class EffectRefused(EffectFailed):
    """The target of an effect will not have it, however often it is asked."""


class NotFound(RaypipeError):
    """The thing asked for does not exist."""

    exit_code = 9


class Interrupted(RaypipeError):
    """Stopped by a signal."""

    exit_code = 130
