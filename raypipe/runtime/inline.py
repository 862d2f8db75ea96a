"""Steps one after the other in this process: nothing to start, and a debugger works."""

from collections import deque
from collections.abc import Callable

from raypipe.engine.ports import CallOutcome, Runtime, StepCall


class InlineRuntime:
    """Runs each call when it is waited for."""

    room = 1
    """A call that waits would hold a claim that another driver could use."""

    def __init__(self, execute: Callable[[StepCall], CallOutcome]) -> None:
        self._execute = execute
        self._queue: deque[StepCall] = deque()

    def submit(self, call: StepCall) -> None:
        """Put a call at the end of the queue."""
        self._queue.append(call)

    def wait(self, seconds: float) -> list[CallOutcome]:
        """Run the first call of the queue, however long it takes."""
        return [self._execute(self._queue.popleft())] if self._queue else []

    def close(self) -> None:
        """Forget what was not run."""
        self._queue.clear()


def _fits(runtime: InlineRuntime) -> Runtime:
    return runtime
