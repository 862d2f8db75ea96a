"""Runs found by what they were given and what came of them, the newest or the best first.

What an expression says of settings, of a metric, of tags or of the pipeline is asked of the
ledger's indices; the rest is read run by run, until enough are found.
"""

import json
import math
from bisect import insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import chain, islice
from typing import Any

from raypipe.app.alive import as_it_is
from raypipe.app.assemble import Workshop
from raypipe.app.where import Where
from raypipe.engine.records import RunRecord
from raypipe.errors import UsageError
from raypipe.store.given import ANYTHING, is_kept, said
from raypipe.store.ledger_finding import PAGE
from raypipe.store.rows import Remark

FIELDS: dict[str, Callable[[RunRecord], Any]] = {
    "id": lambda run: run.id,
    "project": lambda run: run.project,
    "pipeline": lambda run: run.pipeline,
    "status": lambda run: str(run.status),
    "created": lambda run: run.created,
    "seconds": lambda run: None if run.ended is None else run.ended - run.created,
    "user": lambda run: run.actor.user,
    "host": lambda run: run.actor.host,
    "by": lambda run: run.actor.name or run.actor.user,
    "code": lambda run: run.code,
    "commits": lambda run: list(run.commits.values()),
    "datasets": lambda run: list(run.commits),
    "resumes": lambda run: run.resumes,
}
"""What every run has, by the name that it is asked for."""


class Facts:
    """What is known of one run, found by name."""

    def __init__(
        self, run: RunRecord, ends: Mapping[tuple[str, str], float], remarks: Iterable[Remark]
    ) -> None:
        self.run = run
        self.remarks = list(remarks)
        self.metrics: dict[str, float] = {}
        for (step, name), value in ends.items():
            self.metrics[name] = self.metrics[f"{step}.{name}"] = value

    def find(self, name: str) -> Any:
        """Return a field, a metric, a setting or a parameter; KeyError if the run has it not."""
        if field := FIELDS.get(name):
            return field(self.run)
        if name in {"tags", "notes"}:
            return [one.said for one in self.remarks if f"{one.kind}s" == name]
        if name in self.metrics:
            return self.metrics[name]
        given = (self.run.parameters or {}).get("parameters") or {}
        try:
            return _at(self.run.settings, name)
        except KeyError:
            return said(_at(given, name))


def _at(data: Any, name: str) -> Any:
    if isinstance(data, Mapping) and name in data:
        return data[name]
    for part in name.split("."):
        if isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        elif isinstance(data, Mapping) and part in data:
            data = data[part]
        else:
            raise KeyError(name)
    return data


def find_runs(
    workshop: Workshop, limit: int, where: Where | None, sort: str | None, **more: Any
) -> list[Facts]:
    """Return the runs of which an expression holds, and `more`: status, pipeline and since.

    `sort` is a name, least first, or `-name`, most first: those that have it not come last. Of a
    name that no run has, and of a run that no longer is under way, it is told as such.
    """
    asked = _Asked(where, more)
    name, down = (sort.removeprefix("-"), sort.startswith("-")) if sort else ("", False)
    given = _given(workshop, asked)
    few = _few(workshop, asked, given)
    newest = asked.among(workshop, few or workshop.ledger.every_run(asked.pipeline, given))
    if not name or (name == "created" and down):
        found = list(islice(newest, limit))
    elif few is None and (curve := _curve(workshop, name)) is not None:
        found = _best(workshop, asked, name, curve, down=down, limit=limit)
        if len(found) < limit:
            have = {one.run.id for one in found}
            found += islice((one for one in newest if one.run.id not in have), limit - len(found))
    else:
        found = sorted(newest, key=lambda one: _rank(one, name, down))[:limit]
    asked.complain(found, name)
    return found


def _best(
    workshop: Workshop, asked: "_Asked", name: str, curve: str, *, down: bool, limit: int
) -> list[Facts]:
    """Return the runs that a curve puts first; those that have it not are left out.

    The ledger has each run by the best of its curves of a name, whatever their steps. So reading
    goes on until none that is to come can be among the first.
    """
    found: list[Facts] = []
    runs = _once(workshop.ledger.runs_by_end(curve, down=down))
    for one in asked.among(workshop, runs):
        best = _rank(one, curve, down, of_any=True)
        if len(found) == limit and best > _rank(found[-1], name, down):
            break
        if _rank(one, name, down)[0] == 0:
            insort(found, one, key=lambda each: _rank(each, name, down))
            del found[limit:]
    return found


def _rank(one: Facts, name: str, down: bool, *, of_any: bool = False) -> tuple[int, Any, float]:
    """Return what puts a run before others; `of_any` step that has the name, the first that may."""
    try:
        value = one.find(name)
    except KeyError:
        value = None
    if of_any:
        ends = [v for key, v in one.metrics.items() if key.partition(".")[2] == name and v == v]
        value = max(ends, default=None) if down else min(ends, default=None)
        return 0, value if value is None else -value if down else value, -math.inf
    if isinstance(value, bool | int | float) and value == value:
        return 0, -value if down else value, -one.run.created
    if isinstance(value, str):
        return 1, [-ord(letter) for letter in value] if down else list(map(ord, value)), 0.0
    return 2, 0, -one.run.created


def _once(runs: Iterable[RunRecord]) -> Iterator[RunRecord]:
    seen: set[str] = set()
    for run in runs:
        if run.id not in seen:
            seen.add(run.id)
            yield run


def _curve(workshop: Workshop, name: str) -> str | None:
    """Return the curve that a name means, `fit.auc` the one of a step; None unless just one is."""
    known = _curves(workshop, name)
    return known[0] if len(known) == 1 else None


def _curves(workshop: Workshop, name: str) -> list[str]:
    """Return the curves that a name may mean: they may have dots of their own."""
    if name in FIELDS:
        return []
    step, _, rest = name.partition(".")
    meant = [(name, ""), (rest, step)] if rest else [(name, "")]
    return [curve for curve, of in meant if workshop.ledger.is_curve(curve, of)]


def _few(
    workshop: Workshop, asked: "_Asked", given: Collection[str] | None
) -> Iterator[RunRecord] | None:
    """Return, newest first, few runs among which all are that are asked for; None if none are."""
    if asked.where is None:
        return None
    if given is not None and not given:  # one is looked at all the same, to tell of a wrong name
        return islice(workshop.ledger.every_run(asked.pipeline), 1)
    tag = asked.where.holding().get("tags")
    if isinstance(tag, str):
        return workshop.ledger.runs_said("tag", tag)
    for name, (low, high) in asked.where.bounds().items():
        if (curve := _curve(workshop, name)) is not None:
            few = workshop.ledger.runs_ended_within(curve, low, high, given)
            if few is not None:
                return few
    return None if given is None else workshop.ledger.runs_given(given)


def _given(workshop: Workshop, asked: "_Asked") -> set[str] | None:
    """Return the digests of what all runs were given that are asked for; None: of anything."""
    found: set[str] | None = None
    for name, is_so in asked.where.compared() if asked.where else ():
        if not _is_setting(name) or _curves(workshop, name):
            continue
        values = workshop.ledger.given_values(name)
        if values is None:
            continue
        if values:
            asked.had(name)
        met = [one for one in values if one == ANYTHING or is_so(json.loads(one))]
        with_it = workshop.ledger.given_with(name, met) if met else set()
        if with_it is not None:
            found = with_it if found is None else found & with_it
    return found


def _is_setting(name: str) -> bool:
    """Say whether a name can be that of a setting as the ledger writes it."""
    numbers = [part for part in name.split(".") if part.isdecimal()]
    written = all(str(int(part)) == part for part in numbers)
    return name not in {*FIELDS, "tags", "notes"} and is_kept(name) and written


class _Asked:
    """What is asked of runs, and which of its names some run had."""

    def __init__(self, where: Where | None, more: Mapping[str, Any]) -> None:
        self.where = where
        self._more = more
        self._had: set[str] = set()
        self._seen: Facts | None = None
        named = where.equal().get("pipeline") if where else None
        self.pipeline = str(more.get("pipeline") or named or "")

    def among(self, workshop: Workshop, runs: Iterable[RunRecord]) -> Iterator[Facts]:
        """Yield those of the runs that are so."""
        source = iter(runs)
        first = list(islice(source, 1))
        size = 20
        while page := [*first, *islice(source, size)]:
            first, size = [], PAGE
            names = [run.id for run in page]
            ends, remarks = workshop.ledger.ends(names), workshop.ledger.remarks(names)
            for run in page:
                facts = Facts(
                    as_it_is(workshop, run), ends.get(run.id, {}), remarks.get(run.id, ())
                )
                self._seen = self._seen or facts
                if self._is_so(facts):
                    yield facts

    def _is_so(self, facts: Facts) -> bool:
        run, more = facts.run, self._more
        if (more.get("status") or run.status) != run.status:
            return False
        if (more.get("pipeline") or run.pipeline) != run.pipeline:
            return False
        if run.created < (more.get("since") or run.created):
            return False

        def find(name: str) -> Any:
            value = facts.find(name)
            self._had.add(name)
            return value

        return self.where is None or self.where.holds(find)

    def had(self, name: str) -> None:
        """Note that some run has a name."""
        self._had.add(name)

    def complain(self, found: list[Facts], sort: str) -> None:
        """Raise UsageError for a name that no run had, where nothing was found for it."""
        if found or self.where is None or self._seen is None:
            return
        some = self._seen
        known = [*FIELDS, "tags", "notes", *some.metrics, *_dotted(some.run.settings, "")]
        for name in self.where.names:
            if name not in self._had and name not in known:
                close = get_close_matches(name, known, n=1)
                raise UsageError(
                    f"no run that was looked at has {name!r}",
                    hint=f"did you mean {close[0]!r}?"
                    if close
                    else "`raypipe runs show RUN` has a run's metrics, `runs compare` its settings",
                )


def _dotted(data: Any, place: str) -> Iterator[str]:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(data, Mapping):
        items = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    yield from chain.from_iterable(
        (f"{place}{key}", *_dotted(one, f"{place}{key}.")) for key, one in items
    )
