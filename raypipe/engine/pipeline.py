"""A pipeline: a function that connects steps, and that can be planned and run."""

from collections.abc import Callable, Mapping
from functools import update_wrapper
from inspect import signature
from typing import Any, Generic, ParamSpec, TypeVar

from raypipe.engine.graph import Graph, build
from raypipe.errors import PipelineError

P = ParamSpec("P")
R = TypeVar("R")

Runner = Callable[["Pipeline[..., Any]", Mapping[str, Any], Mapping[str, Any]], Any]
"""Runs a pipeline on parameters, with options; given by the package's top, which knows how."""


class Pipeline(Generic[P, R]):
    """A graph of steps, made by calling steps inside a function.

    A pure function of its parameters.
    """

    def __init__(self, function: Callable[P, R], runner: Runner) -> None:
        self.function = function
        self._runner = runner
        update_wrapper(self, function)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function: plainly, or as a part of the pipeline that is being made."""
        return self.function(*args, **kwargs)

    def build(self, parameters: Mapping[str, Any]) -> Graph:
        """Return the graph for these parameters; PipelineError if they do not fit the function."""
        return build(self.function, self.name, self.bind(parameters))

    def bind(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with defaults filled in."""
        from difflib import get_close_matches

        known = signature(self.function).parameters
        for name in parameters:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = (
                    f"did you mean {close[0]!r}?"
                    if close
                    else f"it takes {', '.join(known) or 'none'}"
                )
                raise PipelineError(f"pipeline {self.name!r} has no parameter {name!r}", hint=hint)
        missing = [
            name for name, p in known.items() if p.default is p.empty and name not in parameters
        ]
        if missing:
            raise PipelineError(
                f"pipeline {self.name!r} needs {', '.join(map(repr, missing))}",
                hint=f"give it with --set {missing[0]}=VALUE",
            )
        defaults = {name: p.default for name, p in known.items() if p.default is not p.empty}
        return {**defaults, **parameters}

    def run(self, _options: Mapping[str, Any] | None = None, /, **parameters: Any) -> Any:
        """Run on these parameters; returns the `Outcome`, or raises what stopped the run.

        `_options` may name home, runtime ("inline" or "ray"), address, force and by.
        """
        return self._runner(self, parameters, _options or {})
