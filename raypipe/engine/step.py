"""Steps and pipelines as a user writes them.

Decorators that make functions into nodes of a graph.
"""

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from raypipe.errors import PipelineError

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """What a step needs to run, and what its key is made of."""

    num_cpus: float = 1
    """CPUs that Ray holds for it; 0 for a step that starts Ray work of its own."""
    num_gpus: float = 0
    memory: float | None = None
    """Bytes."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """Ray's custom resources."""
    retries: int = 0
    """Further attempts after a failure."""
    timeout: float | None = None
    """Seconds that an attempt may take; a step that runs no Python code is not interrupted."""
    cache: bool = True
    """False: run in every run, never reuse."""
    expires: float | None = None
    """Seconds after which a result is no longer reused."""
    depends_on: tuple[str, ...] = ()
    """What else the result depends on: `env:NAME` or `file:PATH` (relative to the project root)."""
    batch: str | None = None
    """Parameter that is a list of items.

    Each item is kept by itself, and one call makes all that are missing.
    """
    uncounted: tuple[str, ...] = ()
    """Parameters that are handed over, but do not count in the key."""
    driver: bool = False
    """Run in the driver's process: for steps too light for a cluster, or that read the ledger."""


class Builder(Protocol):
    """What a call of a step inside a pipeline function adds to."""

    def add_step(self, step: "Step[..., Any]", arguments: Mapping[str, Any]) -> Any: ...


building: ContextVar[Builder | None] = ContextVar("raypipe_building", default=None)
"""The graph under construction, while a pipeline function runs."""


class Step(Generic[P, R]):
    """A typed function with declared resources; the unit that is cached, retried and placed.

    Called inside a pipeline function it gives a reference; anywhere else it is the function.
    """

    def __init__(self, function: Callable[P, R], options: StepOptions) -> None:
        self.function = function
        self.options = options
        update_wrapper(self, function)
        self._check()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        builder = building.get()
        if builder is None:
            return self.function(*args, **kwargs)
        return cast(R, builder.add_step(self, self._bind(args, kwargs)))

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def target(self) -> str:
        """`module:qualname`, where `__main__` is named by its file."""
        return f"{module_of(self.function)}:{self.function.__qualname__}"

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's signature."""
        return inspect.signature(self.function)

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise PipelineError(f"step {self.name!r} was called wrongly: {error}") from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def _check(self) -> None:
        names = set(self.signature.parameters)
        kinds = {p.kind for p in self.signature.parameters.values()}
        if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            raise PipelineError(
                f"step {self.name!r} takes *args or **kwargs; name each parameter, "
                "so that each can be kept"
            )
        named = {*self.options.uncounted, *filter(None, [self.options.batch])}
        if unknown := sorted(named - names):
            raise PipelineError(
                f"step {self.name!r} has no parameter {unknown[0]!r}; "
                f"it has {', '.join(sorted(names))}"
            )
        for entry in self.options.depends_on:
            if entry.partition(":")[0] not in {"env", "file"}:
                raise PipelineError(
                    f"step {self.name!r}: depends_on {entry!r} must be env:NAME or file:PATH"
                )


main_module: list[str] = []
"""Name of the module that runs as `__main__`, relative to the project root.

Once the app knows it.
"""


def module_of(thing: Any) -> str:
    """Return the module of a function or class; for `__main__`, the name of its file."""
    module = str(thing.__module__)
    return main_module[-1] if module == "__main__" and main_module else module


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    num_cpus: float = 1,
    num_gpus: float = 0,
    memory: float | None = None,
    resources: Mapping[str, float] | None = None,
    retries: int = 0,
    timeout: float | None = None,
    cache: bool = True,
    expires: float | None = None,
    depends_on: tuple[str, ...] = (),
    batch: str | None = None,
    uncounted: tuple[str, ...] = (),
    driver: bool = False,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(function: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """Make a function a step; the options are those of `StepOptions`."""
    if options.get("resources", ...) is None:
        del options["resources"]
    chosen = StepOptions(**options)
    if function is not None:
        return Step(function, chosen)
    return lambda decorated: Step(decorated, chosen)
