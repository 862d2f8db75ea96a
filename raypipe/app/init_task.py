"""What is predicted, and how: the task that a label asks for, and training by rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from raypipe.config.loop import TaskName
from raypipe.errors import UsageError
from raypipe.values.columns import ColumnProfile, by_frequency
from raypipe.values.schema import is_numeric, kind_of
from raypipe.values.transform.image_part import FORMATS

CLASSES = 20
"""Whole numbers up to which they are classes; beyond, they are amounts."""
ROWS_A_CLASS = 5
"""Rows that a mean class has at least: with fewer, there is nothing to learn of most."""
RARE = 0.2
"""Share of the rarest class, as a part of an even share, below which accuracy says little."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is predicted."""

    label: str
    task: TaskName
    why: str
    outputs: int
    """Classes, or 1."""
    rarest: float = 1.0
    """Share of the rarest class."""
    skewed: bool = False
    """Of numbers: never negative, with a long tail."""

    @property
    def lopsided(self) -> bool:
        """Whether a class is so rare that accuracy says little."""
        return self.rarest * self.outputs < RARE


def asked_of(label: ColumnProfile, *, skewed: bool) -> Asked:
    """Return what task a label asks for; UsageError if there is none."""
    told = f"--target {label.name!r}"
    missing = label.nulls + label.nans
    if missing:
        raise UsageError(
            f"{told} is missing in {missing:,} of {label.count:,} rows, which teach nothing",
            hint="Leave these rows out of the file, or name another column.",
        )
    kind = kind_of(label.type)
    if kind == "list":
        return _of_lists(label, told)
    if kind not in ("text", "boolean", "integer", "number"):
        raise UsageError(
            f"{told} is {label.type}: a model predicts classes, sets of classes or numbers",
            hint="Name a column of text, truth values, numbers or lists of text.",
        )
    if label.distinct < 2:
        value = next(iter(label.values or {}), "")
        raise UsageError(
            f"{told} is {value!r} in all {label.count:,} rows: there is nothing to tell apart",
            hint="Name another column, or give a file with at least two values of this one.",
        )
    counts = label.values
    if label.distinct == 2 and counts is not None:
        return _of_classes(label, "binary", counts)
    if kind == "text":
        if counts is None or label.count < ROWS_A_CLASS * label.distinct:
            raise UsageError(
                f"{told} has {label.distinct:,} texts in {label.count:,} rows: too many classes",
                hint=f"A class needs {ROWS_A_CLASS} rows or more; put texts together, or name "
                "another column.",
            )
        return _of_classes(label, "multiclass", counts)
    few = counts is not None and label.distinct <= min(CLASSES, label.count / ROWS_A_CLASS)
    if kind == "integer" and few and counts is not None:
        return _of_classes(label, "multiclass", counts)
    why = f"numbers from {label.min:,.6g} to {label.max:,.6g}"
    return Asked(label=label.name, task="regression", why=why, outputs=1, skewed=skewed)


def _of_classes(label: ColumnProfile, task: TaskName, counts: Mapping[str, int]) -> Asked:
    ranked = by_frequency(counts)
    shown = ", ".join(f"{text} {count / label.count:.0%}" for text, count in ranked[:4])
    more = f" and {len(ranked) - 4} more" if len(ranked) > 4 else ""
    amounts = is_numeric(label.type) and len(ranked) > 2
    number = " (task: regression, if they are amounts)" if amounts else ""
    return Asked(
        label=label.name,
        task=task,
        why=f"{len(ranked)} classes: {shown}{more}{number}",
        outputs=len(ranked),
        rarest=ranked[-1][1] / label.count,
    )


def _of_lists(label: ColumnProfile, told: str) -> Asked:
    inner = label.inner.get("[]")
    if inner is None or kind_of(inner.type) != "text":
        raise UsageError(
            f"{told} is {label.type}: of lists, those of text can be predicted",
            hint="Write the values as text, or name another column.",
        )
    if inner.distinct < 2:
        raise UsageError(
            f"{told} has lists of {inner.distinct} value in all: there is nothing to tell apart",
            hint="Name another column.",
        )
    why = f"lists of any of {inner.distinct} classes"
    return Asked(label=label.name, task="multilabel", why=why, outputs=inner.distinct)


SKEW = 4
"""How many times as far above the median the highest twentieth begins as the lowest below it."""


def is_skewed(column: ColumnProfile) -> bool:
    """Say whether numbers are never negative and have a long tail where log(1 + x) bends it."""
    low, middle, high = (column.quantile(share) for share in (0.05, 0.5, 0.95))
    if low is None or middle is None or high is None or not isinstance(column.min, float):
        return False
    return column.min >= 0 and high > 2 and high - middle > SKEW * (middle - low)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How training is set, by what there is to be learned from."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    dropout: float
    patience: int
    hidden: tuple[int, ...]
    compared: tuple[tuple[int, ...], ...]
    """Layers that a sweep compares; none: those of `hidden` are right at this many rows."""


SMALL, MIDDLE = 1_000, 20_000
"""Rows below which a table is small, or middling."""
_TABLES = (
    Effort(
        epochs=100, batch_size=32, learning_rate=0.003, weight_decay=0.01, dropout=0.1,
        patience=20, hidden=(64,), compared=((), (64,)),
    ),
    Effort(
        epochs=60, batch_size=64, learning_rate=0.002, weight_decay=0.01, dropout=0.2,
        patience=10, hidden=(128, 64), compared=(),
    ),
    Effort(
        epochs=20, batch_size=1024, learning_rate=0.002, weight_decay=0.0001, dropout=0.1,
        patience=3, hidden=(256, 128), compared=(),
    ),
)  # fmt: skip
"""For tables that are small, middling and large."""


def effort_of(rows: int, family: Literal["table", "text", "image"] = "table") -> Effort:
    """Return how training is set for so many rows.

    An epoch has a few dozen steps at least; the fewer the rows, the more a weight is held back.
    """
    if family == "text":
        return Effort(
            epochs=20, batch_size=32 if rows < MIDDLE else 256, learning_rate=0.003,
            weight_decay=5.0 if rows < MIDDLE else 0.5, dropout=0.5, patience=8,
            hidden=(), compared=(),
        )  # fmt: skip
    if family == "image":
        return Effort(
            epochs=15, batch_size=32 if rows < MIDDLE else 256, learning_rate=0.003,
            weight_decay=0.01, dropout=0.1, patience=4, hidden=(), compared=(),
        )  # fmt: skip
    return _TABLES[(rows >= SMALL) + (rows >= MIDDLE)]


def image_shape(images: pa.ChunkedArray) -> tuple[int, int, int] | None:
    """Return height, width and channels that images are brought to: the middle one's, bounded.

    None where less than half of the first hundred are images.
    """
    import io

    from PIL import Image

    contents = images.drop_null()[:100].to_pylist()
    sizes, grey = [], True
    for content in contents:
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                sizes.append(image.size)
                grey = grey and image.mode in ("1", "L", "I;16")
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
    if 2 * len(sizes) < max(1, len(contents)):
        return None
    widths, heights = (sorted(one) for one in zip(*sizes, strict=True))
    middle = len(sizes) // 2
    return min(heights[middle], LARGEST), min(widths[middle], LARGEST), 1 if grey else 3


LARGEST = 64
"""Pixels of a side that an image is brought to, unless a person says otherwise."""
