"""What runs the steps of a run: this process, or Ray."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from raypipe.app import worker
from raypipe.engine.ports import Runtime
from raypipe.runtime.inline import InlineRuntime

if TYPE_CHECKING:
    from raypipe.runtime.on_ray import RayOptions


def driver_runtime() -> Runtime:
    """Return the runtime of steps that belong in this process."""
    return InlineRuntime(worker.run_inline)


def make_runtime(kind: str, options: "Callable[[], RayOptions]") -> Runtime:
    """Return the runtime that steps run on; Ray is started by the first step that needs it."""
    if kind == "inline":
        return InlineRuntime(worker.run_inline)
    from raypipe.runtime.on_ray import RayRuntime

    return RayRuntime(worker.run_on_ray, options())
