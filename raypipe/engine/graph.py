"""A pipeline's steps and what each is given.

Pure structure, made by running the pipeline function.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NoReturn

from raypipe.engine.step import Step, building
from raypipe.errors import PipelineError, RaypipeError


@dataclass(frozen=True, eq=False, repr=False)
class Ref:
    """The output of a node, or a part of it; stands for a value that is not there yet.

    Any name without a leading underscore is a part of the output: see `node_of` and `path_of`.
    """

    _node: str
    _path: tuple[str | int, ...] = ()

    def __getattr__(self, name: str) -> "Ref":
        if name.startswith("_"):
            raise AttributeError(name)
        return Ref(self._node, (*self._path, name))

    def __getitem__(self, key: str | int) -> "Ref":
        if not isinstance(key, str | int):
            raise PipelineError(
                f"{self!s} has parts by name and by number, not by {type(key).__name__}: "
                "take it apart inside a step"
            )
        return Ref(self._node, (*self._path, key))

    def _no_value(self, *_: object) -> NoReturn:
        raise PipelineError(
            f"{self!s} is a reference, not a value: a pipeline function only connects steps; "
            "look at values inside a step"
        )

    __bool__ = __iter__ = __len__ = __float__ = __int__ = __index__ = __complex__ = _no_value
    __call__ = __contains__ = __format__ = __reversed__ = __enter__ = __exit__ = _no_value
    __lt__ = __gt__ = __le__ = __ge__ = _no_value
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = _no_value
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = _no_value
    __matmul__ = __rmatmul__ = __rpow__ = __divmod__ = __rdivmod__ = _no_value
    __and__ = __or__ = __xor__ = __lshift__ = __rshift__ = _no_value
    __rand__ = __ror__ = __rxor__ = __rlshift__ = __rrshift__ = _no_value
    __neg__ = __pos__ = __abs__ = __invert__ = __round__ = _no_value

    def __eq__(self, other: object) -> bool:
        if building.get() is not None:
            self._no_value()
        return isinstance(other, Ref) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    @property
    def _parts(self) -> tuple[str, tuple[str | int, ...]]:
        return self._node, self._path

    def __str__(self) -> str:
        return self._node + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self._path)

    def __repr__(self) -> str:
        return f"Ref({self!s})"


def node_of(ref: Ref) -> str:
    """Return the name of the node whose output a reference stands for."""
    return ref._node


def path_of(ref: Ref) -> tuple[str | int, ...]:
    """Return which part of the output a reference stands for: names and numbers, outer first."""
    return ref._path


@dataclass(frozen=True)
class Literal_:
    """A value that is known when the graph is made."""

    value: Any


Argument = Ref | Literal_ | list["Argument"] | tuple["Argument", ...] | dict[Any, "Argument"]
"""What a parameter is given: a literal, a reference, or a container that holds references."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One thing that a run has to know.

    The output of a step, a decision, or a fact of the ledger.
    """

    name: str
    kind: Literal["step", "map", "review", "lookup"]
    arguments: Mapping[str, Argument]
    step: Step[..., Any] | None = None
    group: str | None = None
    """Name that the items of one batched call share."""
    asks: str = ""
    """For a lookup: which fact."""
    over: str = ""
    """For a map: the parameter that is a list of items."""
    mapped: str | None = None
    """For an item of a map: the map's name."""
    condition: Argument | None = None
    """What says whether it runs; None: it does."""

    @cached_property
    def upstream(self) -> frozenset[str]:
        """Names of the nodes whose outputs it is given, or that say whether it runs."""
        return frozenset().union(*map(nodes_in, self.arguments.values())) | self.asked_first

    @cached_property
    def asked_first(self) -> frozenset[str]:
        """Names of the nodes that say whether it runs."""
        return frozenset() if self.condition is None else nodes_in(self.condition)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The nodes of a pipeline in the order in which they were made, so upstream comes first."""

    pipeline: str
    nodes: Mapping[str, Node]
    outputs: Mapping[str, Ref] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a person decided on a piece of evidence."""

    evidence: str
    """Digest of what was shown."""
    by: str
    note: str


def leaves(place: str, value: Argument) -> Iterator[tuple[str, Ref | Literal_]]:
    """Yield the references and literals of an argument, each with its place: `profiles[3].rows`."""
    if isinstance(value, Ref | Literal_):
        yield place, value
        return
    for key, item in _items(value):
        yield from leaves(f"{place}{key}", item)


def nodes_in(value: Argument) -> frozenset[str]:
    """Return the names of the nodes whose outputs an argument holds."""
    return frozenset(node_of(part) for _, part in leaves("", value) if isinstance(part, Ref))


def containers(place: str, value: Argument) -> Iterator[tuple[str, str]]:
    """Yield what the containers of an argument are, each with its place; a list is no news.

    With the places of its leaves, this says all that there is to say of its form.
    """
    if isinstance(value, Ref | Literal_):
        return
    if isinstance(value, tuple):
        yield place, "tuple"
    elif isinstance(value, dict):
        yield place, f"dict of {', '.join(map(repr, value))}"
    for key, item in _items(value):
        yield from containers(f"{place}{key}", item)


def _items(value: Any) -> Iterator[tuple[str, Argument]]:
    if isinstance(value, dict):
        for key, item in value.items():
            named = isinstance(key, str) and key.isidentifier()
            yield f".{key}" if named else f"[{key!r}]", item
    else:
        for index, item in enumerate(value):
            yield f"[{index}]", item


def to_argument(value: Any) -> Argument:
    """Tell references from literals; a container without references is one literal.

    A literal is copied, so that a step is given what it was called with whatever the pipeline
    function does to it afterwards. PipelineError names a reference where it would not be seen.
    """
    if isinstance(value, Ref):
        return value
    if type(value) in {list, tuple} and _holds_reference(value):
        parts = [to_argument(item) for item in value]
        return parts if type(value) is list else tuple(parts)
    if type(value) is dict and _holds_reference(value):
        for key in value:
            _refuse_references(key, value)
        return {key: to_argument(item) for key, item in value.items()}
    _refuse_references(value, value)
    return Literal_(_copied(value))


def _holds_reference(value: Any) -> bool:
    if type(value) is dict:
        value = list(value.values())
    return isinstance(value, Ref) or (
        type(value) in {list, tuple} and any(_holds_reference(item) for item in value)
    )


def _refuse_references(value: Any, whole: Any) -> None:
    for part in _inside(value):
        if isinstance(part, Ref):
            raise PipelineError(
                f"a {type(whole).__name__} holds {part!s}, the output of a step, where it is not "
                "seen",
                hint="give outputs as they are, or in lists, tuples and the values of dicts",
            )


def _inside(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yield a value and all that it holds, as far as a value that can be kept is deep."""
    yield value
    if isinstance(value, str | bytes | int | float) or value is None or depth > 64:
        return
    held: list[Any] = []
    if isinstance(value, list | tuple | set | frozenset):
        held.extend(value)
    elif isinstance(value, dict):
        held.extend([*value.keys(), *value.values()])
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, Ref):
        held.extend(getattr(value, name, None) for name in value.__dataclass_fields__)
    elif hasattr(value, "__pydantic_fields__"):
        held.extend(value.__dict__.values())
    for item in held:
        yield from _inside(item, depth + 1)


def _copied(value: Any) -> Any:
    if isinstance(value, str | bytes | int | float | Path) or value is None:
        return value
    if type(value).__module__.partition(".")[0] == "pyarrow":  # never changes
        return value
    try:
        return deepcopy(value)
    except Exception:  # what cannot be copied cannot be kept either, and the codec says so best
        return value


def _condition_of(step: Step[..., Any]) -> Argument | None:
    if step.condition is True:
        return None
    if step.condition is not False and not isinstance(step.condition, Ref):
        raise PipelineError(
            f"step {step.name!r}: when is {step.condition!r}; it must be True, False, or what a "
            "step gives"
        )
    return to_argument(step.condition)


class GraphBuilder:
    """Collects the nodes that a pipeline function makes."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._groups: set[str] = set()
        """Names of batched calls."""

    def add_step(self, step: Step[..., Any], arguments: Mapping[str, Any]) -> Ref | list[Ref]:
        """Add a call of a step; a batched step gives one reference an item."""
        name = self._free(step.name)
        batch = step.options.batch
        condition = _condition_of(step)
        if batch is None:
            return self._add(
                Node(
                    name=name,
                    kind="step",
                    step=step,
                    arguments={p: to_argument(v) for p, v in arguments.items()},
                    condition=condition,
                )
            )
        shared = {p: to_argument(v) for p, v in arguments.items() if p != batch}
        items = arguments[batch]
        if not isinstance(items, list | tuple):
            raise PipelineError(
                f"step {step.name!r} is batched over {batch!r}, which must be a list that is known "
                f"when the pipeline is made, not {type(items).__name__}",
                hint=f"for the list that a step gives: {step.name}.map(items, …)",
            )
        self._groups.add(name)
        return [
            self._add(
                Node(
                    name=f"{name}[{index}]",
                    kind="step",
                    step=step,
                    group=name,
                    arguments={batch: to_argument(item), **shared},
                    condition=condition,
                )
            )
            for index, item in enumerate(items)
        ]

    def add_map(self, step: Step[..., Any], over: str, arguments: Mapping[str, Any]) -> Ref:
        """Add a call of a step for each item of a list, which is known when the run comes there."""
        given = {p: to_argument(v) for p, v in arguments.items()}
        items = given[over]
        if not isinstance(items, Ref | list | tuple):
            known = items.value if isinstance(items, Literal_) else items
            if not isinstance(known, list | tuple):
                raise PipelineError(
                    f"{step.name}.map() goes over a list or tuple, not {type(known).__name__}"
                )
        return self._add(
            Node(
                name=self._free(step.name),
                kind="map",
                step=step,
                arguments=given,
                over=over,
                condition=_condition_of(step),
            )
        )

    def add_review(self, name: str, evidence: Any, when: Any) -> Ref:
        """Add a decision that a person is asked for, where `when` is not False."""
        given = {"evidence": to_argument(evidence)}
        if when is not True:
            given["when"] = to_argument(when)
        return self._add(Node(name=self._free(name), kind="review", arguments=given))

    def add_lookup(self, name: str, arguments: Mapping[str, Any]) -> Ref:
        """Add a fact that the ledger knows once the digests of the arguments are known."""
        return self._add(
            Node(
                name=self._free(name),
                kind="lookup",
                asks=name,
                arguments={p: to_argument(v) for p, v in arguments.items()},
            )
        )

    def _free(self, name: str) -> str:
        number, candidate = 1, name
        while candidate in self.nodes or candidate in self._groups:
            number += 1
            candidate = f"{name}#{number}"
        return candidate

    def _add(self, node: Node) -> Ref:
        self.nodes[node.name] = node
        return Ref(node.name)


def review(evidence: Any, *, name: str = "review", when: Any = True) -> Any:
    """Ask a person to decide on `evidence`; gives a reference to the `Decision`.

    The run waits, and holds no process; the decision is bound to the digest of the evidence. Where
    `when`, which a step may give, is False nobody is asked, and the decision is None.
    """
    return _builder("review").add_review(name, evidence, when)


def lookup(name: str, /, **arguments: Any) -> Any:
    """Refer to a kept value that the ledger finds by the digests of `arguments`.

    None if it has none.
    """
    return _builder("lookup").add_lookup(name, arguments)


def _builder(what: str) -> GraphBuilder:
    builder = building.get()
    if not isinstance(builder, GraphBuilder):
        raise PipelineError(f"{what}(…) belongs inside a pipeline function")
    return builder


def build(function: Callable[..., Any], name: str, parameters: Mapping[str, Any]) -> Graph:
    """Run a pipeline function on its parameters and return the graph that it made."""
    builder = GraphBuilder()
    token = building.set(builder)
    try:
        returned = function(**parameters)
    except (RaypipeError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit too: it would end the command as if all was done
        at = error.__traceback__ and error.__traceback__.tb_next
        line = f", in line {at.tb_lineno}" if at else ""
        raise PipelineError(
            f"pipeline {name!r} raised {type(error).__name__}: {error}{line}",
            hint="a pipeline function only connects steps: what may fail belongs in a step",
        ) from error
    finally:
        building.reset(token)
    return Graph(pipeline=name, nodes=builder.nodes, outputs=_outputs(returned, name))


def _outputs(returned: Any, name: str) -> dict[str, Ref]:
    match returned:
        case None:
            return {}
        case Ref():
            return {"result": returned}
        case dict():
            named = returned
        case list() | tuple():
            named = {str(index): item for index, item in enumerate(returned)}
        case _:
            named = {"result": returned}
    for key, ref in named.items():
        if not isinstance(ref, Ref):
            raise PipelineError(
                f"pipeline {name!r} returns {key!r} as {type(ref).__name__}; "
                "return what steps gave: a reference, or a dict, list or tuple of references"
            )
    return {str(key): ref for key, ref in named.items()}
