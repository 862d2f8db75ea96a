"""Runs found by what they were given and where curves ended, and what people say of runs."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from json import loads
from typing import Literal

from raypipe.engine.records import Actor, RunRecord
from raypipe.store import rows
from raypipe.store.ledger_part import LedgerPart, repeated
from raypipe.store.rows import Remark, dump

PAGE = 100
"""Runs that are read at once."""
FEW = 1_000
"""Runs that are found by a value and put in order of time; more are read page by page."""

MANY = 10_000
"""Different values of a name, and wholes of settings, among which runs are looked for."""

RemarkKind = Literal["tag", "note"]


class FindingRecords(LedgerPart):
    """A part of the ledger; each method that writes is one transaction."""

    def every_run(
        self, pipeline: str = "", given: Collection[str] | None = None
    ) -> Iterator[RunRecord]:
        """Yield runs, newest first, of one pipeline where one is named; a page is one query.

        `given` are the digests of what they were given, None for anything.
        """
        query = "runs_before" if given is None else "runs_given_before"
        among = {} if given is None else {"given": sorted(given)}
        created, name = math.inf, ""
        while True:
            place = {"created": created, "id": name, "pipeline": pipeline, "limit": PAGE}
            page = [rows.read_run(row) for row in self._db.all(query, **place, **among)]
            yield from page
            if len(page) < PAGE:
                return
            created, name = page[-1].created, page[-1].id

    def is_curve(self, name: str, step: str = "") -> bool:
        """Say whether a curve of this name ended somewhere, of a step if one is named."""
        return self._db.one("one_end", name=name, step=step) is not None

    def runs_ended_within(
        self, name: str, low: float, high: float, given: Collection[str] | None = None
    ) -> Iterator[RunRecord] | None:
        """Return the runs whose curve of a name ended within bounds, newest first.

        None where there are more than FEW: then reading runs until enough are found costs less.
        `given` are the digests of what they were given, None for anything.
        """
        bounds = {"name": name, "low": low, "high": high}
        counted = self._db.one("count_ends", **bounds, limit=FEW + 1)
        if counted is None or int(counted["ends"]) > FEW:
            return None
        if given is None:
            return self._named([row["id"] for row in self._db.all("runs_ended_within", **bounds)])
        found = self._db.all("runs_given_ended_within", **bounds, given=sorted(given))
        return self._named([row["id"] for row in found])

    def given_values(self, name: str) -> list[str] | None:
        """Return what runs were given by a name, as JSON or ANYTHING; None for more than MANY."""
        found = self._db.all("given_values", name=name, limit=MANY + 1)
        return None if len(found) > MANY else [row["value"] for row in found]

    def given_with(self, name: str, values: Sequence[str]) -> set[str] | None:
        """Return the digests of what has one of these values; None for more than MANY."""
        found = self._db.all("given_with", name=name, values=list(values), limit=MANY + 1)
        return None if len(found) > MANY else {row["digest"] for row in found}

    def runs_given(self, given: Collection[str]) -> Iterator[RunRecord] | None:
        """Return the runs that were given one of these, newest first; None for more than FEW."""
        counted = self._db.one("count_given", given=sorted(given), limit=FEW + 1)
        if counted is None or int(counted["runs"]) > FEW:
            return None
        return self._named([row["id"] for row in self._db.all("runs_given", given=sorted(given))])

    def runs_said(self, kind: RemarkKind, said: str) -> Iterator[RunRecord]:
        """Return the runs of which just this is said, newest first."""
        return self._named([row["id"] for row in self._db.all("runs_said", kind=kind, said=said)])

    def _named(self, ids: Sequence[str]) -> Iterator[RunRecord]:
        for start in range(0, len(ids), PAGE):
            page = list(ids[start : start + PAGE])
            known = {row["id"]: row for row in self._db.all("runs_named", runs=page)}
            yield from (rows.read_run(known[one]) for one in page if one in known)

    def runs_by_end(self, name: str, *, down: bool) -> Iterator[RunRecord]:
        """Yield runs by where their curve of a name ended; a page is one query."""
        value, run = (math.inf, "") if down else (-math.inf, "")
        while True:
            query = "ends_down" if down else "ends_up"
            page = self._db.all(query, name=name, value=value, run=run, limit=PAGE)
            yield from self._named([row["run"] for row in page])
            if len(page) < PAGE:
                return
            value, run = page[-1]["value"], page[-1]["run"]

    def ends(self, runs: Sequence[str]) -> dict[str, dict[tuple[str, str], float]]:
        """Return where the curves of runs ended: of each run, by step and name."""
        found: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
        for row in self._db.all("ends", runs=list(runs)):
            value = row["value"]
            found[row["run"]][row["step"], row["name"]] = math.nan if value is None else value
        return found

    # --- remarks --------------------------------------------------------------------------------

    @repeated
    def add_remarks(self, run: str, kind: RemarkKind, said: Sequence[str], actor: Actor) -> None:
        """Record what somebody says of a run; what was said already stays as it is."""
        told = {"run": run, "kind": kind, "actor": dump(asdict(actor)), "time": self._now()}
        with self._db.writing():
            self._db.many("add_remark", [{**told, "said": one} for one in sorted(set(said))])

    @repeated
    def remove_remarks(self, run: str, kind: RemarkKind, said: Sequence[str]) -> None:
        """Take back what was said of a run."""
        with self._db.writing():
            self._db.many(
                "remove_remark",
                [{"run": run, "kind": kind, "said": one} for one in sorted(set(said))],
            )

    def remarks(self, runs: Sequence[str]) -> dict[str, list[Remark]]:
        """Return what is said of runs, oldest first."""
        found: dict[str, list[Remark]] = defaultdict(list)
        for row in self._db.all("remarks", runs=list(runs)):
            actor = Actor(**loads(row["actor"]))
            found[row["run"]].append(
                Remark(kind=row["kind"], said=row["said"], actor=actor, time=row["time"])
            )
        return found
