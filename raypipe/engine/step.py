"""Steps and pipelines as a user writes them.

Decorators that make functions into nodes of a graph.
"""

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cached_property, update_wrapper
from numbers import Real
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from raypipe.errors import PipelineError

MOST = 1e18
"""Most of anything that a step may ask for."""
LONGEST = 1e9
"""Seconds that a system's timers count."""

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
    """Further attempts after a failure; a node that is lost is made up for twice all the same."""
    retry_on: tuple[str | type[BaseException], ...] = ()
    """Which exceptions of the step's own code are tried again: classes, or their names.

    Those below them count; a timeout is a `TimeoutError`. Without any: all of them.
    """
    timeout: float | None = None
    """Seconds that an attempt may take; what it started ends with it."""
    cache: bool = True
    """False: run in every run, never reuse."""
    expires: float | None = None
    """Seconds after which a result is no longer reused."""
    depends_on: tuple[str, ...] = ()
    """What else the result depends on: `env:NAME` or `file:PATH` (relative to the project root)."""
    batch: str | None = None
    """Parameter that is a list of items.

    Each item is kept by itself, and one call makes all that are missing. What it hands in on its
    way (`current().hand_in`) is recorded at once.
    """
    kept: str | None = None
    """Parameter of a batched step that is told what is kept of the other items.

    A list of (item, value), in the order of the items; it does not count in the key, and a
    pipeline does not give it.
    """
    uncounted: tuple[str, ...] = ()
    """Parameters that are handed over, but do not count in the key."""
    driver: bool = False
    """Run in the driver's process: for steps too light for a cluster, or that read the ledger."""
    at_once: int | None = None
    """Most calls of it, or items of one `.map()`, at work at once in a run."""

    def faults(self) -> list[str]:
        """Return what is wrong with the options, each in a few words."""
        if not isinstance(self.resources, Mapping):
            return [f"resources must be a mapping, such as {{'name': 1}}, not {self.resources!r}"]
        amounts = {
            name: getattr(self, name)
            for name in ("num_cpus", "num_gpus", "memory", "retries", "timeout", "expires")
        }
        amounts |= {f"resources[{name!r}]": amount for name, amount in self.resources.items()}
        found = [
            f"{name} must {bound}, it is {amount!r}"
            for name, amount in amounts.items()
            if amount is not None and (bound := _bound_broken(name, amount))
        ]
        found += [
            f"{name} must be a tuple: ({value!r},)"
            for name in ("depends_on", "uncounted", "retry_on")
            if isinstance(value := getattr(self, name), str | type)
        ]
        if found:
            return found
        found += [
            f"depends_on {entry!r} must be env:NAME or file:PATH"
            for entry in self.depends_on
            if not isinstance(entry, str) or not re.match(r"(env|file):.", entry)
        ]
        if self.at_once is not None and (type(self.at_once) is not int or self.at_once < 1):
            found.append(f"at_once must be a whole number above 0, it is {self.at_once!r}")
        found += [
            f"retry_on {entry!r} must be an exception's class, or the name of one"
            for entry in self.retry_on
            if not isinstance(entry, str) and not _is_exception(entry)
        ]
        if self.batch in self.uncounted:
            found.append(f"{self.batch!r} is what each item is found by: it must be counted")
        if self.kept is not None and self.batch in {None, self.kept}:
            found.append(
                f"kept={self.kept!r} is told of the other items of a batch: it needs batch"
            )
        return found


_DEFAULTS = StepOptions()
_VARIADIC = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})


def _bound_broken(name: str, amount: Any) -> str | None:
    """Return what an option that counts something must be, if it is not."""
    if not _is_number(amount):
        return "be a number"
    if not amount >= 0:
        return "not be negative"
    if name == "retries" and amount != int(min(amount, MOST)):
        return f"be a whole number of at most {MOST:g}"
    if name == "timeout" and not 0 < amount <= LONGEST:
        return f"be above 0 and at most {LONGEST:g} seconds"
    return None if amount <= MOST else f"be at most {MOST:g}"


def _is_number(thing: Any) -> bool:
    return isinstance(thing, Real) and not isinstance(thing, bool)


def _is_exception(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseException)


class Builder(Protocol):
    """What a call of a step inside a pipeline function adds to."""

    def add_step(self, step: "Step[..., Any]", arguments: Mapping[str, Any]) -> Any: ...
    def add_map(self, step: "Step[..., Any]", over: str, arguments: Mapping[str, Any]) -> Any: ...


building: ContextVar[Builder | None] = ContextVar("raypipe_building", default=None)
"""The graph under construction, while a pipeline function runs."""


class Step(Generic[P, R]):
    """A typed function with declared resources; the unit that is cached, retried and placed.

    Called inside a pipeline function it gives a reference; anywhere else it is the function.
    """

    def __init__(
        self, function: Callable[P, R], options: StepOptions, *, condition: Any = True
    ) -> None:
        self.function = function
        self.options = options
        self.condition = condition
        """Where it is called, what says whether it runs: True, False, or the output of a step."""
        update_wrapper(self, function)
        self._check()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        builder = building.get()
        if builder is None:
            return self.function(*args, **kwargs)
        return cast(R, builder.add_step(self, self._bind(args, kwargs)))

    def map(self, items: Any, /, **shared: Any) -> list[R]:
        """Call it for each item of a list, which may be the output of a step; gives the outputs.

        The item is the first parameter that is not in `shared`. Each item is a step of its own,
        `f[0]`, `f[1]`, …, kept by itself; `at_once` bounds how many are at work at once.
        """
        over = self._mapped_over(shared)
        builder = building.get()
        if builder is None:
            calls: list[dict[str, Any]] = [{**shared, over: item} for item in items]
            return [self.function(**call) for call in calls]  # type: ignore[call-arg]
        return cast(list[R], builder.add_map(self, over, self._bind((), {**shared, over: items})))

    def with_options(self, *, when: Any = True, **options: Any) -> "Step[P, R]":
        """Return the step with other options; `when`: whether it runs, as a step may say.

        Where `when` is False the step is skipped, and its output is None.
        """
        chosen = replace(self.options, **_known_options(options))
        return Step(self.function, chosen, condition=when)

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
        if self.options.kept in bound.arguments:
            raise PipelineError(
                f"step {self.name!r} is told {self.options.kept!r} by the run: a pipeline does not "
                "give it",
                hint="leave it away",
            )
        bound.apply_defaults()
        return dict(bound.arguments)

    def _mapped_over(self, shared: Mapping[str, Any]) -> str:
        """Return the parameter that `.map()` gives an item to."""
        untold = {*shared, self.options.kept}
        left = [name for name in self.signature.parameters if name not in untold]
        over = self.options.batch or next(iter(left), None)
        if over is None or over in shared:
            raise PipelineError(
                f"step {self.name!r} has no parameter left for the items of .map()",
                hint="give the list first, and the others by name: f.map(items, other=…)",
            )
        return over

    def _check(self) -> None:
        parameters = self.signature.parameters
        kinds = {p.kind for p in parameters.values()}
        if not kinds.isdisjoint(_VARIADIC):
            raise PipelineError(
                f"step {self.name!r} takes *args or **kwargs; name each parameter, "
                "so that each can be kept"
            )
        if inspect.Parameter.POSITIONAL_ONLY in kinds:
            raise PipelineError(
                f"step {self.name!r} has parameters before a `/`, which cannot be given by name; "
                "take the `/` away"
            )
        if self.options == _DEFAULTS:
            return
        if faults := self.options.faults():
            raise PipelineError(f"step {self.name!r}: {faults[0]}")
        named = {*self.options.uncounted, *filter(None, [self.options.batch, self.options.kept])}
        if unknown := sorted(named - set(parameters)):
            raise PipelineError(
                f"step {self.name!r} has no parameter {unknown[0]!r}; "
                f"it has {', '.join(sorted(parameters))}"
            )
        kept = self.options.kept
        if kept is not None and parameters[kept].default is inspect.Parameter.empty:
            raise PipelineError(
                f"step {self.name!r} needs a default for {kept!r}, which a pipeline does not give",
                hint=f"write {kept}=()",
            )

    def check_found(self) -> None:
        """Raise PipelineError unless the function is what its name means in its module.

        Code is read, and results are found, by that name alone: a function that a factory made
        would be taken for another with the same name.
        """
        qualname = self.function.__qualname__
        if "<locals>" in qualname:
            if free := self.function.__code__.co_freevars:
                raise PipelineError(
                    f"step {self.name!r} uses {free[0]!r} of the function that it is defined in, "
                    "which its key cannot tell",
                    hint=f"make {free[0]!r} a parameter, or define both at the top of the module",
                )
            return
        found: Any = sys.modules.get(self.function.__module__)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if self.function not in {found, getattr(found, "function", None)}:
            raise PipelineError(
                f"step {self.name!r} is not what {self.target} means, so that its code cannot "
                "be told from another's",
                hint=f"give it the name of its function: `{self.name} = step(…)`, "
                f"or put the decorators over `def {self.name}`",
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
    retry_on: tuple[str | type[BaseException], ...] = (),
    timeout: float | None = None,
    cache: bool = True,
    expires: float | None = None,
    depends_on: tuple[str, ...] = (),
    batch: str | None = None,
    kept: str | None = None,
    uncounted: tuple[str, ...] = (),
    driver: bool = False,
    at_once: int | None = None,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(function: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """Make a function a step; the options are those of `StepOptions`.

    PipelineError names what cannot be a step, an option that there is not, and what does not fit.
    """
    chosen = StepOptions(**_known_options(options))
    if function is not None:
        return Step(_plain_function(function), chosen)
    return lambda decorated: Step(_plain_function(decorated), chosen)


def _known_options(options: dict[str, Any]) -> dict[str, Any]:
    if options.get("resources", ...) is None:
        del options["resources"]
    known = [option.name for option in fields(StepOptions)]
    if unknown := sorted(options.keys() - set(known)):
        close = get_close_matches(unknown[0], known, n=1)
        raise PipelineError(
            f"@step has no option {unknown[0]!r}",
            hint=f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}",
        )
    return options


def _plain_function(thing: Any) -> Any:
    """Return a function that can be a step; PipelineError says why another thing cannot."""
    if isinstance(thing, Step):
        raise PipelineError(f"{thing.name!r} is a step already; give all options in one @step(…)")
    if not inspect.isfunction(thing):
        raise PipelineError(
            f"@step is for a function, not for {type(thing).__name__} {_called(thing)}".rstrip(),
            hint="write a function with `def` that calls it",
        )
    if thing.__name__ == "<lambda>":
        raise PipelineError(
            "@step is for a function with a name, not for a lambda", hint="write it with `def`"
        )
    unfit = inspect.iscoroutinefunction(thing) or inspect.isasyncgenfunction(thing)
    if unfit or inspect.isgeneratorfunction(thing):
        kind = "async function" if unfit else "generator"
        raise PipelineError(
            f"step {thing.__name__!r} is {'an' if unfit else 'a'} {kind}, "
            "whose value is not there when it returns",
            hint="write a plain function that returns a value, such as a list",
        )
    return thing


def _called(thing: Any) -> str:
    return repr(name) if (name := getattr(thing, "__name__", "")) else ""
