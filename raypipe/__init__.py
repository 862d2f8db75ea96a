"""raypipe: the whole life of a machine-learning model as one durable, cached cycle on Ray."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from raypipe.engine.context import current, log_metric, progress
from raypipe.engine.graph import review
from raypipe.engine.pipeline import Pipeline
from raypipe.engine.step import step

if TYPE_CHECKING:
    from raypipe.app.load import Cycle

__all__ = ["__version__", "current", "load", "log_metric", "pipeline", "progress", "review", "step"]
__version__ = "0.1.0"

P = ParamSpec("P")
R = TypeVar("R")


def pipeline(function: Callable[P, R]) -> Pipeline[P, R]:
    """Make a function that connects steps a pipeline."""
    return Pipeline(function, _run)


def load(path: str | Path, *sets: str) -> "Cycle":
    """Read a settings file; `.run()` and `.plan()` on what it gives do what the commands do."""
    from raypipe.app.load import Cycle

    return Cycle(path=Path(path), sets=sets)


def _run(
    made: Pipeline[..., Any], parameters: Mapping[str, Any], options: Mapping[str, Any]
) -> Any:
    from raypipe.app.load import run_pipeline

    return run_pipeline(made, parameters, options)
