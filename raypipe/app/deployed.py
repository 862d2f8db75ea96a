"""Which deployed model versions a plan leaves behind: what made them would be executed anew."""

from collections.abc import Iterator, Mapping, Sequence

from raypipe.app.assemble import Workshop
from raypipe.engine.graph import Graph
from raypipe.engine.plan import Planned
from raypipe.engine.records import Json

MAKER = "train"
"""The step whose result a version is, in a cycle."""


def left_behind(workshop: Workshop, graph: Graph, planned: Sequence[Planned]) -> tuple[Json, ...]:
    """Return each version that is named by an alias, answers or is loaded, and is made anew.

    With the step of its making that the plan executes, and why.
    """
    if MAKER not in graph.nodes or not workshop.ledger.models():
        return ()
    would = _executed(graph, {item.node.name: item for item in planned})
    if would is None:
        return ()
    return tuple(_found(workshop, graph.pipeline, would))


def _executed(graph: Graph, planned: Mapping[str, Planned]) -> Planned | None:
    """Return what the plan executes of a model's making: its last step, or the first before it."""
    maker = planned[MAKER]
    if maker.action == "execute":
        return maker
    if maker.action == "hit":
        return None
    before = _before(graph, MAKER)
    found = (planned[name] for name in graph.nodes if name in before and name in planned)
    return next((item for item in found if item.action == "execute"), None)


def _before(graph: Graph, name: str) -> set[str]:
    found: set[str] = set()
    ahead = [name]
    while ahead:
        new = graph.nodes[ahead.pop()].upstream - found
        found |= new
        ahead += new
    return found


def _found(workshop: Workshop, pipeline: str, would: Planned) -> Iterator[Json]:
    ledger = workshop.ledger
    for model in ledger.models():
        roles = _roles(workshop, model)
        for row in ledger.versions(model):
            if row.version not in roles:
                continue
            run = ledger.get_run(row.run)
            if (run.project, run.pipeline) == (workshop.project, pipeline):
                yield {
                    "model": model,
                    "version": row.version,
                    "roles": roles[row.version],
                    "step": would.node.name,
                    "certain": would.node.name == MAKER,
                    "reason": would.state.to_json()["reason"],
                }


def _roles(workshop: Workshop, model: str) -> dict[str, list[str]]:
    """Return what versions are to those who ask: by which alias, with which share, and if so."""
    from raypipe.app.gateway import find
    from raypipe.app.routes import shares_of

    ledger = workshop.ledger
    roles: dict[str, list[str]] = {}
    for alias, version in ledger.aliases(model).items():
        roles.setdefault(version, []).append(alias)
    shares = {version: share for version, share in shares_of(ledger, model).items() if share}
    up = find(workshop.paths)
    for version, share in shares.items():
        told = roles.setdefault(version, [])
        if len(shares) > 1:
            told.append(f"{share:.0%} of requests")
        if up is not None and up.status == "ready":
            told.append("serving")
    return roles
