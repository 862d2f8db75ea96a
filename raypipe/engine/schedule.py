"""Which node of a run comes next: what it is given is known, and there is room for it."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from raypipe.engine.graph import Node, Ref, node_of, nodes_in, path_of

EVERYTHING = ""
"""What bounds every call: the room that the runtime has."""


@dataclass
class Schedule:
    """The nodes of a run, in the order in which they can be decided."""

    nodes: dict[str, Node] = field(default_factory=dict)
    """The graph's nodes, and the items of its maps."""
    _known: set[str] = field(default_factory=set)
    """Nodes whose outputs are known."""
    _waiting_for: dict[str, int] = field(default_factory=dict)
    _downstream: dict[str, list[str]] = field(default_factory=dict)
    _ready: deque[str] = field(default_factory=deque)
    _queued: dict[str, deque[str]] = field(default_factory=dict)
    """Nodes that there is no room for yet, by what bounds them."""
    _at_work: Counter[str] = field(default_factory=Counter)
    """Calls at work, by what bounds them."""
    _after_items: dict[str, list[str]] = field(default_factory=dict)
    """Maps that go over the outputs of another one, which need its items alone."""
    _expanded: set[str] = field(default_factory=set)
    """Maps whose items are decided one by one."""

    def add(self, node: Node) -> None:
        """Let a node be decided once what it is given is known; for a map that is its list."""
        self.nodes[node.name] = node
        needed = node.upstream
        if node.kind == "map":
            over = node.arguments[node.over]
            needed = node.asked_first | nodes_in(over)
            source = node_of(over) if isinstance(over, Ref) and not path_of(over) else None
            if source is not None and self.nodes[source].kind == "map":
                self._after_items.setdefault(source, []).append(node.name)
        unknown = needed - self._known
        self._waiting_for[node.name] = len(unknown)
        for upstream in unknown:
            if node.name not in self._after_items.get(upstream, ()):
                self._downstream.setdefault(upstream, []).append(node.name)
        if not unknown:
            self._ready.append(node.name)

    def next(self, room: int) -> Node | None:
        """Return a node to decide; `room` is how many calls may be at work."""
        while self._ready:
            node = self.nodes[self._ready.popleft()]
            bound = self._bound_of(node, room)
            if bound is None:
                return node
            self._queued.setdefault(bound, deque()).append(node.name)
        for names in self._queued.values():
            if names and self._bound_of(self.nodes[names[0]], room) is None:
                return self.nodes[names.popleft()]
        return None

    def _bound_of(self, node: Node, room: int) -> str | None:
        """Return what bounds a node and has no room for it now; None if it has room.

        Items of a batch are decided all the same, for one call makes them all.
        """
        if node.kind != "step" or node.group:
            return None
        assert node.step is not None
        limit, scope = node.step.options.at_once, scope_of(node)
        if limit is not None and self._at_work[scope] >= limit:
            return scope
        return EVERYTHING if self._at_work[EVERYTHING] >= room else None

    def expanded(self, node: Node) -> bool:
        """Say whether the items of a map are among the nodes."""
        return node.name in self._expanded

    def expand(self, node: Node, items: Sequence[Node]) -> None:
        """Add the items of a map, which is decided again once all of them are known."""
        self._expanded.add(node.name)
        for item in items:
            self.add(item)
        self._waiting_for[node.name] = len(items)
        for item in items:
            self._downstream.setdefault(item.name, []).append(node.name)
        for behind in self._after_items.pop(node.name, ()):
            self._count_down(behind)

    def known(self, name: str) -> None:
        """Take note that the output of a node is known."""
        self._known.add(name)
        behind = self._after_items.pop(name, ())  # of a map that was skipped
        for downstream in (*self._downstream.pop(name, ()), *behind):
            self._count_down(downstream)

    def _count_down(self, downstream: str) -> None:
        self._waiting_for[downstream] -= 1
        if self._waiting_for[downstream] == 0:
            self._ready.append(downstream)

    def is_waited_for(self, name: str) -> bool:
        """Say whether a step that may run elsewhere waits for an output: not the run alone."""
        if self._after_items.get(name):
            return True
        behind = [self.nodes[one] for one in self._downstream.get(name, ())]
        return any(
            self.is_waited_for(node.name)
            if node.name in self._expanded  # a map, which gathers what its items give
            else node.kind == "map" or (node.step is not None and not node.step.options.driver)
            for node in behind
        )

    def again(self, names: Iterable[str]) -> None:
        """Let nodes be decided once more."""
        self._ready.extend(names)

    def after(self, name: str, upstream: Iterable[str]) -> None:
        """Let a node be decided once more, when outputs that are made anew are known again."""
        unknown = set(upstream)
        self._known -= unknown
        self._waiting_for[name] = len(unknown)
        for one in unknown:
            self._downstream.setdefault(one, []).append(name)
        if not unknown:
            self._ready.append(name)

    def begun(self, node: Node) -> None:
        """Take note that a call for a node is at work."""
        self._at_work.update((EVERYTHING, scope_of(node)))

    def ended(self, node: Node) -> None:
        """Take note that a call for a node is at work no more."""
        self._at_work.subtract((EVERYTHING, scope_of(node)))


def scope_of(node: Node) -> str:
    """Return what bounds how many calls like this one are at work at once."""
    assert node.step is not None
    return node.mapped or node.step.target
