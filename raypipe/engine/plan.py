"""For each step of a graph: hit, execute, wait or open, and why; nothing is run or changed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from raypipe.engine.digest import digest_bytes
from raypipe.engine.graph import Argument, Decision, Graph, Literal_, Node, Ref, references
from raypipe.engine.ports import Argument as Manifests
from raypipe.engine.ports import Encoded, Ports
from raypipe.engine.records import (
    Action,
    Explanation,
    Fingerprint,
    Reason,
    Result,
    Review,
    StepState,
)

SAME = Reason(kind="same")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What is to be done about one node, and everything that doing it needs."""

    node: Node
    action: Action
    reason: Reason
    digest: str | None = None
    """Of the output, where it is known."""
    key: str | None = None
    explanation: Explanation | None = None
    fingerprint: Fingerprint | None = None
    result: Result | None = None
    """The live result that is used, or that is lost or superseded."""
    review: Review | None = None
    seconds: float | None = None

    @property
    def state(self) -> StepState:
        """The record that the faces read."""
        return StepState(
            name=self.node.name,
            action=self.action,
            reason=self.reason,
            digest=self.digest,
            key=self.key,
            seconds=self.seconds,
        )


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the person who started the run chose."""

    force: frozenset[str] = frozenset()
    """Steps (or groups of a batch) that are executed whatever is kept."""


@dataclass
class Planner:
    """Decides node after node, as soon as what a node is given is known."""

    graph: Graph
    ports: Ports
    choices: Choices = Choices()
    planned: dict[str, Planned] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    """Output of each node that is known, as its manifest."""
    _fingerprints: dict[tuple[str, tuple[str, ...]], Fingerprint] = field(default_factory=dict)
    _literals: dict[int, tuple[Any, Encoded]] = field(default_factory=dict)
    _intact: set[str] = field(default_factory=set)
    """Digests of artifacts that were found whole; what is torn may be mended meanwhile."""

    def plan(self) -> tuple[Planned, ...]:
        """Decide every node that can be decided, the others are open; lookups are left out."""
        makers: dict[str, str] = {}
        for node in self.graph.nodes.values():
            planned = self.decide(node)
            if planned.action == "execute" and planned.key is not None:
                maker = makers.setdefault(planned.key, node.name)
                if maker != node.name and planned.reason.kind not in {"forced", "uncached"}:
                    reason = Reason(kind="upstream", what=maker, detail="makes the same")
                    self.planned[node.name] = replace(planned, action="open", reason=reason)
        every = (self.planned[name] for name in self.graph.nodes)
        return tuple(planned for planned in every if planned.node.kind != "lookup")

    def decide(self, node: Node) -> Planned:
        """Decide one node; its upstream nodes have been decided before."""
        if unknown := sorted(node.upstream - self.manifests.keys()):
            detail = self._while_open(node) if node.kind == "step" else ""
            reason = Reason(kind="upstream", what=unknown[0], detail=detail)
            planned = Planned(node=node, action="open", reason=reason)
        elif node.kind == "lookup":
            planned = self._look_up(node)
        elif node.kind == "review":
            planned = self._find_review(node)
        else:
            planned = self._find_result(node)
        self.planned[node.name] = planned
        return planned

    def learn(self, name: str, manifest: bytes) -> None:
        """Take note of the output of a node."""
        self.manifests[name] = manifest

    def arguments(self, node: Node) -> dict[str, Manifests]:
        """Return the manifests that a step is called with."""
        return {name: self._manifest(value) for name, value in node.arguments.items()}

    def output(self, ref: Ref) -> tuple[str, bytes]:
        """Return digest and manifest of what a reference stands for; KeyError if not known."""
        return self.ports.codec.field(self.manifests[ref.node], ref.path)

    # --- what is kept ---------------------------------------------------------------------------

    def _find_result(self, node: Node) -> Planned:
        assert node.step is not None
        options = node.step.options
        fingerprint = self._fingerprint(node)
        explanation = self._explain(node, fingerprint)
        key = key_of(explanation)
        result = self.ports.ledger.live_results([key], self.ports.now()).get(key)
        whole = result is not None and all(map(self._is_intact, result.artifacts))
        reason = self._why_not(node, options.cache, result, whole)
        if reason is None:
            assert result is not None
            self.learn(node.name, self.ports.artifacts.read(result.root))
            return Planned(
                node=node,
                action="hit",
                reason=SAME,
                digest=result.root,
                key=key,
                explanation=explanation,
                fingerprint=fingerprint,
                result=result,
                seconds=result.seconds,
            )
        if reason.kind == "new":
            reason = self._what_differs(node, explanation, fingerprint)
        return Planned(
            node=node,
            action="execute",
            reason=reason,
            key=key,
            explanation=explanation,
            fingerprint=fingerprint,
            result=result,
        )

    def _why_not(
        self, node: Node, cache: bool, result: Result | None, whole: bool
    ) -> Reason | None:
        if self.choices.force & {node.name, node.group}:
            return Reason(kind="forced", what=node.name)
        if not cache:
            return Reason(kind="uncached", detail="declared with cache=False")
        if result is None:
            return Reason(kind="new")
        return None if whole else Reason(kind="lost artifact", detail="gone or torn")

    def _is_intact(self, stat: Any) -> bool:
        if stat.digest not in self._intact and self.ports.artifacts.intact(stat):
            self._intact.add(stat.digest)
        return stat.digest in self._intact

    def _what_differs(
        self, node: Node, explanation: Explanation, fingerprint: Fingerprint
    ) -> Reason:
        ledger = self.ports.ledger
        before = ledger.latest_result(self.ports.project, self.graph.pipeline, node.name)
        if before is None:
            return Reason(kind="new")
        if before.explanation == explanation and before.expires is not None:
            return Reason(kind="expired", detail=f"after {before.expires - before.created:g} s")
        known = ledger.fingerprint(before.explanation.fingerprint)
        return difference(before.explanation, explanation, known, fingerprint)

    def _while_open(self, node: Node) -> str:
        """Say what is known of an open step: what it is given by itself is new, or as before."""
        ledger = self.ports.ledger
        before = ledger.latest_result(self.ports.project, self.graph.pipeline, node.name)
        if before is None:
            return "new, runs in any case"
        if before.explanation.fingerprint != self._fingerprint(node).digest:
            return "its code changed, runs in any case"
        for name, value in node.arguments.items():
            known = before.explanation.parameters.get(name)
            if known is None or not isinstance(value, Literal_):
                continue
            if self._encode(value.value).digest != known:
                return f"{name} changed, runs in any case"
        return "kept if that gives what it gave"

    # --- reviews and lookups --------------------------------------------------------------------

    def _find_review(self, node: Node) -> Planned:
        (digest, _) = self._digest_of(node.arguments["evidence"])
        found = self.ports.ledger.find_review(
            self.ports.project, self.graph.pipeline, node.name, digest
        )
        if found is None or found.status == "open":
            reason = Reason(kind="review", what=found.id if found else "", detail="not decided")
            return Planned(node=node, action="wait", reason=reason, key=digest, review=found)
        assert found.actor is not None
        by = found.actor.name or found.actor.user
        if found.status == "rejected":
            reason = Reason(kind="rejected", what=f"by {by}", detail=found.note or "")
            return Planned(node=node, action="wait", reason=reason, key=digest, review=found)
        decision = Decision(evidence=digest, by=by, note=found.note or "")
        encoded = self.ports.codec.encode(decision)
        self.learn(node.name, encoded.manifest)
        return Planned(
            node=node,
            action="hit",
            reason=Reason(kind="approved", what=f"by {by}", detail=found.note or ""),
            digest=encoded.digest,
            key=digest,
            review=found,
        )

    def _look_up(self, node: Node) -> Planned:
        digests = {name: self._digest_of(value)[0] for name, value in node.arguments.items()}
        found = self.ports.lookups[node.asks](digests)
        if found is None:
            encoded = self.ports.codec.encode(None)
            self.learn(node.name, encoded.manifest)
        else:
            self.learn(node.name, self.ports.artifacts.read(found))
        return Planned(
            node=node,
            action="hit",
            reason=Reason(kind="same", detail="" if found else "none yet"),
            digest=found,
        )

    # --- keys -----------------------------------------------------------------------------------

    def check_code(self) -> None:
        """Raise CodeReferenceError where settings or steps name code that is not there."""
        for node in self.graph.nodes.values():
            if node.step is not None:
                self._fingerprint(node)

    def _fingerprint(self, node: Node) -> Fingerprint:
        assert node.step is not None
        also = tuple(sorted(set(_code_references(node.arguments))))
        asked = (node.step.target, also)
        if asked not in self._fingerprints:
            self._fingerprints[asked] = self.ports.fingerprint(*asked)
        return self._fingerprints[asked]

    def _explain(self, node: Node, fingerprint: Fingerprint) -> Explanation:
        assert node.step is not None
        counted = {
            name: value
            for name, value in node.arguments.items()
            if name not in node.step.options.uncounted
        }
        parameters: dict[str, str] = {}
        inputs: dict[str, str] = {}
        shown: dict[str, str] = {}
        for name, value in counted.items():
            if isinstance(value, Literal_):
                parameters[name] = self._encode(value.value).digest
                shown[name] = _short(value.value)
            else:
                inputs |= {place: self._digest_of(part)[0] for place, part in _leaves(name, value)}
        return Explanation(
            fingerprint=fingerprint.digest,
            parameters=parameters,
            inputs=inputs,
            environment=dict(self.ports.environment(node.step.options.depends_on)),
            shown=shown,
        )

    def _digest_of(self, value: Argument) -> tuple[str, bytes]:
        match value:
            case Ref():
                return self.output(value)
            case Literal_():
                encoded = self._encode(value.value)
                return encoded.digest, encoded.manifest
            case _:
                digests = [(place, self._digest_of(part)[0]) for place, part in _leaves("", value)]
                return digest_bytes(json.dumps(digests).encode()), b""

    def _manifest(self, value: Argument) -> Manifests:
        match value:
            case list():
                return [self._manifest(item) for item in value]
            case dict():
                return {key: self._manifest(item) for key, item in value.items()}
            case _:
                return self._digest_of(value)[1]

    def _encode(self, value: Any) -> Encoded:
        known = self._literals.get(id(value))
        if known is None:
            known = self._literals[id(value)] = (value, self.ports.codec.encode(value))
        return known[1]

    def literal_blobs(self, node: Node) -> Iterator[Encoded]:
        """Yield the encoded literals of a node that have blobs.

        They must be published before it runs.
        """
        for value in node.arguments.values():
            for _, part in _leaves("", value):
                if isinstance(part, Literal_) and (encoded := self._encode(part.value)).blobs:
                    yield encoded


def key_of(explanation: Explanation) -> str:
    """Return the key that an explanation stands for: what a kept result is found by."""
    counted = [
        "raypipe key 1",
        explanation.fingerprint,
        sorted([*explanation.parameters.items(), *explanation.inputs.items()]),
        sorted(explanation.environment.items()),
    ]
    return digest_bytes(json.dumps(counted, separators=(",", ":")).encode())


def difference(
    before: Explanation, now: Explanation, code_before: Fingerprint | None, code_now: Fingerprint
) -> Reason:
    """Say what differs between two explanations of one step.

    The first of code, parameter, input, environment.
    """
    if before.fingerprint != now.fingerprint:
        return _code_difference(code_before, code_now)
    given_before = {**before.parameters, **before.inputs}
    given_now = {**now.parameters, **now.inputs}
    for name, how in _changes(given_before, given_now):
        if name in now.inputs or name in before.inputs:
            return Reason(kind="input", what=name, detail=how)
        return Reason(kind="parameter", what=name, detail=_old_and_new(name, before, now) or how)
    for name, how in _changes(before.environment, now.environment):
        return Reason(kind="environment", what=name, detail=how)
    return Reason(kind="new", detail="same key, no result")


def _old_and_new(name: str, before: Explanation, now: Explanation) -> str:
    old, new = before.shown.get(name), now.shown.get(name)
    return f"{old} → {new}" if old and new and old != new else ""


def _code_difference(before: Fingerprint | None, now: Fingerprint) -> Reason:
    if before is None:
        return Reason(kind="code", detail="the earlier code is not known")
    changed = list(_changes(before.symbols, now.symbols))
    if not changed:
        changed = list(_changes(before.packages, now.packages))
    if not changed:
        return Reason(kind="code", detail="what it is widened to")
    changed.sort(key=lambda change: change[1] != "changed")
    more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
    return Reason(kind="code", what=changed[0][0], detail=changed[0][1] + more)


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in sorted({*before, *now}):
        if name not in before:
            yield name, "added"
        elif name not in now:
            yield name, "removed"
        elif before[name] != now[name]:
            yield name, "changed"


def _leaves(place: str, value: Argument) -> Iterator[tuple[str, Ref | Literal_]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(f"{place}[{index}]", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(f"{place}.{key}", item)
    else:
        yield place, value


def _code_references(value: Any) -> Iterator[str]:
    """Yield each code reference in a value: settings that name code."""
    if isinstance(reference := getattr(value, "code_reference", None), str):
        yield reference
    elif isinstance(value, Literal_):
        yield from _code_references(value.value)
    elif isinstance(value, Mapping):
        yield from _each(value.values())
    elif isinstance(value, list | tuple):
        yield from _each(value)
    elif hasattr(value, "model_fields_set") or hasattr(value, "__dataclass_fields__"):
        yield from _each(getattr(value, "__dict__", {}).values())


def _each(values: Any) -> Iterator[str]:
    for item in values:
        yield from _code_references(item)


def _short(value: Any) -> str:
    few = isinstance(value, Sequence) and len(value) <= 8
    plain = isinstance(value, int | float | bool | str | None)
    text = repr(value) if plain or few else type(value).__name__
    return text if len(text) <= 60 else text[:57] + "…"


__all__ = ["Choices", "Planned", "Planner", "difference", "key_of", "references"]
