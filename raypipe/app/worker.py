"""One call of a step, with the codec and the artifacts of its home: what every runtime runs."""

import socket
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from raypipe.engine.ports import CallOutcome, StepCall
from raypipe.engine.step import main_module
from raypipe.errors import ClusterError
from raypipe.runtime.execute import execute
from raypipe.runtime.passing import Wrap
from raypipe.store.artifacts import artifacts_of_run
from raypipe.store.content import digest_path
from raypipe.values.codec import TreeCodec

if TYPE_CHECKING:
    from raypipe.store.artifacts import Store


def run_inline(call: StepCall) -> CallOutcome:
    """Run a call in this process."""
    return execute(call, _codec(), _artifacts(call.home, call.run), "inline")


def run_on_ray(call: StepCall, wrap: Wrap = lambda artifacts: artifacts) -> CallOutcome:
    """Run a call in a Ray worker; ClusterError if it does not see what the driver made for it."""
    if not call.scratch.is_dir():
        return CallOutcome(id=call.id, error=_no_home(call))
    return execute(call, _codec(), wrap(_artifacts(call.home, call.run)), "ray")


def _no_home(call: StepCall) -> ClusterError:
    return ClusterError(
        f"step {call.step!r} was sent to node {socket.gethostname()!r}, which does not see the "
        f"home {str(call.home)!r}",
        hint="put the home where each node sees it under the same path, and set runtime.shared",
    )


@lru_cache(1)
def _artifacts(home: Path, run: str) -> "Store":
    return artifacts_of_run(home, run)


@cache
def _codec() -> TreeCodec:
    return TreeCodec(digest_path, main_module[-1] if main_module else None)
