"""For each step of a graph: hit, execute, wait or open, and why; nothing is run or changed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from raypipe.engine.difference import difference, shown_parts
from raypipe.engine.digest import digest_bytes
from raypipe.engine.fingerprint import is_neutral
from raypipe.engine.graph import (
    Argument,
    Decision,
    Graph,
    Literal_,
    Node,
    Ref,
    containers,
    leaves,
    node_of,
    path_of,
)
from raypipe.engine.known import Known, place_in
from raypipe.engine.ports import Ports
from raypipe.engine.records import (
    Action,
    Explanation,
    Fingerprint,
    Reason,
    Result,
    Review,
    StepState,
)
from raypipe.errors import PipelineError, RaypipeError, StoreError

OWN = "raypipe."
"""What the names of raypipe's own steps and classes start with."""
SAME = Reason(kind="same")
IN_ANY_CASE = "runs in any case"
LOST: Final = "lost artifact"
GONE_OR_TORN = "gone or torn"


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
    known: Known = field(init=False)
    items: dict[str, tuple[Node, ...]] = field(default_factory=dict)
    """The items of each map whose list is known."""
    _fingerprints: dict[tuple[str, tuple[str, ...]], Fingerprint] = field(default_factory=dict)
    _named: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Code that a node is given, where that can no longer change."""
    _classes: dict[bytes, frozenset[str]] = field(default_factory=dict)
    _ahead: dict[str, tuple[Explanation, str]] = field(default_factory=dict)
    """Explanation and key of steps whose results were asked for together."""
    _live: Mapping[str, Result] = field(default_factory=dict)
    """What was found of these, by key."""
    _intact: set[str] = field(default_factory=set)
    """Digests of artifacts that were found whole; what is torn may be mended meanwhile."""
    _groups: dict[str, list[Node]] | None = None
    """The items of each batched call of the graph."""

    def __post_init__(self) -> None:
        self.known = Known(self.ports.codec)

    def plan(self) -> tuple[Planned, ...]:
        """Decide every node that can be decided, the others are open; lookups are left out."""
        self._look_ahead()
        makers: dict[str, str] = {}
        for node in self.graph.nodes.values():
            for item in self.expand(node):
                self._plan_one(item, makers)
            self._plan_one(node, makers)
        return self.in_order()

    def _look_ahead(self) -> None:
        """Ask the ledger at once for the results of all steps that are given no other's output."""
        for node in self.graph.nodes.values():
            if node.kind == "step" and not node.upstream and node.condition is None:
                explanation = self._explain(node, self._fingerprint(node))
                self._ahead[node.name] = explanation, key_of(explanation)
        keys = [key for _, key in self._ahead.values()]
        self._live = self.ports.ledger.live_results(keys, self.ports.now()) if keys else {}

    def _plan_one(self, node: Node, makers: dict[str, str]) -> None:
        planned = self.decide(node)
        if planned.action == "execute" and planned.key is not None:
            maker = makers.setdefault(planned.key, node.name)
            if maker != node.name and planned.reason.kind not in {"forced", "uncached"}:
                reason = Reason(kind="upstream", what=maker, detail="makes the same")
                self.planned[node.name] = replace(planned, action="open", reason=reason)

    def in_order(self) -> tuple[Planned, ...]:
        """Return what was decided in the order of the pipeline, items after their map."""
        every = (
            self.planned[one.name]
            for node in self.graph.nodes.values()
            for one in (node, *self.items.get(node.name, ()))
            if one.name in self.planned
        )
        return tuple(planned for planned in every if planned.node.kind != "lookup")

    def decide(self, node: Node) -> Planned:
        """Decide one node; its upstream nodes have been decided before.

        PipelineError and NotFound name the step that is given what cannot be given.
        """
        if node.asked_first - self.known.manifests.keys():
            planned = self.open(node, "" if node.kind == "map" else "its `when` is not known")
        elif not self._is_wanted(node):
            planned = self._nothing(node, Reason(kind="skipped", detail="its `when` is False"))
        elif node.kind == "map":
            planned = self._decide_map(node)
        elif node.upstream - self.known.manifests.keys():
            planned = self._find_whatever_comes(node)
        elif node.kind == "lookup":
            planned = self._look_up(node)
        elif node.kind == "review":
            planned = self._find_review(node)
        else:
            planned = self._find_result(node)
        self.planned[node.name] = planned
        return planned

    def _find_whatever_comes(self, node: Node) -> Planned:
        """Decide a node that is given what is not known yet: a hit if none of that counts."""
        if node.kind != "step":
            return self.open(node)
        if self._counted_upstream(node) - self.known.manifests.keys():
            return self.open(node, self._while_open(node))
        found = self._find_result(node)
        if found.action == "hit":
            return found
        return self.open(node, f"{found.reason}, {IN_ANY_CASE}")

    def _counted_upstream(self, node: Node) -> set[str]:
        counted = self._counted(node).values()
        parts = (part for value in counted for _, part in leaves("", value))
        return {node_of(part) for part in parts if isinstance(part, Ref)}

    def open(self, node: Node, detail: str = "") -> Planned:
        """Say what a node waits for, in words of the steps."""
        unknown = node.upstream - self.known.manifests.keys()
        facts = {name for name in unknown if self.graph.nodes[name].kind == "lookup"}
        behind = {upstream for name in facts for upstream in self.graph.nodes[name].upstream}
        steps = sorted((unknown - facts) | (behind - self.known.manifests.keys()))
        what = next(iter(steps or sorted(unknown)), "")
        reason = Reason(kind="upstream", what=what, detail=detail)
        self.planned[node.name] = Planned(node=node, action="open", reason=reason)
        return self.planned[node.name]

    # --- maps and conditions --------------------------------------------------------------------

    def expand(self, node: Node) -> tuple[Node, ...]:
        """Return the items of a map, once its list is known; none before, and of other nodes.

        PipelineError where what it goes over is no list.
        """
        if node.kind != "map" or node.name in self.items:
            return self.items.get(node.name, ())
        if node.asked_first - self.known.manifests.keys() or not self._is_wanted(node):
            return ()
        given = self._items_given(node)
        if given is None:
            return ()
        assert node.step is not None
        group = node.name if node.step.options.batch else None
        self.items[node.name] = tuple(
            Node(
                name=f"{node.name}[{place}]",
                kind="step",
                step=node.step,
                group=group,
                mapped=node.name,
                arguments={**node.arguments, node.over: item},
            )
            for place, item in enumerate(given)
        )
        return self.items[node.name]

    def _items_given(self, node: Node) -> Sequence[Argument] | None:
        """Return what each item of a map is given; None while its list is not known.

        Over the outputs of another map, each item waits for the one that it is made of alone.
        """
        over = node.arguments[node.over]
        if isinstance(over, Literal_):
            return [Literal_(item) for item in over.value]
        if not isinstance(over, Ref):
            return list(over)
        source, path = node_of(over), path_of(over)
        if not path and source in self.items:
            return [Ref(item.name) for item in self.items[source]]
        if source not in self.known.manifests:
            return None
        items = self.ports.codec.items(self.known.digest_of(over, place_in(node, node.over))[1])
        if items is None:
            raise PipelineError(
                f"{node.name}.map() goes over {over!s}, which is no list",
                hint="let the step give a list or a tuple",
            )
        places = [(*path, place) for place in range(len(items))]
        self.known.parts |= {
            (source, place): item for place, item in zip(places, items, strict=True)
        }
        return [Ref(source, place) for place in places]

    def _decide_map(self, node: Node) -> Planned:
        items = self.expand(node)
        if node.name not in self.items:
            return self.open(node, "its list is not known")
        missing = [item.name for item in items if item.name not in self.known.manifests]
        if missing:
            return self._unfinished(node, missing)
        digest, manifest = self.ports.codec.gather(
            [self.known.manifests[item.name] for item in items]
        )
        self.known.learn(node.name, manifest)
        return Planned(
            node=node,
            action="hit",
            reason=Reason(kind="same", detail=_count(items)),
            digest=digest,
        )

    def _unfinished(self, node: Node, missing: Sequence[str]) -> Planned:
        """Say of a map what is said of the first of its items that is not known."""
        decided = [self.planned[name] for name in missing if name in self.planned]
        if not decided:
            return self.open(node)
        first = next((one for one in decided if one.action == "execute"), decided[0])
        total = len(self.items[node.name])
        detail = f"{len(missing)} of {total} items, {first.reason}"
        reason = Reason(kind=first.reason.kind, what=first.node.name, detail=detail)
        return Planned(node=node, action=first.action, reason=reason)

    def _is_wanted(self, node: Node) -> bool:
        """Say whether a node's condition, which is known, lets it run; it must be a bool."""
        if node.condition is None:
            return True
        digest, _ = self.known.digest_of(node.condition, f"`when` of step {node.name!r}")
        encode = self.ports.codec.encode
        if digest not in {encode(True).digest, encode(False).digest}:
            raise PipelineError(
                f"`when` of step {node.name!r} is given {node.condition!s}, which is no bool",
                hint="let the step give True or False",
            )
        return digest == encode(True).digest

    def _nothing(self, node: Node, reason: Reason) -> Planned:
        """Decide that a node is not wanted: its output is None."""
        nothing = self.ports.codec.encode(None)
        self.known.learn(node.name, nothing.manifest)
        return Planned(node=node, action="hit", reason=reason, digest=nothing.digest)

    def is_forced(self, node: Node) -> bool:
        """Say whether a person chose that a node is executed."""
        return bool(self.choices.force & {node.name, node.group, node.mapped})

    def members(self, group: str) -> Sequence[Node]:
        """Return the items of a batched call."""
        if group in self.items:
            return self.items[group]
        if self._groups is None:
            self._groups = {}
            for node in self.graph.nodes.values():
                if node.group is not None:
                    self._groups.setdefault(node.group, []).append(node)
        return self._groups[group]

    def results_of(self, name: str) -> Iterator[Result]:
        """Yield the results that the output of a node consists of."""
        if name in self.items:
            for item in self.items[name]:
                yield from self.results_of(item.name)
        elif (planned := self.planned.get(name)) and planned.result is not None:
            yield planned.result

    def is_as_planned(self, planned: Planned) -> bool:
        """Say whether the code and the environment that a step was decided by are still there."""
        assert planned.node.step is not None
        assert planned.explanation is not None
        options = planned.node.step.options
        try:
            now = self.ports.reread(planned.node.step.target, self._also(planned.node))
            environment = dict(self.ports.environment(options.depends_on))
        except RaypipeError:  # half of an edit, or a file that is gone
            return False
        explanation = planned.explanation
        return now.digest == explanation.fingerprint and environment == explanation.environment

    # --- what is kept ---------------------------------------------------------------------------

    def _find_result(self, node: Node) -> Planned:
        assert node.step is not None
        options = node.step.options
        fingerprint = self._fingerprint(node)
        ahead = self._ahead.pop(node.name, None)
        if ahead is None:
            explanation = self._explain(node, fingerprint)
            key = key_of(explanation)
            result = self.ports.ledger.live_results([key], self.ports.now()).get(key)
        else:
            explanation, key = ahead
            result = self._live.get(key)
        manifest = None if result is None else self._read(result)
        reason = self._why_not(node, options.cache, result, manifest is not None)
        if reason is None:
            assert result is not None
            assert manifest is not None
            self.known.learn(node.name, manifest)
            return Planned(
                node=node,
                action="hit",
                reason=self._same_until(node, result),
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

    def _same_until(self, node: Node, result: Result) -> Reason:
        expires = expiry(node, result)
        if expires is None:
            return SAME
        return Reason(kind="same", detail=f"expires in {in_time(expires - self.ports.now())}")

    def _is_expired(self, node: Node, result: Result) -> bool:
        expires = expiry(node, result)
        return expires is not None and expires <= self.ports.now()

    def _why_not(
        self, node: Node, cache: bool, result: Result | None, whole: bool
    ) -> Reason | None:
        if self.is_forced(node):
            named = (node.name, node.group, node.mapped)
            forced = next(one for one in named if one in self.choices.force)
            return Reason(kind="forced", what=forced or "")
        if not cache:
            return Reason(kind="uncached", detail="declared with cache=False")
        if result is None:
            return Reason(kind="new")
        if self._is_expired(node, result):
            return Reason(kind="expired", detail=_age_of(node, result))
        return None if whole else Reason(kind=LOST, detail=GONE_OR_TORN)

    def _read(self, result: Result) -> bytes | None:
        """Return the manifest of a result that is whole; None where a part is gone or torn."""
        if not all(map(self._is_intact, result.artifacts)):
            return None
        try:
            return self.ports.artifacts.read(result.root)
        except StoreError:
            return None

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
        if before.explanation == explanation:
            if how := _how_lost(before):
                return Reason(kind=LOST, detail=how)
            if before.expires is not None:
                return Reason(kind="expired", detail=_age_of(node, before))
        known = ledger.fingerprint(before.explanation.fingerprint)
        if known is not None and not _is_of(node, known):
            return Reason(kind="new", detail="the step of this name was another")
        reason = difference(before.explanation, explanation, known, fingerprint, given_to(node))
        return self._of_input(node, before, reason)

    def _of_input(self, node: Node, before: Result, reason: Reason) -> Reason:
        """Say more of a literal that is an input: of a dataset, which shards differ."""
        if reason.kind != "parameter":
            return reason
        name = next(iter(reason.what.partition(".")[0].split("[")))
        value = node.arguments.get(name)
        told = self.ports.compare(value.value, before) if isinstance(value, Literal_) else None
        return reason if told is None else Reason(kind="input", what=name, detail=told)

    def _while_open(self, node: Node) -> str:
        """Say what is known of an open step: what it is given by itself is new, or as before."""
        ledger = self.ports.ledger
        before = ledger.latest_result(self.ports.project, self.graph.pipeline, node.name)
        why = "new" if before is None else self._differs_in_any_case(node, before)
        return f"{why}, {IN_ANY_CASE}" if why else "kept if that gives what it gave"

    def _differs_in_any_case(self, node: Node, before: Result) -> str:
        assert node.step is not None
        options = node.step.options
        if self.is_forced(node):
            return "forced"
        if not options.cache:
            return "declared with cache=False"
        if self._is_expired(node, before):
            return "expired"
        if _how_lost(before):
            return LOST
        known = self.ports.ledger.fingerprint(before.explanation.fingerprint)
        if known is not None and not _is_of(node, known):
            return "new"
        if known is None:
            return "its code changed"
        if other := _other_code(known, self._fingerprint(node)):
            return f"its code changed ({other})"
        if dict(self.ports.environment(options.depends_on)) != before.explanation.environment:
            return "its environment changed"
        for name, value in node.arguments.items():
            digest = before.explanation.parameters.get(name)
            if digest is None or not isinstance(value, Literal_):
                continue
            if self.known.encode(value, place_in(node, name)).digest != digest:
                how = self.ports.compare(value.value, before)
                return f"{name} changed" if how is None else f"{name}: {how}"
        return ""

    # --- reviews and lookups --------------------------------------------------------------------

    def _find_review(self, node: Node) -> Planned:
        if not self._is_asked(node):
            return self._nothing(node, Reason(kind="same", detail="nobody is asked"))
        digest, _ = self.known.digest_of(node.arguments["evidence"], place_in(node, "evidence"))
        found = self.ports.ledger.find_review(
            self.ports.project, self.graph.pipeline, node.name, digest
        )
        if found is None or found.status in {"open", "withdrawn"}:
            again = found is not None and found.status == "withdrawn"
            said = "withdrawn, and asked for again" if again else "not decided"
            reason = Reason(kind="review", what=found.id if found else "", detail=said)
            return Planned(node=node, action="wait", reason=reason, key=digest, review=found)
        assert found.actor is not None
        by = found.actor.name or found.actor.user
        if found.status == "rejected":
            reason = Reason(kind="rejected", what=f"by {by}", detail=found.note or "")
            return Planned(node=node, action="wait", reason=reason, key=digest, review=found)
        decision = Decision(evidence=digest, by=by, note=found.note or "")
        encoded = self.ports.codec.encode(decision)
        self.known.learn(node.name, encoded.manifest)
        return Planned(
            node=node,
            action="hit",
            reason=Reason(kind="approved", what=f"by {by}", detail=found.note or ""),
            digest=encoded.digest,
            key=digest,
            review=found,
        )

    def evidence(self, node: Node) -> bytes:
        """Return the manifest of what a person is shown."""
        return self.known.digest_of(node.arguments["evidence"], place_in(node, "evidence"))[1]

    def _is_asked(self, node: Node) -> bool:
        if "when" not in node.arguments:
            return True
        digest, _ = self.known.digest_of(node.arguments["when"], place_in(node, "when"))
        return digest != self.ports.codec.encode(False).digest

    def _look_up(self, node: Node) -> Planned:
        digests = {
            name: self.known.digest_of(value, place_in(node, name))[0]
            for name, value in node.arguments.items()
        }
        found = self.ports.lookups[node.asks](digests)
        if found is None:
            encoded = self.ports.codec.encode(None)
            self.known.learn(node.name, encoded.manifest)
        else:
            self.known.learn(node.name, self.ports.artifacts.read(found))
        return Planned(
            node=node,
            action="hit",
            reason=Reason(kind="same", detail="" if found else "none yet"),
            digest=found,
        )

    # --- keys -----------------------------------------------------------------------------------

    def check_code(self) -> None:
        """Raise CodeReferenceError or PipelineError where a name is nothing, or something else."""
        for node in self.graph.nodes.values():
            if node.step is not None:
                node.step.check_found()
                self._fingerprint(node)

    def _fingerprint(self, node: Node) -> Fingerprint:
        assert node.step is not None
        asked = (node.step.target, self._also(node))
        if asked not in self._fingerprints:
            self._fingerprints[asked] = self.ports.fingerprint(*asked)
        return self._fingerprints[asked]

    def _also(self, node: Node) -> tuple[str, ...]:
        """Return the code that a step can reach by what it is given.

        What settings name, and the classes of values, whose methods it may call without naming
        them. Of an input that is not known yet there is nothing to say.
        """
        assert node.step is not None
        if node.name in self._named:
            return self._named[node.name]
        found = set(_code_references(node.arguments))
        for name, value in self._counted(node).items():
            for _, part in leaves("", value):
                if isinstance(part, Literal_) or node_of(part) in self.known.manifests:
                    found |= self._classes_of(self.known.digest_of(part, place_in(node, name))[1])
        if node.step.target.startswith(OWN):  # its modules import what they are given
            found = {name for name in found if not name.startswith(OWN)}
        named = tuple(sorted(found))
        if not node.upstream:
            self._named[node.name] = named
        return named

    def _classes_of(self, manifest: bytes) -> frozenset[str]:
        known = self._classes.get(manifest)
        if known is None:
            classes = self.ports.codec.classes(manifest)
            known = frozenset(c for c in classes if not is_neutral(c.partition(":")[0]))
            self._classes[manifest] = known
        return known

    def _counted(self, node: Node) -> dict[str, Argument]:
        assert node.step is not None
        options = node.step.options
        uncounted = {*options.uncounted, options.kept}
        return {name: value for name, value in node.arguments.items() if name not in uncounted}

    def given_aside(self, node: Node) -> dict[str, str]:
        """Return the digests of the artifacts that a step is given and that do not count."""
        counted = self._counted(node)
        return {
            place: digest
            for name, value in node.arguments.items()
            if name not in counted and not isinstance(value, Literal_)
            for at, part in leaves(name, value)
            if not isinstance(part, Literal_) and node_of(part) in self.known.manifests
            for place, digest in self._made(at, part, place_in(node, name))
        }

    def _made(self, at: str, part: Ref, where: str) -> Iterator[tuple[str, str]]:
        """Yield what a reference stands for; of a fact that lists results, each of these.

        No step made the list, so that nothing could be told of where it comes from.
        """
        digest, manifest = self.known.digest_of(part, where)
        items = None
        if self.graph.nodes[node_of(part)].kind == "lookup":
            items = self.ports.codec.items(manifest)
        if items is None:
            yield at, digest
        else:
            yield from ((f"{at}[{place}]", item) for place, (item, _) in enumerate(items))

    def _explain(self, node: Node, fingerprint: Fingerprint) -> Explanation:
        assert node.step is not None
        parameters: dict[str, str] = {}
        inputs: dict[str, str] = {}
        shown: dict[str, str] = {}
        for name, value in self._counted(node).items():
            where = place_in(node, name)
            if isinstance(value, Literal_):
                parameters[name] = self.known.encode(value, where).digest
                shown |= shown_parts(name, value.value)
            else:
                parameters |= {
                    at: digest_bytes(kind.encode()) for at, kind in containers(name, value)
                }
                shown |= containers(name, value)
                inputs |= {
                    at: self.known.digest_of(part, where)[0] for at, part in leaves(name, value)
                }
        return Explanation(
            fingerprint=fingerprint.digest,
            parameters=parameters,
            inputs=inputs,
            environment=dict(self.ports.environment(node.step.options.depends_on)),
            shown=shown,
        )


def expiry(node: Node, result: Result) -> float | None:
    """Return when a result goes out of use, seconds since the epoch; None: never.

    As it was recorded, or sooner where the step now says so: what is kept obeys that at once.
    """
    assert node.step is not None
    lasts = node.step.options.expires
    bounds = (result.expires, None if lasts is None else result.created + lasts)
    return min((bound for bound in bounds if bound is not None), default=None)


def _age_of(node: Node, result: Result) -> str:
    return f"after {(expiry(node, result) or result.created) - result.created:g} s"


def _how_lost(result: Result) -> str:
    """Return what happened to a result that is out of use because it was lost; "" for another."""
    why, _, how = (result.superseded or "").partition(": ")
    return how or GONE_OR_TORN if why == LOST else ""


def _count(items: Sequence[Any]) -> str:
    return f"{len(items):,} item{'' if len(items) == 1 else 's'}"


def given_to(node: Node) -> dict[str, str]:
    """Return which output each input of a node is: place to reference."""
    return {
        place: str(part)
        for name, value in node.arguments.items()
        for place, part in leaves(name, value)
        if isinstance(part, Ref)
    }


def in_time(seconds: float) -> str:
    """Return a time to come in the unit that suits it, whole."""
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0, seconds):.0f} s"


def _is_of(node: Node, fingerprint: Fingerprint) -> bool:
    """Say whether a fingerprint is of a node's function, rather than of one of the same name."""
    assert node.step is not None
    target = node.step.target
    module, _, qualname = target.partition(":")
    return bool({target, f"{module}:{qualname.partition('.')[0]}"} & fingerprint.symbols.keys())


def _other_code(before: Fingerprint, now: Fingerprint) -> str:
    """Return the first code that differs of what is reached now; "" where none does.

    What an unknown input adds is left out.
    """
    symbols = (name for name, digest in now.symbols.items() if before.symbols.get(name) != digest)
    packages = (name for name, v in now.packages.items() if before.packages.get(name) != v)
    return next(symbols, None) or next(packages, "")


def key_of(explanation: Explanation) -> str:
    """Return the key that an explanation stands for: what a kept result is found by."""
    counted = [
        "raypipe key 1",
        explanation.fingerprint,
        sorted([*explanation.parameters.items(), *explanation.inputs.items()]),
        sorted(explanation.environment.items()),
    ]
    return digest_bytes(json.dumps(counted, separators=(",", ":")).encode())


def _code_references(value: Any) -> Iterator[str]:
    """Yield each code reference in a value: settings that name code."""
    if isinstance(value, Ref):
        return
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
