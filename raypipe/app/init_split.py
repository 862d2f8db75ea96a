"""How rows are divided: by time, by what they belong to, by their key, or by what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.app.init_columns import Use, of_part
from raypipe.values.hashing import row_hash
from raypipe.values.schema import kind_of

FEW_ROWS = 2_000
"""Rows below which the splits that measure get a fifth each, so that they measure something."""
MOMENTS = 30
"""Moments that differ from which rows can be divided by time."""
COPIES = 0.002
"""Share of rows that say the same as another from which they are divided by what they say."""
MOST_COLUMNS = 8
"""Columns by which rows are told apart at most."""
_TOLD = 0.999
"""Share of the rows that differ at all that the columns of a split must tell apart."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """A rule, and why it is that one."""

    by: Literal["hash", "group", "time"]
    columns: tuple[str, ...]
    why: str
    shares: tuple[float, float, float] | None = None
    """Of train, validation and analysis; None by time."""
    moments: tuple[str, str] | None = None
    """By time: where validation and analysis begin."""


def split_for(
    table: pa.Table, uses: tuple[Use, ...], label: str, time: str | None, key: tuple[str, ...]
) -> Split:
    """Return how rows are divided; `key` names a row."""
    shares = (0.6, 0.2, 0.2) if table.num_rows < FEW_ROWS else (0.7, 0.15, 0.15)
    groups = tuple(use.column for use in of_part(uses, "group"))
    if groups:
        why = "rows of one group tell of one another, so a group is not torn"
        return Split(by="group", columns=groups[:1], why=why, shares=shares)
    if time is not None and (moments := _moments(table[time])) is not None:
        why = (
            "what comes later is predicted from what came before, as it will be in use. All later "
            "rows are for analysis: move these on when there are more, to train on them too"
        )
        return Split(by="time", columns=(time,), why=why, moments=moments)
    keys = {use.column for use in of_part(uses, "key")}
    said = [n for n in table.column_names if n not in keys and n != label and _plain(table[n])]
    differing = len(np.unique(row_hash(table, said, ""))) if said else 0
    if keys and (not said or differing >= (1 - COPIES) * table.num_rows):
        why = "a row stays in its split for ever, by its key"
        return Split(by="hash", columns=key, why=why, shares=shares)
    why = "a row stays in its split for ever, by the fewest columns that tell rows apart"
    if keys:
        why = "rows that say the same share a split, else they would be asked what they were taught"
    columns = telling(table, said or list(table.column_names), differing or table.num_rows)
    return Split(by="hash", columns=columns, why=why, shares=shares)


def telling(table: pa.Table, names: Sequence[str], differing: int) -> tuple[str, ...]:
    """Return the fewest columns, found one by one, that tell rows apart as well as all do."""
    chosen: list[str] = []
    ranked = sorted(names, key=lambda name: -pc.count_distinct(table[name], "all").as_py())
    for name in ranked[:MOST_COLUMNS]:
        chosen.append(name)
        if len(np.unique(row_hash(table, chosen, ""))) >= _TOLD * differing:
            break
    return tuple(name for name in names if name in chosen)


def _plain(column: pa.ChunkedArray) -> bool:
    return kind_of(str(column.type)) not in ("list", "struct", "map", "binary", "large_binary")


def _moments(times: pa.ChunkedArray) -> tuple[str, str] | None:
    """Return the moments before which 70 and 85 % of the rows lie; None if they are too few."""
    known = times.drop_null()
    if pc.count_distinct(known).as_py() < MOMENTS:
        return None
    ranked = known.take(pc.sort_indices(known))
    first, second = (ranked[int(share * len(ranked))] for share in (0.70, 0.85))
    if first == second or first == ranked[0]:
        return None
    return _said(first), _said(second)


def _said(moment: pa.Scalar) -> str:
    value = moment.cast(pa.timestamp("us", tz=getattr(moment.type, "tz", None))).as_py()
    text = str(value.isoformat())
    return text.removesuffix("T00:00:00")
