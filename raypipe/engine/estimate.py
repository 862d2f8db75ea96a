"""How long what a plan says will take, from how long the same steps took before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import median

from raypipe.engine.plan import IN_ANY_CASE, Planned
from raypipe.engine.records import Json
from raypipe.engine.schedule import scope_of

LAST = 5
"""Results of a step that are looked back on."""
FELLOWS = 20
"""Items of a batch that are looked at for one that is new."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Seconds that a run will take: one after the other inline, the longest way on Ray."""

    seconds: float
    """Of what is executed for sure."""
    most: float
    """Where all that is open is executed too."""
    unknown: tuple[str, ...] = ()
    """Steps that would or may be executed, and never were; maps whose items are not known."""
    steps: Mapping[str, float] = field(default_factory=dict)
    """Step to its own seconds, of those that would or may be executed."""

    def to_json(self) -> Json:
        """The estimate as a JSON object."""
        return {
            "seconds": self.seconds,
            "most": self.most,
            "unknown": list(self.unknown),
            "steps": dict(self.steps),
        }


def estimate(
    planned: Sequence[Planned], took: Callable[[str], Sequence[float]], *, parallel: bool
) -> Estimate:
    """Return how long a plan takes; `took` gives the last seconds of a step, by its name."""
    asked = [item for item in planned if item.action in {"execute", "open"}]
    steps = [item for item in asked if item.node.kind == "step"]
    known = _medians(steps, took)
    sure = {item.node.name for item in steps if is_sure(item)}
    whole = _longest if parallel else _sum
    return Estimate(
        seconds=whole(planned, {name: s for name, s in known.items() if name in sure}),
        most=whole(planned, known),
        unknown=tuple(
            item.node.name
            for item in asked
            if (item.node.kind == "step" and item.node.name not in known)
            or (item.node.kind == "map" and item.action == "open")
        ),
        steps=known,
    )


def is_sure(planned: Planned) -> bool:
    """Say whether a step is executed whatever upstream steps give."""
    return planned.action == "execute" or planned.reason.detail.endswith(IN_ANY_CASE)


def _medians(steps: Sequence[Planned], took: Callable[[str], Sequence[float]]) -> dict[str, float]:
    """Return the usual seconds of each step; of an item that is new, those of its fellows."""
    own = {item.node.name: took(item.node.name) for item in steps}
    fellows: dict[str, list[float]] = {}
    for item in steps:
        of = item.node.group or item.node.mapped
        if of and len(fellows.setdefault(of, [])) < FELLOWS:
            fellows[of] += own[item.node.name]
    found = {
        item.node.name: own[item.node.name]
        or fellows.get(item.node.group or item.node.mapped or "", [])
        for item in steps
    }
    return {name: median(seconds) for name, seconds in found.items() if seconds}


def _sum(planned: Sequence[Planned], seconds: Mapping[str, float]) -> float:
    return sum(seconds.values())


def _longest(planned: Sequence[Planned], seconds: Mapping[str, float]) -> float:
    """Return the seconds of the longest way through the graph; a batch is one call.

    Of steps with `at_once` no more go on beside one another, each as soon as one before it ends.
    What else there is room for is not known before there is a Ray.
    """
    call = {item.node.name: item.node.group or item.node.name for item in planned}
    lengths: dict[str, float] = {}
    for item in planned:
        name = call[item.node.name]
        lengths[name] = lengths.get(name, 0.0) + seconds.get(item.node.name, 0.0)
    begins: dict[str, float] = {}
    ends: dict[str, float] = {}
    free: dict[str, list[float]] = {}
    for item in planned:  # upstream comes first
        name = call[item.node.name]
        after = max((ends.get(call.get(one, one), 0.0) for one in item.node.upstream), default=0.0)
        step = item.node.step
        if lengths[name] and step is not None and step.options.at_once and not item.node.group:
            slots = free.setdefault(scope_of(item.node), [0.0] * step.options.at_once)
            after = max(after, heappop(slots))
            heappush(slots, after + lengths[name])
        begins[name] = max(begins.get(name, 0.0), after)
        ends[name] = max(ends.get(name, 0.0), begins[name] + lengths[name])
        if of := item.node.mapped:  # the map ends with the last of its items
            ends[of] = max(ends.get(of, 0.0), ends[name])
    return max(ends.values(), default=0.0)
