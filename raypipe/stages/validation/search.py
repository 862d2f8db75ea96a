"""What only a search over all rows finds: copies, near copies, contradictions, leaks across splits.

Traces of shards in, findings out; no row is read again but those that are shown. Rows of few values
are equal by chance: how many is reckoned from the columns' profiles as if columns were independent,
and five times as many raise no alarm.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from raypipe.config.validation import DuplicatesConfig
from raypipe.stages.validation.labels import has_classes
from raypipe.stages.validation.words import percent, visible
from raypipe.values.chance import differ, share_at_least
from raypipe.values.hashing import Hashes, value_hash
from raypipe.values.minhash import near_pairs
from raypipe.values.profile import Profile
from raypipe.values.split import SPLITS, rule_columns
from raypipe.values.traces import Meaning, Traces, told_columns
from raypipe.values.validation import Found
from raypipe.values.words import amount

ROOM = 5
"""Times as many equal rows as independent columns would give that correlated ones may have: in the
public tables of the tests it is 4 at most."""
SHOWN = 3
FEWEST = 10
"""Rows of a split from which its place in time is judged."""

Mask = npt.NDArray[np.bool_]
Read = Callable[[int, str, int], str]
"""The text of a shard's column in a row, for an example."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The traces of all shards as one."""

    paths: Sequence[str]
    traces: Sequence[Traces]

    def __len__(self) -> int:
        return sum(map(len, self.traces))

    def hashes(self, name: str) -> Hashes:
        """Return one hash a row."""
        found: Hashes = np.concatenate([getattr(one, name) for one in self.traces])
        return found

    @cached_property
    def splits(self) -> npt.NDArray[np.int8]:
        """The split of each row."""
        return np.concatenate([one.splits for one in self.traces])

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """The number of each shard's first row, and of all rows."""
        return np.concatenate([[0], np.cumsum([len(one) for one in self.traces])]).astype(np.int64)

    def place(self, row: int) -> str:
        """Say where a row is: path and number, from 1."""
        shard = int(np.searchsorted(self.starts, row, side="right")) - 1
        return f"{self.paths[shard]} row {row - int(self.starts[shard]) + 1:,}"


def search(
    rows: Rows, profile: Profile, meaning: Meaning, settings: DuplicatesConfig, read: Read
) -> tuple[Found, ...]:
    """Return all that a search over rows finds."""
    if not len(rows):
        return ()
    told = told_columns(list(profile.columns), meaning)
    every = [name for name in profile.columns if name not in meaning.key]
    copies = list(_copies(rows, settings.rows, _chance(profile, every)))
    found = [*copies, *_across(rows, settings.across, _chance(profile, told), bool(copies))]
    label = profile.columns.get(meaning.label)
    if label is not None and has_classes(label):
        features = [name for name in told if name != meaning.label]
        limit = _allowed(settings.conflicts, _chance(profile, features))
        found += _conflicts(rows, limit, settings.conflicts, meaning.label)
    found += [*_near(rows, settings, read), *_group_leakage(rows, meaning)]
    if meaning.split.by == "column" and meaning.time:
        found += _time_leakage(rows, meaning.time)
    return tuple(found)


def _chance(profile: Profile, names: Sequence[str]) -> float:
    """Return the share of rows that have their like by chance, were columns independent."""
    bits = sum(math.log2(_collision(profile, name)) for name in names)
    return float(min(1.0, profile.rows * 2.0**bits)) if names else 1.0


def _collision(profile: Profile, name: str) -> float:
    """Return the chance that two values of a column are equal, or rather more."""
    column = profile.columns[name]
    if column.values is not None:
        counts = np.array([*column.values.values(), column.nulls], float)
    elif column.buckets is not None:
        counts = np.append(column.buckets.counts, column.nulls).astype(float)
    else:
        counts = np.unique(value_hash(profile.sample.rows[name]), return_counts=True)[1]
    total = float(counts.sum())
    pairs = float((counts * (counts - 1.0)).sum())
    return max(pairs, 1.0) / (total * (total - 1)) if total > 1 else 1.0


def _allowed(setting: float, chance: float) -> float:
    return max(setting, min(1.0, ROOM * chance))


def _copies(rows: Rows, setting: float, chance: float) -> Iterator[Found]:
    hashes = rows.hashes("rows")
    order = np.argsort(hashes, kind="stable")
    again = np.flatnonzero(hashes[order][1:] == hashes[order][:-1]) + 1
    if share_at_least(len(again), len(rows)) > _allowed(setting, chance):
        pairs = [(order[n - 1], order[n]) for n in again[:SHOWN]]
        share = len(again) / len(rows)
        yield Found(
            kind="duplicate_rows",
            said=f"{amount(len(again), 'row')} ({percent(share)}) equal an earlier one in all but "
            f"the key, such as {_shown(rows, pairs)}; the settings allow {percent(setting)}.",
            share=share,
            examples=tuple(f"{rows.place(a)} = {rows.place(b)}" for a, b in pairs),
            allow=f"validation.duplicates.rows: {_above(share)}",
        )


def _across(rows: Rows, setting: float, chance: float, copied: bool) -> Iterator[Found]:
    """Compare with how many train rows have their like in train: so many would by nature."""
    hashes, splits = rows.hashes("content"), rows.splits
    train = np.flatnonzero(splits == 0)
    known, first, counts = np.unique(hashes[train], return_index=True, return_counts=True)
    if not len(known):
        return
    natural = 0 if copied else int(counts[counts > 1].sum())
    said, pairs, worst = [], [], 0.0
    for number in (1, 2):
        own = np.flatnonzero(splits == number)
        at = np.minimum(np.searchsorted(known, hashes[own]), len(known) - 1)
        hit = known[at] == hashes[own]
        count = int(hit.sum())
        if share_at_least(count, len(own)) > _allowed(setting, chance) and (
            differ(count, len(own), natural, len(train))
        ):
            share = count / len(own)
            worst = max(worst, share)
            said.append(f"{percent(share)} of the {SPLITS[number]} split")
            pairs += list(zip(train[first[at[hit]]], own[hit], strict=True))[:SHOWN]
    if said:
        yield Found(
            kind="duplicates_across",
            said=f"{' and '.join(said)} are rows of the train split once more, such as "
            f"{_shown(rows, pairs[:SHOWN])}; the settings allow {percent(setting)}.",
            share=worst,
            examples=tuple(f"{rows.place(a)} = {rows.place(b)}" for a, b in pairs[:SHOWN]),
            allow=f"validation.duplicates.across: {_above(worst)}",
        )


def _conflicts(rows: Rows, limit: float, setting: float, label: str) -> Iterator[Found]:
    features, labels = rows.hashes("features"), rows.hashes("labels")
    order = np.lexsort((labels, features))
    features, labels = features[order], labels[order]
    opens = np.flatnonzero(np.concatenate([[True], features[1:] != features[:-1]]))
    sizes = np.diff(np.append(opens, len(features)))
    torn = labels[opens] != labels[opens + sizes - 1]
    count = int(sizes[torn].sum())
    if share_at_least(count, len(rows)) > limit:
        pairs = [
            (order[o], order[o + s - 1]) for o, s in zip(opens[torn], sizes[torn], strict=True)
        ]
        share = count / len(rows)
        yield Found(
            kind="conflicting_labels",
            column=label,
            said=f"{amount(count, 'row')} ({percent(share)}) have the features of another row and "
            f"another label, such as {_shown(rows, pairs[:SHOWN])}; the settings allow "
            f"{percent(setting)}.",
            share=share,
            examples=tuple(f"{rows.place(a)} and {rows.place(b)}" for a, b in pairs[:SHOWN]),
            allow=f"validation.duplicates.conflicts: {_above(share)}",
        )


# --- near copies ----------------------------------------------------------------------------------


def _near(rows: Rows, settings: DuplicatesConfig, read: Read) -> Iterator[Found]:
    names = dict.fromkeys(name for one in rows.traces for name in one.near)
    for name in names:
        shards = [number for number, one in enumerate(rows.traces) if name in one.near]
        signed = [rows.traces[number].near[name] for number in shards]
        signatures = np.concatenate([one.signatures for one in signed])
        counts = np.concatenate([one.counts for one in signed])
        shard = np.repeat(shards, [len(one.places) for one in signed])
        places = np.concatenate([one.places for one in signed])
        pairs = near_pairs(signatures, settings.similarity)
        hashes = np.concatenate([one.hashes for one in signed])
        # The same text in two shards is a value that comes again.
        pairs = pairs[hashes[pairs[:, 0]] != hashes[pairs[:, 1]]]
        count = int(counts[np.unique(pairs)].sum())
        if not share_at_least(count, len(rows)) > settings.near:
            continue
        share = count / len(rows)
        one, other = (_example(n, name, rows, shard, places, read) for n in pairs[0])
        what = (
            "a text that is nearly that of another row" if name else "nearly the values of another"
        )
        yield Found(
            kind="near_duplicates",
            column=name,
            said=f"{amount(count, 'row')} ({percent(share)}) have {what}, such as {one} and "
            f"{other}; the settings allow {percent(settings.near)}.",
            share=share,
            examples=(one, other),
            allow=f"validation.duplicates.near: {_above(share)}",
        )


def _example(
    number: int,
    name: str,
    rows: Rows,
    shard: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
    read: Read,
) -> str:
    if name:
        return visible(read(int(shard[number]), name, int(places[number])))
    return rows.place(int(rows.starts[shard[number]] + places[number]))


# --- leaks ----------------------------------------------------------------------------------------


def _group_leakage(rows: Rows, meaning: Meaning) -> Iterator[Found]:
    if any(one.groups is None for one in rows.traces):
        return
    if meaning.split.by == "group" and set(rule_columns(meaning.split)) <= set(meaning.groups):
        return
    groups, splits = rows.hashes("groups"), rows.splits
    known, first = np.unique(groups[splits == 0], return_index=True)
    later = np.flatnonzero(splits > 0)
    shared = later[np.isin(groups[later], known)]
    if len(shared):
        share = len(shared) / max(1, len(later))
        own = np.flatnonzero(splits == 0)[first]
        row = int(shared[0])
        twin = int(own[np.searchsorted(known, groups[row])])
        named = ", ".join(meaning.groups)
        yield Found(
            kind="group_leakage",
            column=named if len(meaning.groups) == 1 else "",
            said=f"{percent(share)} of the validation and analysis rows are of groups ({named}) "
            f"that the train split has rows of, such as {rows.place(row)} and {rows.place(twin)}.",
            share=share,
            examples=(f"{rows.place(row)} and {rows.place(twin)}",),
            allow=f"data.split by group, columns {named}",
        )


def _time_leakage(rows: Rows, time: str) -> Iterator[Found]:
    """Where the splits follow one another in time, say which rows do not.

    The moment that parts them best leaves the fewest rows on the wrong side; where that is half of
    a split or more, time never parted them.
    """
    if any(one.times is None for one in rows.traces):
        return
    times = np.concatenate([one.times for one in rows.traces if one.times is not None])
    train, later = np.sort(times[rows.splits == 0]), np.sort(times[rows.splits > 0])
    if min(len(train), len(later)) < FEWEST:
        return
    moments = np.unique(np.concatenate([train, later]))
    after = len(train) - np.searchsorted(train, moments, side="right")
    before = np.searchsorted(later, moments, side="left")
    best = int((after + before).argmin())
    count = int(after[best] + before[best])
    if not 0 < 2 * count <= min(len(train), len(later)):
        return
    moment = np.datetime64(int(moments[best]), "us").astype("datetime64[s]")
    wrong = np.where(rows.splits == 0, times > moments[best], times < moments[best])
    share = count / len(rows)
    yield Found(
        kind="time_leakage",
        column=time,
        said=f"the train split ends and the others begin about {moment}, but {percent(share)} of "
        f"rows lie on the other side, such as {rows.place(int(np.flatnonzero(wrong)[0]))}.",
        share=share,
        examples=tuple(rows.place(int(row)) for row in np.flatnonzero(wrong)[:SHOWN]),
        allow="data.split by time",
    )


def _shown(rows: Rows, pairs: Sequence[tuple[int, int]]) -> str:
    one, other = pairs[0]
    return f"{rows.place(int(one))} and {rows.place(int(other))}"


def _above(share: float) -> str:
    return f"{math.ceil(100 * share) / 100:g}"
