"""Runs found by what they were given and what came of them, the newest or the best first.

What an expression says of settings, of a metric, of tags or of the pipeline is asked of the
ledger's indices; the rest is read run by run, until enough are found.
"""

import heapq
import json
import math
from bisect import insort
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import chain, islice
from typing import Any

from raypipe.app.alive import as_it_is
from raypipe.app.assemble import Workshop
from raypipe.app.facts import FIELDS, REVIEWED, Facts
from raypipe.app.where import Where
from raypipe.engine.records import RunRecord
from raypipe.errors import UsageError
from raypipe.store.given import ANYTHING, is_kept
from raypipe.store.ledger_finding import PAGE


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
    elif few is None and (curves := _meant(workshop, name)):
        found = []
        for curve in curves:
            found += _best(workshop, asked, name, curve, down=down, limit=limit - len(found))
            if len(found) == limit:
                break
        else:
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
    level = 0 if curve == REVIEWED + name else 1
    runs = _once(workshop.ledger.runs_by_end(curve, down=down))
    for one in asked.among(workshop, runs):
        best = (level, *_best_end(one, curve, down))
        if len(found) == limit and best > _rank(found[-1], name, down):
            break
        if _rank(one, name, down)[0] == level:
            insort(found, one, key=lambda each: _rank(each, name, down))
            del found[limit:]
    return found


def _best_end(one: Facts, curve: str, down: bool) -> tuple[float, float]:
    """Return what puts a run before others by the best of its curves of a name."""
    ends = [v for key, v in one.metrics.items() if key.partition(".")[2] == curve and v == v]
    return (-max(ends) if down else min(ends)) if ends else math.inf, -math.inf


def _rank(one: Facts, name: str, down: bool) -> tuple[int, Any, float]:
    """Return what puts a run before others: figures of reviews, other numbers, texts, nothing."""
    try:
        value = one.find(name)
    except KeyError:
        value = None
    if isinstance(value, bool | int | float) and value == value:
        level = 0 if one.is_reviewed(name) else 1
        return level, -value if down else value, -one.run.created
    if isinstance(value, str):
        return 2, [-ord(letter) for letter in value] if down else list(map(ord, value)), 0.0
    return 3, 0, -one.run.created


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


def _meant(workshop: Workshop, name: str) -> list[str]:
    """Return the curves that a name means, the review's first; none where it may mean others."""
    if name in FIELDS:
        return []
    reviewed = [REVIEWED + name] if workshop.ledger.is_curve(REVIEWED + name) else []
    curve = _curve(workshop, name)
    return reviewed if curve is None else [*reviewed, curve]


def _curves(workshop: Workshop, name: str) -> list[str]:
    """Return the curves that a name may mean: they may have dots of their own."""
    if name in FIELDS:
        return []
    if name.startswith(REVIEWED) and workshop.ledger.is_curve(name):
        return [name]  # whether a step `analysis` has such a curve could be told by all curves only
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
        curves = _meant(workshop, name)
        within = [workshop.ledger.runs_ended_within(one, low, high, given) for one in curves]
        few = [one for one in within if one is not None]
        if few and len(few) == len(within):
            return _once(heapq.merge(*few, key=lambda run: (run.created, run.id), reverse=True))
    return None if given is None else workshop.ledger.runs_given(given)


def _given(workshop: Workshop, asked: "_Asked") -> set[str] | None:
    """Return the digests of what all runs were given that are asked for; None: of anything."""
    found: set[str] | None = None
    for name, is_so in asked.where.compared() if asked.where else ():
        if not _is_setting(name) or _curves(workshop, name) or _meant(workshop, name):
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
