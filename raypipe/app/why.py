"""Why a step is what it is in a plan: all that differs, and the lines of code that do."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from raypipe.app.prepare import Prepared, no_step, planner_for, prepare
from raypipe.app.request import RunRequest
from raypipe.engine.difference import Change, changes
from raypipe.engine.graph import Literal_
from raypipe.engine.plan import Planned, Planner, given_to
from raypipe.engine.records import Fingerprint, Json, Result, StepState


@dataclass(frozen=True, kw_only=True)
class Why:
    """Why a step would run, all that differs, and the lines of code that do."""

    state: StepState
    changes: tuple[Change, ...] = ()
    """Everything that differs from the result that the newest run used or made."""
    lines: tuple[str, ...] = ()
    """A unified diff of the sources that differ, symbol by symbol."""
    widened: tuple[str, ...] = ()
    """What could not be told from the code, so that more of it counts."""

    def to_json(self) -> Json:
        """The step's state, what differs, the lines, and what was widened."""
        return {
            "event": "why",
            **self.state.to_json(),
            "changes": [change.to_json() for change in self.changes],
            "lines": list(self.lines),
            "widened": list(self.widened),
        }


def why(request: RunRequest, step: str) -> Why:
    """Say why a step is what it is in the plan, with the source lines that differ."""
    prepared = prepare(request, write=False)
    planner = planner_for(prepared, request)
    planned = {item.node.name: item for item in planner.plan()}
    if step not in planned:
        raise no_step(step, prepared.graph)
    item = planned[step]
    widened = () if item.fingerprint is None else item.fingerprint.widened
    before = _before(prepared, step) if item.action in {"execute", "open"} else None
    if before is None:
        return Why(state=item.state, widened=widened)
    known = prepared.workshop.ledger.fingerprint(before.explanation.fingerprint)
    if item.fingerprint is None:
        return _of_open(prepared, planner, item, known)
    return Why(
        state=item.state,
        changes=tuple(_changes(planner, item, before, known)),
        lines=tuple(_code_lines(prepared, known, item.fingerprint)) if known else (),
        widened=widened,
    )


def _of_open(prepared: Prepared, planner: Planner, item: Planned, known: Fingerprint | None) -> Why:
    """Say which code differs of a step that is given what is not known yet.

    What it reaches by that alone is left out.
    """
    if item.node.step is None or known is None:
        return Why(state=item.state)
    now = planner.ports.fingerprint(item.node.step.target, ())
    reached = {name: known.symbols[name] for name in now.symbols if name in known.symbols}
    lines = _code_lines(prepared, replace(known, symbols=reached), now)
    return Why(state=item.state, lines=tuple(lines), widened=now.widened)


def _before(prepared: Prepared, step: str) -> Result | None:
    workshop = prepared.workshop
    return workshop.ledger.latest_result(workshop.project, prepared.graph.pipeline, step)


def _changes(
    planner: Planner, item: Planned, before: Result, known: Fingerprint | None
) -> Iterator[Change]:
    """Yield what differs; of a dataset, which shards do instead of the parts of its record."""
    assert item.explanation is not None
    assert item.fingerprint is not None
    given = given_to(item.node)
    told: set[str] = set()
    for change in changes(before.explanation, item.explanation, known, item.fingerprint, given):
        name = change.what.partition(".")[0].partition("[")[0]
        value = item.node.arguments.get(name) if change.kind == "parameter" else None
        how = planner.ports.compare(value.value, before) if isinstance(value, Literal_) else None
        if how is None:
            yield change
        elif name not in told:
            told.add(name)
            yield Change(kind="input", what=name, how=how)


def _code_lines(prepared: Prepared, known: Fingerprint, now: Fingerprint) -> Iterator[str]:
    from difflib import unified_diff

    ledger = prepared.workshop.ledger
    for name in sorted({*known.symbols, *now.symbols}):
        old, new = known.symbols.get(name), now.symbols.get(name)
        if old == new:
            continue
        old_text = (ledger.symbol_source(old) or "") if old else ""
        new_text = now.sources.get(new, "") if new else ""
        yield from unified_diff(
            old_text.splitlines(),
            new_text.splitlines(),
            f"{name} (kept)",
            f"{name} (now)",
            "",
            "",
            2,
            "",
        )
