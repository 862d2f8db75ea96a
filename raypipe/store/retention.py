"""What of a ledger has had its time: found first, then removed a few rows at a time.

Whatever a model version, a review, a hold, a run under way or a result in use needs stays, however
old; a review that was withdrawn needs nothing.
What people decided stays altogether: decided reviews, versions, aliases, routes, accepted captures,
looks.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from math import inf
from typing import TypeVar

from raypipe.store import reviews, rows
from raypipe.store.database import Database

Item = TypeVar("Item")

AT_ONCE = 500
"""Rows that are removed in one transaction; others who write wait so long."""


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Until when what there is may go, in seconds since the epoch; -inf: it stays for ever."""

    runs: float = -inf
    newest: int = 20
    """Newest runs of each pipeline that stay whatever their age."""
    results: float = -inf
    """Results that no run used since."""
    superseded: float = -inf
    """Results that are out of use."""
    metrics: float = -inf
    """Points of curves."""
    expired: float = -inf
    """Results that expired, if they did before."""
    given_up: float = -inf
    """Effects that were given up."""
    reviews: float = -inf
    """Reviews that nobody decided."""


@dataclass(frozen=True, kw_only=True)
class Old:
    """What has had its time."""

    unused: tuple[str, ...]
    """Keys of results in use that nobody used for long, or that expired."""
    superseded: tuple[int, ...]
    """Numbers of results that are out of use."""
    runs: tuple[str, ...]
    curves: tuple[str, ...]
    """Runs whose points go."""
    effects: tuple[int, ...] = ()
    """Numbers of effects that were carried out, dropped or given up."""
    reviews: tuple[tuple[str, str], ...] = ()
    """Open reviews that are withdrawn, each with why."""
    withdrawn: tuple[str, ...] = ()
    """Withdrawn reviews that no run tells of."""

    @classmethod
    def nothing(cls) -> "Old":
        """Return what nothing is in."""
        return cls(unused=(), superseded=(), runs=(), curves=())

    @property
    def count(self) -> int:
        """How many things there are."""
        results = (self.unused, self.superseded)
        others = (self.runs, self.curves, self.effects, self.reviews, self.withdrawn)
        return sum(map(len, (*results, *others)))


def find_old(database: Database, keep: Keep) -> Old:
    """Return what may go by age, and nothing needs."""
    withdrawn = dict(_to_withdraw(database, keep))
    needed = _needed_runs(database, withdrawn)
    held = {
        row["key"]
        for some in _some(sorted(needed))
        for row in database.all("keys_of_runs", runs=some)
    }
    unused = [
        row["key"]
        for row in database.all("unused_results", before=keep.results, expired=keep.expired)
        if row["key"] not in held
    ]
    superseded = [
        row["id"]
        for row in database.all("superseded_results", before=keep.superseded)
        if row["key"] not in held
    ]
    retired = set(unused)
    newest = {row["id"] for row in database.all("newest_runs", newest=keep.newest)}
    makers = _runs_of_results(database, retired)
    stay = needed | newest | makers
    runs = [
        row["id"] for row in database.all("old_runs", before=keep.runs) if row["id"] not in stay
    ]
    gone = set(runs)
    curves = [
        row["id"]
        for row in database.all("runs_with_curves", before=keep.metrics)
        if row["id"] not in needed | gone
    ]
    return Old(
        unused=tuple(unused),
        superseded=tuple(superseded),
        runs=tuple(runs),
        curves=tuple(curves),
        effects=tuple(
            row["id"]
            for query, before in (("old_effects", keep.runs), ("old_given_up", keep.given_up))
            for row in database.all(query, before=before)
        ),
        reviews=tuple(withdrawn.items()),
        withdrawn=tuple(reviews.told_of_no_more(database)),
    )


def remove_old(database: Database, old: Old, now: float) -> None:
    """Remove it; what was left half done by a process that ended is found again."""
    for some in _some(old.reviews):
        _withdraw(database, some, now)
    for keys in _some(old.unused):
        _do(database, "retire_results", keys=keys)
    for numbers in _some(old.superseded):
        _do(database, "forget_results", numbers=numbers)
    for runs in _some((*old.runs, *old.curves)):
        _do(database, "forget_metrics", runs=runs)
    for runs in _some(old.runs):
        _do(database, "forget_uses", runs=runs)
        _forget_runs(database, runs)
    for numbers in _some(old.effects):
        _do(database, "forget_effects", numbers=numbers)
    for names in _some(old.withdrawn):
        _do(database, "forget_reviews", names=names)
    _forget_code(database)


def _forget_runs(database: Database, runs: list[str]) -> None:
    """Remove runs, and what they and no others were given."""

    def act() -> None:
        with database.writing("given"):
            given = [row["given"] for row in database.all("given_of_runs", runs=runs)]
            database.do("forget_runs", runs=runs)
            database.do("forget_given", given=given)

    database.repeat(act)


def _withdraw(database: Database, some: Iterable[tuple[str, str]], now: float) -> None:
    def act() -> None:
        with database.writing("reviews"):
            for name, why in some:
                reviews.withdraw(database, name, why, now)

    database.repeat(act)


def _to_withdraw(database: Database, keep: Keep) -> Iterator[tuple[str, str]]:
    """Yield open reviews that nobody is asked any more, each with why."""
    for row in database.all("list_reviews_of", status="open"):
        review = rows.read_review(row)
        if review.created < keep.reviews:
            yield review.id, reviews.IN_TIME
    yield from reviews.abandoned(database)


def _some(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while some := list(islice(rest, AT_ONCE)):
        yield some


def _do(database: Database, query: str, **values: object) -> None:
    def act() -> None:
        with database.writing():
            database.do(query, **values)

    database.repeat(act)


def _needed_runs(database: Database, withdrawn: Mapping[str, str]) -> set[str]:
    """Return the runs that model versions and reviews tell of, and those that people hold."""
    told = {json.loads(row["record"])["run"] for row in database.all("every_version")}
    for row in database.all("list_reviews"):
        review = rows.read_review(row)
        if review.status != "withdrawn" and review.id not in withdrawn:
            told.add(review.run)
    return told | {row["name"] for row in database.all("holds") if row["kind"] == "run"}


def _runs_of_results(database: Database, retired: set[str]) -> set[str]:
    """Return the runs that made, or used last, a result that stays in use."""
    return {row["run"] for row in database.all("runs_of_results") if row["key"] not in retired}


# --- code ---------------------------------------------------------------------------------------


def _forget_code(database: Database) -> None:
    """Remove fingerprints that no result is explained by, and the texts that only they had."""
    used = set(_fingerprints_of_results(database))
    texts: set[str] = set()
    gone = []
    for row in database.all("fingerprints"):
        if row["digest"] in used:
            texts.update(json.loads(row["parts"])["symbols"].values())
        else:
            gone.append(row["digest"])
    for digests in _some(gone):
        _do(database, "forget_fingerprints", digests=digests)
    left = [row["digest"] for row in database.all("sources") if row["digest"] not in texts]
    for digests in _some(left if gone else ()):
        _do(database, "forget_sources", digests=digests)


def _fingerprints_of_results(database: Database) -> Iterator[str]:
    after = 0
    while found := database.all("explanations", after=after, limit=10 * AT_ONCE):
        after = found[-1]["id"]
        for row in found:
            yield json.loads(row["explanation"])["fingerprint"]
