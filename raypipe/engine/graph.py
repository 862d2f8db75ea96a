"""A pipeline's steps and what each is given.

Pure structure, made by running the pipeline function.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from raypipe.engine.step import Step, building
from raypipe.errors import PipelineError


@dataclass(frozen=True)
class Ref:
    """The output of a node, or a part of it; stands for a value that is not there yet."""

    node: str
    path: tuple[str | int, ...] = ()

    def __getattr__(self, name: str) -> "Ref":
        if name.startswith("_"):
            raise AttributeError(name)
        return Ref(self.node, (*self.path, name))

    def __getitem__(self, key: str | int) -> "Ref":
        return Ref(self.node, (*self.path, key))

    def _no_value(self, *_: object) -> NoReturn:
        raise PipelineError(
            f"{self} is a reference, not a value: a pipeline function only connects steps; "
            "look at values inside a step"
        )

    __bool__ = __iter__ = __len__ = __add__ = __sub__ = __mul__ = __lt__ = __gt__ = _no_value
    __float__ = __int__ = __call__ = __contains__ = _no_value

    def __str__(self) -> str:
        return self.node + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in self.path)


@dataclass(frozen=True)
class Literal_:
    """A value that is known when the graph is made."""

    value: Any


Argument = Ref | Literal_ | list["Argument"] | dict[str, "Argument"]
"""What a parameter is given: a literal, a reference, or a list or dict that holds references."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One thing that a run has to know.

    The output of a step, a decision, or a fact of the ledger.
    """

    name: str
    kind: Literal["step", "review", "lookup"]
    arguments: Mapping[str, Argument]
    step: Step[..., Any] | None = None
    group: str | None = None
    """Name that the items of one batched call share."""
    asks: str = ""
    """For a lookup: which fact."""

    @property
    def upstream(self) -> frozenset[str]:
        """Names of the nodes whose outputs it is given."""
        return frozenset(ref.node for _, ref in references(self.arguments))


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


def references(arguments: Any, place: str = "") -> Iterator[tuple[str, Ref]]:
    """Yield each reference in some arguments, with the place where it stands: `profiles[3]`."""
    if isinstance(arguments, Ref):
        yield place, arguments
    elif isinstance(arguments, list):
        for index, item in enumerate(arguments):
            yield from references(item, f"{place}[{index}]")
    elif isinstance(arguments, Mapping):
        for key, item in arguments.items():
            yield from references(item, f"{place}.{key}" if place else str(key))


def to_argument(value: Any) -> Argument:
    """Tell references from literals; a container without references is one literal."""
    if isinstance(value, Ref):
        return value
    if isinstance(value, list | tuple) and _holds_reference(value):
        return [to_argument(item) for item in value]
    if isinstance(value, dict) and _holds_reference(value):
        return {str(key): to_argument(item) for key, item in value.items()}
    return Literal_(value)


def _holds_reference(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, Ref) or (
        isinstance(value, list | tuple) and any(_holds_reference(item) for item in value)
    )


class GraphBuilder:
    """Collects the nodes that a pipeline function makes."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def add_step(self, step: Step[..., Any], arguments: Mapping[str, Any]) -> Ref | list[Ref]:
        """Add a call of a step; a batched step gives one reference an item."""
        name = self._free(step.name)
        batch = step.options.batch
        if batch is None:
            return self._add(
                Node(
                    name=name,
                    kind="step",
                    step=step,
                    arguments={p: to_argument(v) for p, v in arguments.items()},
                )
            )
        shared = {p: to_argument(v) for p, v in arguments.items() if p != batch}
        items = arguments[batch]
        if not isinstance(items, list | tuple):
            raise PipelineError(
                f"step {step.name!r} is batched over {batch!r}, which must be a list that is known "
                f"when the pipeline is made, not {type(items).__name__}"
            )
        self._taken.add(name)
        return [
            self._add(
                Node(
                    name=f"{name}[{index}]",
                    kind="step",
                    step=step,
                    group=name,
                    arguments={batch: to_argument(item), **shared},
                )
            )
            for index, item in enumerate(items)
        ]

    def add_review(self, name: str, evidence: Any) -> Ref:
        """Add a decision that a person is asked for."""
        return self._add(
            Node(
                name=self._free(name), kind="review", arguments={"evidence": to_argument(evidence)}
            )
        )

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

    @property
    def _taken(self) -> set[str]:
        return self.__dict__.setdefault("_groups", set())  # type: ignore[no-any-return]

    def _free(self, name: str) -> str:
        number, candidate = 1, name
        while candidate in self.nodes or candidate in self._taken:
            number += 1
            candidate = f"{name}#{number}"
        return candidate

    def _add(self, node: Node) -> Ref:
        self.nodes[node.name] = node
        return Ref(node.name)


def review(evidence: Any, *, name: str = "review") -> Any:
    """Ask a person to decide on `evidence`; gives a reference to the `Decision`.

    The run waits, and holds no process; the decision is bound to the digest of the evidence.
    """
    return _builder("review").add_review(name, evidence)


def lookup(name: str, **arguments: Any) -> Any:
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
