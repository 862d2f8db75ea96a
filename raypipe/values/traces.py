"""What is kept of each row so that its like is found among all others: hashes, in the rows' order.

Eight bytes a hash and row. A shard is traced once; the traces of a dataset are those of its shards,
so that a search over all rows reads none of them again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.values.hashing import Hashes, as_numbers, combined, is_text, value_hash
from raypipe.values.measure import plain_array
from raypipe.values.minhash import Signatures, row_signatures, text_signatures
from raypipe.values.split import SplitRule, rule_columns, split_of

LONG = 40
"""Characters, on average, from which a column of text holds texts rather than names."""
_LOOKED_AT = 1_000


class Meaning(Protocol):
    """What columns mean: DataConfig of the settings."""

    @property
    def label(self) -> str: ...
    @property
    def key(self) -> tuple[str, ...]: ...
    @property
    def time(self) -> str | None: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def split(self) -> SplitRule: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Signed:
    """The differing texts of a column, or rows, of a shard: what near-duplicates are found by."""

    hashes: Hashes
    """Of the texts themselves."""
    signatures: Signatures
    places: npt.NDArray[np.int64]
    """Row in which each is first."""
    counts: npt.NDArray[np.int64]
    """Rows that have it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Traces:
    """What is kept of each row of a shard."""

    splits: npt.NDArray[np.int8]
    rows: Hashes
    """Of every column but the key."""
    content: Hashes
    """Of what a row says: no key, no time, no column that the split is made by."""
    features: Hashes
    """The same without the label."""
    labels: Hashes
    times: npt.NDArray[np.int64] | None = None
    """Microseconds since the epoch; None without a time column."""
    groups: Hashes | None = None
    """Of the columns that name a group; None if the settings name none."""
    near: dict[str, Signed]
    """By column of long texts; of whole rows under the empty name."""

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.splits)


def trace_table(
    table: pa.Table, meaning: Meaning, *, texts: bool = True, rows: bool = False
) -> Traces:
    """Trace the rows of a shard; `texts` and `rows` say what near-duplicates are sought of."""
    arrays = {name: plain_array(table[name]) for name in table.column_names}
    hashes = {name: value_hash(array) for name, array in arrays.items()}
    said = told_columns(table.column_names, meaning)
    features = [name for name in said if name != meaning.label]
    groups = [name for name in meaning.groups if name in hashes]

    def of(names: Sequence[str]) -> Hashes:
        return combined((hashes[name] for name in names), table.num_rows)

    near = {name: _signed_texts(arrays[name]) for name in said if texts and _is_long(arrays[name])}
    if rows and len(features) > 1:
        near[""] = _signed_rows([hashes[name] for name in said], of(said))
    labels = hashes.get(meaning.label, np.zeros(table.num_rows, np.uint64))
    return Traces(
        splits=split_of(table, meaning.split),
        rows=of([name for name in table.column_names if name not in meaning.key]),
        content=of(said),
        features=of(features),
        labels=labels,
        times=_times(arrays, meaning.time),
        groups=of(groups) if groups else None,
        near=near,
    )


def told_columns(names: Sequence[str], meaning: Meaning) -> list[str]:
    """Return the columns that say something of a row, and not which row it is."""
    rule = meaning.split
    named = {*meaning.key, meaning.time}
    if rule.by != "hash":
        named |= {*rule_columns(rule)}
    return [name for name in names if name not in named]


def _times(arrays: dict[str, pa.Array], time: str | None) -> npt.NDArray[np.int64] | None:
    array = arrays.get(time or "")
    if array is None or not (pa.types.is_timestamp(array.type) or pa.types.is_date(array.type)):
        return None
    return as_numbers(array)


def _is_long(array: pa.Array) -> bool:
    """Say, by the first rows, whether a column holds texts that mostly differ."""
    if not is_text(array.type):
        return False
    first = array[:_LOOKED_AT].drop_null()
    if not len(first) or pc.mean(pc.utf8_length(first)).as_py() < LONG:
        return False
    return bool(2 * pc.count_distinct(first).as_py() > len(first))


def _signed_texts(array: pa.Array) -> Signed:
    hashes = value_hash(array)
    held = np.flatnonzero(pc.is_valid(array).to_numpy(zero_copy_only=False))
    _, first, counts = np.unique(hashes[held], return_index=True, return_counts=True)
    order = np.argsort(first)
    places = held[first[order]]
    signatures = text_signatures(array.take(pa.array(places)))
    return Signed(hashes=hashes[places], signatures=signatures, places=places, counts=counts[order])


def _signed_rows(columns: list[Hashes], whole: Hashes) -> Signed:
    _, first, counts = np.unique(whole, return_index=True, return_counts=True)
    order = np.argsort(first)
    places = first[order]
    signatures = row_signatures([column[places] for column in columns])
    return Signed(
        hashes=whole[places],
        signatures=signatures,
        places=places.astype(np.int64),
        counts=counts[order],
    )
