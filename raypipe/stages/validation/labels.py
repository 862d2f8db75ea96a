"""What is wrong with the label: constant, lopsided, told by a column, or by a value alone."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.config.validation import ValidationConfig
from raypipe.stages.validation.words import SHOWN, percent, some, visible
from raypipe.values.chance import differ, share_at_least, share_at_most
from raypipe.values.columns import ColumnProfile
from raypipe.values.hashing import as_numbers, canonical_text, value_hash
from raypipe.values.measure import plain_array
from raypipe.values.profile import Profile, SplitProfiles
from raypipe.values.schema import Schema, is_numeric
from raypipe.values.validation import Found
from raypipe.values.words import amount

CLASSES = 50
"""Distinct values up to which a label is taken for classes."""
ENOUGH = 20
"""Rows of a value from which something is said of it."""
EXACT = 0.999
"""Squared rank correlation of a column with a label of numbers that is no coincidence."""

Codes = npt.NDArray[np.int64]


def of_label(train: Profile, schema: Schema, settings: ValidationConfig) -> Iterator[Found]:
    """Say what is wrong with the label of the train split."""
    seen = train.columns.get(schema.label or "")
    if seen is None or not seen.count:
        return
    if seen.distinct <= 1:
        values = seen.values or {}
        what = f"is {next(iter(values))}" if values else "has no value"
        said = f"the label {what} in all {amount(seen.count, 'row')} of the train split."
        yield Found(kind="constant_label", column=seen.name, said=said, examples=tuple(values))
        return
    if settings.balance and has_classes(seen):
        yield from _imbalance(seen, settings.balance)
    yield from of_leakage(train, schema, settings)


def of_listed(profiles: SplitProfiles, schema: Schema) -> Iterator[Found]:
    """Say which values lists of the label hold that none of the train split does."""
    label = schema.label or ""
    learned = _listed(profiles.train, label)
    if learned is None:
        return
    for split in ("validation", "analysis"):
        held = _listed(getattr(profiles, split), label) or {}
        unseen = sorted(set(held) - set(learned), key=lambda text: (-held[text], text))
        if unseen:
            values = f"{amount(len(unseen), 'value')} ({some(unseen[:SHOWN], len(unseen))})"
            yield Found(
                kind="unseen_category",
                column=label,
                said=f"lists of the {split} split hold {values} that none of the train split "
                "does: nothing is learned of it, and it counts for nothing in metrics.",
                examples=tuple(unseen[:SHOWN]),
            )


def _listed(profile: Profile, label: str) -> dict[str, int] | None:
    """Return how often the label's lists hold which value; None where that is not counted."""
    seen = profile.columns.get(label)
    inner = seen.inner.get("[]") if seen else None
    return None if inner is None or inner.values is None else dict(inner.values)


def has_classes(label: ColumnProfile) -> bool:
    """Say whether a label names classes: of text or truth, or a few whole numbers."""
    few = label.values is not None and len(label.values) <= CLASSES
    whole = few and all(text.lstrip("-").isdigit() for text in label.values or ())
    return few and (whole or not is_numeric(label.type))


def _imbalance(label: ColumnProfile, allowed: float) -> Iterator[Found]:
    counts = label.values or {}
    total = sum(counts.values())
    rare = {
        text: count
        for text, count in counts.items()
        if share_at_most(count, total) * len(counts) < allowed
    }
    if rare:
        share = sum(rare.values()) / total
        examples = tuple(sorted(rare, key=lambda text: (rare[text], text)))[:5]
        yield Found(
            kind="imbalance",
            column=label.name,
            said=f"{percent(share)} of the train split have {some(examples, len(rare))}: less than "
            f"{percent(allowed)} of an even share of {len(counts)} classes.",
            share=share,
            examples=examples,
            allow=f"validation.balance: {0.8 * min(rare.values()) / total * len(counts):.2g}",
        )


# --- a column that tells the label ----------------------------------------------------------------


def of_leakage(train: Profile, schema: Schema, settings: ValidationConfig) -> Iterator[Found]:
    """Look for columns that alone tell the label, in the sample of the train split."""
    rows, label = train.sample.rows, train.columns.get(schema.label or "")
    if label is None or settings.leakage is None or label.distinct < 2:
        return
    truth = plain_array(rows[label.name])
    codes = _codes(truth) if has_classes(label) else None
    classes = None if codes is None else _Classes.of(codes)
    numbers = _numbers(truth) if classes is None else None
    for name in rows.column_names:
        column = schema.column(name)
        if name == label.name or (column and {"key", "time"} & {*column.roles}):
            continue
        told, limit, values = None, EXACT, plain_array(rows[name])
        if classes is not None:
            few = train.columns[name].counted is not None
            told, limit = _told_class(values, classes, few=few), settings.leakage
        elif numbers is not None:
            told = _told_number(values, numbers)
        if told is not None and told[1] > limit:
            examples = _told_by(rows, name, label.name)
            yield Found(
                kind="target_leakage",
                column=name,
                said=f"the column alone tells {percent(told[0])} of {label.name}, such as "
                f"{examples[0]}: is it known before the label is?",
                share=told[0],
                examples=examples,
            )


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

    @classmethod
    def of(cls, codes: Codes) -> Self:
        counts = np.bincount(codes)
        return cls(
            codes=codes,
            count=len(counts),
            half=np.arange(len(codes)) % 2,
            base=float(counts.max() / len(codes)),
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

    def guessed(self, codes: Codes) -> int:
        """Count the rows whose class the other half of the rows tells."""
        values = int(codes.max()) + 1
        cells = (self.codes * 2 + self.half) * values + codes
        table = np.bincount(cells, minlength=self.count * 2 * values)
        table = table.reshape(self.count, 2, values)
        commonest = table.sum(axis=2).argmax(axis=0)
        guess = np.where(table.any(axis=0), table.argmax(axis=0), commonest[:, None])
        return int(np.count_nonzero(guess[1 - self.half, codes] == self.codes))


def _told_class(values: pa.Array, classes: _Classes, *, few: bool) -> tuple[float, float] | None:
    """Return what share of the label a column tells beyond the commonest class, and at least.

    Half of the rows guess the other half, by the commonest label of a value, or of the numbers
    that lie about it. Only a column of `few` values may be the label by another name.
    """
    total, base = len(classes.codes), classes.base
    if total < 2 * ENOUGH or base >= 1:
        return None
    numbers = _numbers(values)
    codes = _codes(values) if few or numbers is None else None
    if codes is not None and classes.is_another_name_of(codes):
        return 1.0, 1.0
    codes = codes if numbers is None else _ranked(numbers)
    if codes is None:
        return None
    right = classes.guessed(codes)
    held = share_at_least(right, total, 2.0)
    return (right / total - base) / (1 - base), (held - base) / (1 - base)


def _told_number(values: pa.Array, truth: npt.NDArray[np.float64]) -> tuple[float, float] | None:
    numbers = _numbers(values)
    if numbers is None:
        return None
    held = np.isfinite(numbers) & np.isfinite(truth)
    if held.sum() < 2 * ENOUGH:
        return None
    ours, theirs = _ranks(numbers[held]), _ranks(truth[held])
    if not ours.std() or not theirs.std():
        return None
    square = float(np.corrcoef(ours, theirs)[0, 1] ** 2)
    return square, square


def _ranks(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the rank of each number; equal ones share the middle of theirs."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (ends - (counts - 1) / 2)[places]
    return ranks


def _ranked(numbers: npt.NDArray[np.float64]) -> Codes:
    """Cut numbers into parts of about equal size, of ENOUGH rows or more."""
    filled = np.where(np.isfinite(numbers), numbers, np.inf)
    parts = max(2, min(50, len(filled) // ENOUGH))
    shares = np.linspace(0, 1, parts + 1)[1:-1]
    edges = np.sort(filled)[np.rint(shares * (len(filled) - 1)).astype(np.int64)]
    return np.searchsorted(edges, filled, side="right").astype(np.int64)


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


# --- a value that tells the label -----------------------------------------------------------------


def of_dominance(
    new: Profile, accepted: Profile, schema: Schema, settings: ValidationConfig
) -> Iterator[Found]:
    """Look for values whose new rows nearly all have one label, and had not before."""
    label = schema.label or ""
    if settings.dominance is None or label not in new.sample.rows.column_names:
        return
    seen = new.columns[label]
    if label not in accepted.columns or not has_classes(seen):
        return
    samples = new.sample.rows, accepted.sample.rows
    truths = [canonical_text(rows[label]) for rows in samples]
    for name, column in new.columns.items():
        few = column.values is not None and 2 <= len(column.values) <= CLASSES
        if name == label or not few or name not in accepted.columns:
            continue
        ours, theirs = (
            _together(canonical_text(rows[name]), truth)
            for rows, truth in zip(samples, truths, strict=True)
        )
        yield from _dominated(name, label, ours, theirs, settings.dominance)


def _together(
    values: Sequence[str | None], truths: Sequence[str | None]
) -> dict[str, Counter[str]]:
    """Count labels by value."""
    counted: dict[str, Counter[str]] = {}
    for (value, truth), count in Counter(zip(values, truths, strict=True)).items():
        if value is not None and truth is not None:
            counted.setdefault(value, Counter())[truth] = count
    return counted


def _dominated(
    name: str,
    label: str,
    ours: dict[str, Counter[str]],
    theirs: dict[str, Counter[str]],
    at_most: float,
) -> Iterator[Found]:
    for value, labels in sorted(ours.items()):
        (top, count), total = labels.most_common(1)[0], labels.total()
        before = theirs.get(value, Counter())
        if total < ENOUGH or count <= at_most * total or before.total() < ENOUGH:
            continue
        if differ(count, total, before[top], before.total()):
            then = percent(before[top] / before.total())
            yield Found(
                kind="dominance",
                column=name,
                said=f"{percent(count / total)} of the new rows with {visible(value)} have "
                f"{label} {visible(top)}; of the accepted ones {then} have it.",
                share=count / total,
                examples=(value,),
            )
            return
