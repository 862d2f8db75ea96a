"""What is torn though it looked whole, such as after bit rot: made anew in the run that meets it.

A hit is told to be whole by size and time. Who reads it finds out more. Then the result goes out of
use, its step is decided once more, and so is what was given it, once it is there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from raypipe.engine.graph import Node
from raypipe.engine.plan import GONE_OR_TORN, LOST, Planned, Planner
from raypipe.engine.ports import Ports
from raypipe.engine.records import Reason, Result
from raypipe.engine.schedule import Schedule


@dataclass
class Torn:
    """Lets outputs that are torn be made anew, each at most once a run."""

    planner: Planner
    ports: Ports
    schedule: Schedule
    _anew: set[str] = field(default_factory=set)
    """Nodes whose outputs are made anew, and maps that gather one which is."""

    def make_anew(self, names: Iterable[str]) -> bool:
        """Let what is torn of these outputs be made anew; say whether one of them is not known now.

        Where all are whole, or were made anew before, nobody but the next run can help.
        """
        asked = set(names)
        for name in asked:
            items = [item.name for item in self.planner.items.get(name, ())]
            for one in (name, *items):
                self._forget_torn(one)
            if (lost := self._unknown(items)) and not self._unknown([name]):
                self._forget(name)
                self.schedule.after(name, lost)
        return bool(self._unknown(asked))

    def decide_after(self, node: Node) -> None:
        """Let a node be decided once more, when all that it is given is known again.

        Of a run in which nothing is made anew that would be a fault of the engine.
        """
        unknown = self._unknown(node.upstream)
        assert unknown <= self._anew, f"{node.name} was decided before its upstream"
        self.planner.planned.pop(node.name, None)
        self.schedule.after(node.name, unknown)

    def told(self, planned: Planned) -> Planned:
        """Return what is decided of a node with the reason that it has because it was torn."""
        if planned.node.name not in self._anew or planned.reason.kind != "new":
            return planned
        return replace(planned, reason=Reason(kind=LOST, detail=GONE_OR_TORN))

    def _unknown(self, names: Iterable[str]) -> set[str]:
        return set(names) - self.planner.known.manifests.keys()

    def _forget_torn(self, name: str) -> None:
        planned = self.planner.planned.get(name)
        result = None if planned is None else planned.result
        if name in self._anew or result is None or self._is_whole(result):
            return
        live = self.ports.ledger.live_results([result.key], self.ports.now()).get(result.key)
        if live is not None and live.id == result.id:  # else another run was faster
            self.ports.ledger.supersede(result.key, LOST)
        self._forget(name)
        self.schedule.again([name])

    def _is_whole(self, result: Result) -> bool:
        return all(self.ports.artifacts.verify(stat.digest) for stat in result.artifacts)

    def _forget(self, name: str) -> None:
        self._anew.add(name)
        self.planner.planned.pop(name, None)
        self.planner.known.forget(name)
