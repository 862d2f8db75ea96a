"""The one loop of a run: decide, submit, record, until nothing is left to do."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from random import random
from typing import Any, Literal

from raypipe.engine.digest import digest_bytes
from raypipe.engine.events import (
    Event,
    MetricLogged,
    RunEnded,
    RunStarted,
    StepEnded,
    StepExpanded,
    StepProgress,
    StepRetried,
    StepStarted,
    Warned,
)
from raypipe.engine.graph import Graph, Node, node_of
from raypipe.engine.plan import LOST, Planned, Planner
from raypipe.engine.ports import (
    AuditMode,
    CallOutcome,
    Claim,
    Ports,
    Published,
    Runtime,
    StepCall,
)
from raypipe.engine.records import ArtifactStat, Json, Metric, Result, Review, RunStatus
from raypipe.engine.retry import again, kind_of
from raypipe.engine.schedule import Schedule
from raypipe.engine.step import Step
from raypipe.engine.torn import Torn
from raypipe.errors import RaypipeError, Rejected, StepFailed, StoreError
from raypipe.fault_points import fault_point

Listener = Callable[[Event], None]
TOGETHER = 64
"""Most calls that one act enters in the ledger, as begun or as ended."""
LOOK = 0.1
"""Seconds between two looks at what the steps at work tell, while these are few."""
LOOKED_AT = 50
"""Steps at work whose number doubles that time."""


@dataclass(frozen=True, kw_only=True)
class Driven:
    """Where a run came to rest."""

    status: RunStatus
    planned: tuple[Planned, ...]
    """Of each step and review, in their order; lookups are no steps."""
    reviews: tuple[Review, ...] = ()
    error: Exception | None = None
    failed: str | None = None
    """The step that failed."""


@dataclass
class _Running:
    """A call under way: the nodes that it makes outputs for, and how far its events were read."""

    nodes: tuple[Planned, ...]
    call: StepCall
    executions: list[int]
    """Numbers of the attempts under way, in the order of the nodes."""
    read: int = 0
    made: set[int] = field(default_factory=set)
    """Places of the nodes whose outputs were handed in, and are recorded."""
    failed: int = 0
    """Attempts that failed."""
    since: float = 0.0
    lasts: float | None = None
    """Seconds for which what it gives is kept, if the step said so."""
    rest: float | None = None
    """For how long after `since` nothing is tried; None while an attempt is under way."""

    @property
    def left(self) -> list[tuple[Planned, int]]:
        """The nodes that are not recorded, each with its attempt."""
        every = enumerate(zip(self.nodes, self.executions, strict=True))
        return [pair for place, pair in every if place not in self.made]


@dataclass
class Drive:
    """Carries one run out.

    `runtime` runs steps; `driver` runs those that belong in this process.
    """

    run: str
    planner: Planner
    ports: Ports
    runtime: Runtime
    driver: Runtime
    where: Literal["inline", "ray"]
    """What kind of runtime `runtime` is."""
    listen: Listener
    stopped: Callable[[], bool] = lambda: False
    """Says whether the run is to end before it has come to rest."""
    chance: Callable[[], float] = random
    """Draws a number from 0 to 1, for pauses between attempts."""
    audit: AuditMode = "warn"
    """What is done about what a step reads and does not declare."""
    read_outputs: Callable[[], object] = lambda: None
    """Reads what the run gives, before it is said to have succeeded; StoreError if it is torn."""
    _torn: Torn = field(init=False)
    _schedule: Schedule = field(default_factory=Schedule)
    _held: dict[str, list[Planned]] = field(default_factory=dict)
    _running: dict[str, _Running] = field(default_factory=dict)
    _starting: list[_Running] = field(default_factory=list)
    """Calls that are handed over at the end of this turn."""
    _contended: deque[str] = field(default_factory=deque)
    """Nodes whose results another process makes."""
    _claims: dict[str, Claim] = field(default_factory=dict)
    _reviews: list[Review] = field(default_factory=list)
    _looked: float = -1.0
    """When the events of the steps at work were read last."""
    _read: dict[Path, int] = field(default_factory=dict)
    """How far the events in scratch folders were read, of calls that are to be made once more."""
    _begun: set[str] = field(default_factory=set)
    """Steps of such calls, whose start was told already."""
    _error: Exception | None = None
    _failed: str | None = None

    def __post_init__(self) -> None:
        self._torn = Torn(planner=self.planner, ports=self.ports, schedule=self._schedule)

    def go(self) -> Driven:
        """Run until everything is known, or waits, or failed; KeyboardInterrupt if stopped."""
        self._announce()
        try:
            while True:
                if self.stopped():
                    raise KeyboardInterrupt
                self._try_rested()
                self._decide_ready()
                if not self._running and not self._submit_held() and not self._contended:
                    if self._gives_what_is_torn():
                        continue
                    return self._rest()
                ended = iter(self._wait())
                while some := list(islice(ended, TOGETHER)):
                    self._finish(some)
                self._look_again()
        except KeyboardInterrupt:
            if self.where == "ray":  # what ended beside this process is not lost
                self._finish(self.runtime.wait(0))
            raise
        finally:
            for running in self._running.values():
                self._end_attempts(running, "cancelled")
            for claim in self._claims.values():
                claim.release()

    # --- deciding -------------------------------------------------------------------------------

    def _announce(self) -> None:
        nodes = self._graph.nodes
        for node in nodes.values():
            self._schedule.add(node)
        steps = tuple(node.name for node in nodes.values() if node.kind != "lookup")
        self.listen(RunStarted(run=self.run, pipeline=self._graph.pipeline, steps=steps))

    @property
    def _graph(self) -> Graph:
        return self.planner.graph

    def _decide_ready(self) -> None:
        while self._error is None and (node := self._schedule.next(self.runtime.room)) is not None:
            try:
                if node.kind == "map" and self._expand(node):
                    continue
                planned = self.planner.decide(node)
            except RaypipeError as error:
                self._fail(self.planner.open(node), error)
            else:
                self._act(self._torn.told(planned))
        if self._error is None:
            for group in [g for g in self._held if self._group_is_decided(g)]:
                self._submit(tuple(self._held.pop(group)))
        self._start()

    def _expand(self, node: Node) -> bool:
        """Let the items of a map be decided, once; True where the map waits for them."""
        if self._schedule.expanded(node):
            return False
        items = self.planner.expand(node)
        if node.name not in self.planner.items:  # it is skipped
            return False
        self.listen(StepExpanded(step=node.name, items=len(items)))
        self._schedule.expand(node, items)
        return bool(items)

    def _submit_held(self) -> bool:
        """Submit items whose fellows in the batch are not to be had in this run."""
        if self._error is None:
            for group in list(self._held):
                self._submit(tuple(self._held.pop(group)))
        self._start()
        return bool(self._running)

    def _act(self, planned: Planned) -> None:
        match planned.action:
            case "hit":
                if planned.node.kind != "lookup":
                    self.listen(StepEnded(state=planned.state))
                self._schedule.known(planned.node.name)
            case "wait":
                self._ask(planned)
            case "execute" if not self._claim(planned):
                self._contended.append(planned.node.name)
            case "execute" if self._is_made(planned):
                self._let_go(planned)
                self._schedule.again([planned.node.name])
            case "execute" if planned.node.group:
                self._held.setdefault(planned.node.group, []).append(planned)
            case "execute":
                self._submit((planned,))
            case "open":
                self._torn.decide_after(planned.node)

    def _claim(self, planned: Planned) -> bool:
        """Claim a key, so that two runs at once make its result once."""
        assert planned.key is not None
        claim = self.ports.claim(planned.key)
        if claim is not None:
            self._claims[planned.key] = claim
            fault_point("claim.taken")
        return claim is not None

    def _is_made(self, planned: Planned) -> bool:
        """Say whether another process recorded the result between the decision and the claim."""
        assert planned.key is not None
        if planned.reason.kind in {"forced", "uncached"}:
            return False
        live = self.ports.ledger.live_results([planned.key], self.ports.now()).get(planned.key)
        return live is not None and (planned.result is None or live.id != planned.result.id)

    def _let_go(self, planned: Planned) -> None:
        if planned.key in self._claims:
            self._claims.pop(planned.key).release()

    def _look_again(self) -> None:
        """Decide anew what another process was making: it may be there, or be nobody's."""
        if self._error is not None:
            self._contended.clear()
        self._schedule.again(self._contended)
        self._contended.clear()

    def _group_is_decided(self, group: str) -> bool:
        return all(node.name in self.planner.planned for node in self.planner.members(group))

    def _ask(self, planned: Planned) -> None:
        if planned.reason.kind == "rejected":
            note = f": {planned.reason.detail}" if planned.reason.detail else ""
            self._fail(
                planned, Rejected(f"{planned.node.name} was rejected {planned.reason.what}{note}")
            )
            return
        assert planned.key is not None
        self.ports.artifacts.put_bytes(self.planner.evidence(planned.node), planned.key)
        review = self.ports.ledger.open_review(
            Review(
                id=digest_bytes(f"{planned.node.name} {planned.key}".encode())[:12],
                project=self.ports.project,
                pipeline=self._graph.pipeline,
                step=planned.node.name,
                run=self.run,
                evidence=planned.key,
                status="open",
                created=self.ports.now(),
            ),
            self.ports.effects_of,
        )
        fault_point("review.opened")
        if review.status != "open":  # decided since it was looked for
            self._schedule.again([planned.node.name])
            return
        self._reviews.append(review)
        reason = replace(planned.reason, what=review.id, detail="not decided")
        planned = replace(planned, review=review, reason=reason)
        self.planner.planned[planned.node.name] = planned
        self.listen(StepEnded(state=planned.state))

    # --- executing ------------------------------------------------------------------------------

    def _submit(self, batch: tuple[Planned, ...]) -> None:
        """Let a call be started with those that the same turn of the loop brings."""
        for planned in batch:
            if planned.reason.kind in {LOST, "expired"} and planned.result is not None:
                self.ports.ledger.supersede(planned.result.key, planned.reason.kind)
        call = replace(self._call(batch), stats=self._publish_given(batch))
        fault_point("literals.published")
        read = self._read.pop(call.scratch, 0)
        running = _Running(nodes=batch, call=call, executions=[], read=read)
        running.call = replace(
            call,
            listen=lambda: self._read_events(running),
            give_up=lambda error: self._lose(running, error),
        )
        self._running[call.id] = running
        self._schedule.begun(batch[0].node)
        self._starting.append(running)
        if len(self._starting) == TOGETHER:
            self._start()

    def _start(self) -> None:
        """Enter the attempts of what is to be started, in one act, and hand it over."""
        starting, self._starting = self._starting, []
        if not starting:
            return
        begun = self.ports.ledger.together(
            lambda: [[self._start_attempt(planned) for planned in one.nodes] for one in starting]
        )
        for running, executions in zip(starting, begun, strict=True):
            running.executions = executions
        fault_point("attempt.entered")
        for running in starting:
            self._hand_over(running)

    def _hand_over(self, running: _Running) -> None:
        batch = running.nodes
        in_driver = _step_of(batch[0].node).options.driver
        where: Literal["driver", "inline", "ray"] = "driver" if in_driver else self.where
        for planned in batch:
            step = planned.node.name
            if step not in self._begun:
                self.listen(StepStarted(step=step, reason=str(planned.reason), where=where))
        self._begun -= {planned.node.name for planned in batch}
        self._runtime_of(running).submit(running.call)

    def _runtime_of(self, running: _Running) -> Runtime:
        in_driver = _step_of(running.nodes[0].node).options.driver
        return self.driver if in_driver else self.runtime

    def _publish_given(self, batch: tuple[Planned, ...]) -> dict[str, ArtifactStat]:
        """Publish the literals that a call is given; return what all that it is given looks like.

        The items of its fellows are given too, where the step is told what is kept of them.
        """
        stats: dict[str, ArtifactStat] = {}
        for node in (*(planned.node for planned in batch), *self._kept_fellows(batch)):
            for encoded in self.planner.known.blobs_given(node):
                stats |= {stat.digest: stat for stat in _publish(self.ports, encoded.blobs)}
        for result in self._given(batch):
            stats |= {stat.digest: stat for stat in result.artifacts}
        return stats

    def _given(self, batch: tuple[Planned, ...]) -> Iterator[Result]:
        """Yield the results that a call is given."""
        fellows = self._kept_fellows(batch)
        items = (*(planned.node for planned in batch), *fellows)
        given = {*(node.name for node in fellows), *(name for n in items for name in n.upstream)}
        for name in given:
            yield from self.planner.results_of(name)

    def _start_attempt(self, planned: Planned) -> int:
        return self.ports.ledger.start_execution(
            self.run,
            planned.node.name,
            key=planned.key or "",
            host=self.ports.actor.host,
            reason=str(planned.reason),
        )

    def _call(self, batch: tuple[Planned, ...]) -> StepCall:
        node = batch[0].node
        step = _step_of(node)
        options = step.options
        keys = [planned.key or "" for planned in batch]
        scratch = self.ports.scratch.make(tuple(keys))
        known = self.planner.known
        arguments = known.arguments(node)
        if options.batch is not None:
            arguments[options.batch] = [
                known.arguments(planned.node)[options.batch] for planned in batch
            ]
        if options.batch is not None and options.kept is not None:
            arguments[options.kept] = [
                (
                    self.planner.known.arguments(fellow)[options.batch],
                    self.planner.known.manifests[fellow.name],
                )
                for fellow in self._kept_fellows(batch)
            ]
        return StepCall(
            id=keys[0],
            step=node.group or node.name,
            target=step.target,
            root=self.ports.root,
            folders=self.ports.folders,
            arguments=arguments,
            batch=options.batch,
            resources={
                "num_cpus": options.num_cpus,
                "num_gpus": options.num_gpus,
                **({"memory": options.memory} if options.memory else {}),
                **options.resources,
            },
            timeout=options.timeout,
            scratch=scratch,
            events=scratch / "events.jsonl",
            run=self.run,
            home=self.ports.home,
            declared=options.depends_on,
            expires=options.expires,
            audit=self.audit if options.cache else "off",
            passed_on=any(self._schedule.is_waited_for(planned.node.name) for planned in batch),
            function=step.function,
        )

    def _kept_fellows(self, batch: tuple[Planned, ...]) -> list[Node]:
        """Return the other items of a batched call that are known, if the step is told of them."""
        group, mine = batch[0].node.group, {planned.node.name for planned in batch}
        if _step_of(batch[0].node).options.kept is None:
            return []
        assert group is not None
        known = self.planner.known.manifests.keys() - mine
        return [node for node in self.planner.members(group) if node.name in known]

    def _wait(self) -> Sequence[CallOutcome]:
        outcomes = self.driver.wait(0) or self.runtime.wait(0.1)
        if all(running.rest is not None for running in self._running.values()):
            self.ports.pause(0.05)
        now = self.ports.now()
        if not 0 <= now - self._looked < LOOK * (1 + len(self._running) / LOOKED_AT):
            self._looked = now
            for running in self._running.values():
                self._read_events(running)
        return outcomes

    def _read_events(self, running: _Running) -> None:
        events, running.read = self.ports.scratch.events(running.call.scratch, running.read)
        metrics: dict[str, list[Metric]] = {}
        for event in events:
            match event["event"]:
                case "progress":
                    self._tell_progress(running, event)
                case "warning" if event["run"] == self.run:
                    self.listen(Warned(step=running.call.step, text=event["text"]))
                case "metric":
                    step = _curve_of(running, event)
                    metrics.setdefault(step, []).append(self._metric(step, event))
                case "expires" if event["run"] == self.run:
                    running.lasts = event["after"]
                case "made" if event["run"] == self.run:
                    self._record_made(running, event)
        for step, points in metrics.items():
            self.ports.ledger.record_metrics(self.run, step, points)

    def _tell_progress(self, running: _Running, event: Json) -> None:
        if running.left:  # one word for a whole batch, however many items it has
            done, total, what = event["done"], event["total"], event["what"]
            self.listen(StepProgress(step=running.call.step, done=done, total=total, what=what))

    def _metric(self, step: str, event: Json) -> Metric:
        name, value, at = event["name"], event["value"], event["step"]
        self.listen(MetricLogged(step=step, name=name, value=value, at=at))
        return Metric(name=name, value=value, step=at, time=event["time"])

    # --- recording ------------------------------------------------------------------------------

    def _record_made(self, running: _Running, event: Json) -> None:
        """Record an item of a batch while the others are being made; its claim ends with the call.

        Where the code moved meanwhile, or the store fails, the end of the call says what becomes
        of it.
        """
        place = event["item"]
        planned = running.nodes[place]
        if place in running.made or not self.planner.is_as_planned(planned):
            return
        stats = tuple(ArtifactStat(**stat) for stat in event["artifacts"])
        published = Published(root=event["root"], artifacts=stats)

        def enter() -> Result:
            recorded = self._enter_result(planned, published, event["seconds"], running.lasts)
            self.ports.ledger.end_execution(running.executions[place], "succeeded")
            return recorded

        with suppress(StoreError):
            recorded = self.ports.ledger.together(enter)
            fault_point("result.recorded")
            self._take_up(planned, recorded, event["seconds"])
            running.made.add(place)

    def _finish(self, outcomes: Sequence[CallOutcome]) -> None:
        """Record what some calls came to, in one act where that can be."""
        kept, failed = [], []
        for outcome in outcomes:
            running = self._running.pop(outcome.id)
            if running.rest is None:
                self._schedule.ended(running.nodes[0].node)
            self._read_events(running)
            error = outcome.error or self._what_moved(running)
            if error is None:
                kept.append((running, outcome))
            else:
                failed.append((running, error))
        for running, error in (*failed, *self._record(kept)):
            if not self._is_mended(running, error) and not self._rests(running, error):
                self._give_up(running, error)

    def _record(
        self, kept: Sequence[tuple[_Running, CallOutcome]]
    ) -> list[tuple[_Running, Exception]]:
        """Record what calls came to, in one act; return what could not be recorded."""
        if not kept:
            return []
        try:
            recorded = self.ports.ledger.together(lambda: [self._enter(*one) for one in kept])
        except RaypipeError as raised:
            if len(kept) == 1:
                return [(kept[0][0], raised)]
            return [failed for one in kept for failed in self._record([one])]
        fault_point("result.recorded")
        for (running, outcome), results in zip(kept, recorded, strict=True):
            self._keep(running, outcome, results)
        return []

    def _enter(self, running: _Running, outcome: CallOutcome) -> dict[int, Result]:
        """Enter the results of a call that are not recorded yet, by place, and its end."""
        outputs = enumerate(zip(running.nodes, outcome.outputs, strict=True))
        seconds = outcome.seconds / len(running.nodes)
        results = {
            place: self._enter_result(planned, published, seconds, running.lasts)
            for place, (planned, published) in outputs
            if place not in running.made
        }
        self._end_attempts(running, "succeeded")
        return results

    def _keep(self, running: _Running, outcome: CallOutcome, results: dict[int, Result]) -> None:
        seconds = outcome.seconds / len(running.nodes)
        try:
            for place, recorded in results.items():
                self._take_up(running.nodes[place], recorded, seconds)
        except RaypipeError as raised:  # its artifact is gone already
            self._give_up(running, raised)
            return
        self.ports.scratch.drop(running.call.scratch)
        fault_point("scratch.dropped")
        for planned in running.nodes:
            self._let_go(planned)

    def _is_mended(self, running: _Running, error: Exception) -> bool:
        """Say whether a call that met something torn is decided once more, when that is whole."""
        if not isinstance(error, StoreError) or self._error is not None:
            return False
        left = [planned.node for planned, _ in running.left]
        fellows = {node.name for node in self._kept_fellows(running.nodes)}
        given = {name for node in left for name in node.upstream}
        if not left or not self._torn.make_anew(given | fellows):
            return False
        self._end_attempts(running, "failed", _told(error))
        self._read[running.call.scratch] = running.read
        for planned in running.nodes:
            self._let_go(planned)
        said = f"step {running.call.step!r} cannot read what it is given: {error}; it is made anew"
        self.listen(Warned(step="", text=said))
        for node in left:
            self._begun.add(node.name)
            self._torn.decide_after(node)
        return True

    def _gives_what_is_torn(self) -> bool:
        """Say whether something that the run gives is torn, and made anew now.

        What cannot be made anew fails the run: nobody could read what it gives.
        """
        if self._error is not None or self._reviews:
            return False
        try:
            self.read_outputs()
        except StoreError as error:
            if self._torn.make_anew({node_of(ref) for ref in self._graph.outputs.values()}):
                self.listen(Warned(step="", text=f"{error}; it is made anew"))
                return True
            self._error = error
        return False

    def _rests(self, running: _Running, error: Exception) -> bool:
        """Say whether a call that failed is to be tried again; it rests until then."""
        running.failed += 1
        options = _step_of(running.nodes[0].node).options
        another = again(running.failed, error, options, self.chance())
        if another is None or self._error is not None or not running.left:
            return False
        self._end_attempts(running, "failed", _told(error))
        running.since, running.rest = self.ports.now(), another.wait
        self._running[running.call.id] = running
        for planned, _ in running.left:
            self.listen(
                StepRetried(
                    step=planned.node.name,
                    cause=kind_of(error),
                    why=str(error),
                    wait=another.wait,
                    left=another.left,
                )
            )
        return True

    def _try_rested(self) -> None:
        """Try again what has rested; nothing is begun in a run that failed."""
        for running in [one for one in self._running.values() if one.rest is not None]:
            if self._error is not None:
                self._finish([_not_again(running.call)])
            elif not running.since <= self.ports.now() < running.since + (running.rest or 0):
                running.rest = None
                self._schedule.begun(running.nodes[0].node)
                running.executions = [
                    execution if place in running.made else self._start_attempt(planned)
                    for place, (planned, execution) in enumerate(
                        zip(running.nodes, running.executions, strict=True)
                    )
                ]
                running.call = replace(running.call, attempt=running.failed + 1)
                self._runtime_of(running).submit(running.call)

    def _lose(self, running: _Running, error: Exception) -> None:
        """Record that the run ends with its process, which a call does not let go of."""
        self._end_attempts(running, "failed", _told(error))
        self.ports.ledger.end_run(self.run, RunStatus.FAILED, _told(error))

    def _give_up(self, running: _Running, error: Exception) -> None:
        if isinstance(error, StoreError):
            self._give_up_torn(running)
        self._end_attempts(running, "failed", _told(error))
        for planned, _ in running.left:
            self._fail(planned, error)
        for planned in running.nodes:
            self._let_go(planned)

    def _what_moved(self, running: _Running) -> Exception | None:
        """Return an error if the code that ran may be other than the code of the key."""
        for planned, _ in running.left:
            if not self.planner.is_as_planned(planned):
                return StepFailed(
                    f"the code of step {planned.node.name!r}, or what it depends on, changed while "
                    "it ran: its result is not kept",
                    step=planned.node.name,
                    kind="CodeChanged",
                    hint="run again",
                )
        return None

    def _give_up_torn(self, running: _Running) -> None:
        """Take kept results out of use whose artifacts are torn, though they look whole."""
        for result in self._given(running.nodes):
            if not all(self.ports.artifacts.verify(stat.digest) for stat in result.artifacts):
                self.ports.ledger.supersede(result.key, LOST)

    def _end_attempts(
        self,
        running: _Running,
        status: Literal["succeeded", "failed", "cancelled"],
        error: Json = None,
    ) -> None:
        for _, execution in running.left:
            self.ports.ledger.end_execution(execution, status, error)

    def _enter_result(
        self, planned: Planned, published: Published, seconds: float, lasts: float | None
    ) -> Result:
        assert planned.key is not None
        assert planned.explanation is not None
        assert planned.fingerprint is not None
        bounds = (_step_of(planned.node).options.expires, lasts)
        lasts = min((bound for bound in bounds if bound is not None), default=None)
        aside = self.planner.given_aside(planned.node) | self._fellows_aside(planned)
        now = self.ports.now()
        return self.ports.ledger.record(
            Result(
                key=planned.key,
                step=planned.node.name,
                root=published.root,
                artifacts=published.artifacts,
                explanation=replace(planned.explanation, aside=aside),
                run=self.run,
                seconds=seconds,
                created=now,
                expires=None if lasts is None else now + lasts,
            ),
            planned.fingerprint,
            forced=planned.reason.kind in {"forced", "uncached"},
        )

    def _fellows_aside(self, planned: Planned) -> dict[str, str]:
        """Return the digests of the other items of its batch that an item may have learned from.

        Of those that ended while it was made, too.
        """
        kept = _step_of(planned.node).options.kept
        fellows = self._kept_fellows((planned,))
        digests = [self.planner.planned[fellow.name].digest for fellow in fellows]
        return {f"{kept}[{n}]": digest for n, digest in enumerate(digests) if digest}

    def _take_up(self, planned: Planned, recorded: Result, seconds: float) -> None:
        """Go on from a result that is recorded."""
        self.planner.known.learn(planned.node.name, self.ports.artifacts.read(recorded.root))
        done = replace(planned, digest=recorded.root, seconds=seconds, result=recorded)
        self.planner.planned[planned.node.name] = done
        self.listen(StepEnded(state=done.state))
        self._schedule.known(planned.node.name)

    def _fail(self, planned: Planned, error: Exception) -> None:
        if self._error is None:
            self._error, self._failed = error, planned.node.name
            if isinstance(error, StepFailed):
                error.step = planned.node.name
        self.listen(StepEnded(state=planned.state, failed=True))

    # --- the end --------------------------------------------------------------------------------

    def _rest(self) -> Driven:
        for node in list(self._schedule.nodes.values()):
            if node.name not in self.planner.planned:
                self._decide_unreached(node)
        planned = self.planner.in_order()
        if isinstance(self._error, Rejected):
            status = RunStatus.REJECTED
        elif self._error is not None:
            status = RunStatus.FAILED
        else:
            status = RunStatus.WAITING if self._reviews else RunStatus.SUCCEEDED
        self.listen(RunEnded(run=self.run, status=status))
        return Driven(
            status=status,
            planned=planned,
            reviews=tuple(self._reviews),
            error=self._error,
            failed=self._failed,
        )

    def _decide_unreached(self, node: Node) -> None:
        try:
            self.planner.decide(node)
        except RaypipeError:  # it would have failed, had the run come so far
            self.planner.open(node)


def _step_of(node: Node) -> Step[..., Any]:
    assert node.step is not None
    return node.step


def _told(error: Exception) -> Json:
    return {"kind": type(error).__name__, "message": str(error)}


def _not_again(call: StepCall) -> CallOutcome:
    said = f"step {call.step!r} was not tried again, since the run failed meanwhile"
    return CallOutcome(id=call.id, error=StepFailed(said, step=call.step))


def _curve_of(running: _Running, event: Json) -> str:
    """Return the step that a point of a curve is of: the call's, or that of one of its items."""
    place: int = event.get("item", -1)
    known = 0 <= place < len(running.nodes)
    return running.nodes[place].node.name if known else running.call.step


def _publish(ports: Ports, blobs: Sequence[bytes | Path]) -> list[ArtifactStat]:
    put_path, put_bytes = ports.artifacts.put_path, ports.artifacts.put_bytes
    return [put_path(blob) if isinstance(blob, Path) else put_bytes(blob) for blob in blobs]
