"""Which columns alone tell the label: they may hold what is known only after it."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.config.validation import ValidationConfig
from raypipe.stages.validation.labels import ENOUGH, has_classes
from raypipe.stages.validation.words import SHOWN, percent, visible
from raypipe.values.chance import share_at_least
from raypipe.values.hashing import as_numbers, canonical_text, value_hash
from raypipe.values.measure import plain_array
from raypipe.values.profile import Profile
from raypipe.values.schema import Schema, is_numeric
from raypipe.values.validation import Found

EXACT = 0.999
"""Squared rank correlation of a column with a label of numbers that is no coincidence."""

_AT_ONCE = 16
"""Columns whose values are counted by class at once, which bounds the memory for it."""

Codes = npt.NDArray[np.int64]
Told = tuple[float, float]
"""What share of the label a column tells, and what share at least, chance put aside."""


def of_leakage(train: Profile, schema: Schema, settings: ValidationConfig) -> Iterator[Found]:
    """Look for columns that alone tell the label, in the sample of the train split."""
    rows, label = train.sample.rows, train.columns.get(schema.label or "")
    if label is None or settings.leakage is None or label.distinct < 2:
        return
    truth = plain_array(rows[label.name])
    codes = _codes(truth) if has_classes(label) else None
    classes = None if codes is None else _Classes.of(codes)
    numbers = _numbers(truth) if classes is None else None
    columns = {
        name: plain_array(rows[name])
        for name in rows.column_names
        if name != label.name and not _names_rows(schema, name)
    }
    told: dict[str, Told] = {}
    limit = EXACT
    if classes is not None:
        few = {name for name in columns if train.columns[name].counted is not None}
        told, limit = _told_classes(columns, classes, few), settings.leakage
    elif numbers is not None:
        told = _told_numbers(columns, numbers)
    for name in columns:
        if name in told and told[name][1] > limit:
            examples = _told_by(rows, name, label.name)
            share = told[name][0]
            yield Found(
                kind="target_leakage",
                column=name,
                said=f"the column alone tells {percent(share)} of {label.name}, such as "
                f"{examples[0]}: is it known before the label is?",
                share=share,
                examples=examples,
            )


def _names_rows(schema: Schema, name: str) -> bool:
    column = schema.column(name)
    return column is not None and bool({"key", "time"} & {*column.roles})


def _told_by(rows: object, name: str, label: str) -> tuple[str, ...]:
    """Return what the commonest values of a column tell: `delayed (late yes)`."""
    values, truths = (canonical_text(rows[column]) for column in (name, label))  # type: ignore[index]
    told: dict[str, str] = {}
    for pair, _ in Counter(zip(values, truths, strict=True)).most_common():
        value, truth = ("null" if text is None else visible(text) for text in pair)
        told.setdefault(value, truth)
    return tuple(f"{value} ({label} {truth})" for value, truth in [*told.items()][:SHOWN])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Classes:
    """The label of a sample's rows, and in which of two halves each row is."""

    codes: Codes
    count: int
    half: Codes
    base: float
    """Share of the commonest class."""
    commonest: Codes
    """The commonest class of each half."""

    @classmethod
    def of(cls, codes: Codes) -> Self:
        counts, half = np.bincount(codes), np.arange(len(codes)) % 2
        by_half = np.bincount(half * len(counts) + codes, minlength=2 * len(counts))
        return cls(
            codes=codes,
            count=len(counts),
            half=half,
            base=float(counts.max() / len(codes)),
            commonest=by_half.reshape(2, -1).argmax(axis=1),
        )

    def is_another_name_of(self, codes: Codes) -> bool:
        """Say whether each value means one class and each class one value.

        Each of two classes at least must be met often enough that it is no accident.
        """
        if int(codes.max()) + 1 != self.count:
            return False
        pairs = np.bincount(codes * self.count + self.codes)
        counts = pairs[pairs > 0]
        return bool(len(counts) == self.count and np.sort(counts)[-2] >= 10)

    def guessed(self, columns: Sequence[Codes]) -> list[int]:
        """Count, column by column, the rows whose class the other half of the rows tells."""
        found: list[int] = []
        for start in range(0, len(columns), _AT_ONCE):
            some_columns = columns[start : start + _AT_ONCE]
            # Each column's values stand behind those of the column before.
            ends = np.cumsum([int(codes.max()) + 1 for codes in some_columns])
            values = np.stack(some_columns)
            values[1:] += ends[:-1, np.newaxis]
            cells = (self.codes * 2 + self.half) * ends[-1] + values
            table = np.bincount(cells.ravel(), minlength=self.count * 2 * int(ends[-1]))
            table = table.reshape(self.count, 2, -1)
            told = np.where(table.any(axis=0), table.argmax(axis=0), self.commonest[:, np.newaxis])
            right = told[1 - self.half, values] == self.codes
            found += np.count_nonzero(right, axis=1).tolist()
        return found


def _told_classes(
    columns: Mapping[str, pa.Array], classes: _Classes, few: Collection[str]
) -> dict[str, Told]:
    """Return what columns tell of the label beyond its commonest class.

    Half of the rows guess the other half, by the commonest label of a value, or of the numbers
    that lie about it. Only a column of `few` values may be the label by another name.
    """
    total, base = len(classes.codes), classes.base
    if total < 2 * ENOUGH or base >= 1:
        return {}
    found: dict[str, Told] = {}
    coded: dict[str, Codes] = {}
    for name, values in columns.items():
        numbers = _numbers(values)
        codes = _codes(values) if name in few or numbers is None else None
        if codes is not None and classes.is_another_name_of(codes):
            found[name] = (1.0, 1.0)
        elif numbers is not None:
            coded[name] = _ranked(numbers)
        elif codes is not None:
            coded[name] = codes
    for name, right in zip(coded, classes.guessed([*coded.values()]), strict=True):
        held = share_at_least(right, total, 2.0)
        found[name] = ((right / total - base) / (1 - base), (held - base) / (1 - base))
    return found


def _told_numbers(
    columns: Mapping[str, pa.Array], truth: npt.NDArray[np.float64]
) -> dict[str, Told]:
    """Return the squared rank correlation of columns of numbers with the label."""
    found: dict[str, Told] = {}
    for name, values in columns.items():
        numbers = _numbers(values)
        if numbers is None:
            continue
        held = np.isfinite(numbers) & np.isfinite(truth)
        if held.sum() < 2 * ENOUGH:
            continue
        ours, theirs = _ranks(numbers[held]), _ranks(truth[held])
        if ours.std() and theirs.std():
            square = float(np.corrcoef(ours, theirs)[0, 1] ** 2)
            found[name] = (square, square)
    return found


def _ranks(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the rank of each number; equal ones share the middle of theirs."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (ends - (counts - 1) / 2)[places]
    return ranks


def _ranked(numbers: npt.NDArray[np.float64]) -> Codes:
    """Cut numbers into parts of about equal size, of ENOUGH rows or more."""
    filled = np.where(np.isfinite(numbers), numbers, np.inf)
    edges = np.sort(filled)[_cuts(len(filled))]
    return np.searchsorted(edges, filled, side="right").astype(np.int64, copy=False)


@cache
def _cuts(rows: int) -> Codes:
    """Return the places in ordered rows at which they are cut."""
    parts = max(2, min(50, rows // ENOUGH))
    shares = np.linspace(0, 1, parts + 1)[1:-1]
    return np.rint(shares * (rows - 1)).astype(np.int64)


def _codes(array: pa.Array) -> Codes | None:
    """Number values; a null is one."""
    if not len(array):
        return None
    if pa.types.is_floating(array.type) or pa.types.is_nested(array.type):
        return np.unique(value_hash(array), return_inverse=True)[1].astype(np.int64)
    indices = pc.dictionary_encode(array, null_encoding="encode").indices
    return np.asarray(indices, np.int64)


def _numbers(array: pa.Array) -> npt.NDArray[np.float64] | None:
    if not is_numeric(str(array.type)):
        return None
    numbers = as_numbers(array)
    if numbers is None:
        return None
    floats = numbers.astype(np.float64)
    if array.null_count:
        floats[array.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return floats
