"""The fitted groups of a transform: state that is plain data, and what each group's values are."""

import itertools
from dataclasses import dataclass
from typing import TypeGuard

from raypipe.values.transform.category_groups import Frequency, Hashed, MultiHot, Ordinal
from raypipe.values.transform.content_groups import Image, Text
from raypipe.values.transform.number_groups import Buckets, Date

_LONGEST_NAME = 60


@dataclass(frozen=True, kw_only=True)
class Numeric:
    """Numbers: filled, perhaps clipped and logged, then centred and scaled; float32.

    What is null, NaN or infinite is filled. Of numbers beyond float32 the largest one is taken.
    """

    columns: tuple[str, ...]
    tensor: str
    fill: tuple[float, ...]
    """What stands in for a missing value, by column."""
    log: bool
    """Take log(1 + x) of what is positive and 0 of what is not, after filling."""
    center: tuple[float, ...]
    """Subtracted, by column."""
    scale: tuple[float, ...]
    """Divided by, by column; never 0."""
    low: tuple[float | None, ...] = ()
    """What each column is kept above, after filling; None: nothing; empty: none is."""
    high: tuple[float | None, ...] = ()
    """What each column is kept below."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        return self.columns


@dataclass(frozen=True, kw_only=True)
class Cyclic:
    """Sine and cosine of numbers that come round again; float32.

    Both are 0 where one is missing.
    """

    columns: tuple[str, ...]
    tensor: str
    period: float

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        return tuple(f"{column}.{part}" for column in self.columns for part in ("sin", "cos"))


@dataclass(frozen=True, kw_only=True)
class OneHot:
    """A flag for each known value; float32. A value that is missing or unknown has none set."""

    columns: tuple[str, ...]
    tensor: str
    vocabularies: tuple[tuple[str, ...], ...]
    """Known values as canonical text, by column; the empty text is a value like any other."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        pairs = zip(self.columns, self.vocabularies, strict=True)
        return tuple(f"{column}={_short(value)}" for column, known in pairs for value in known)


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """The place of a value among the known ones, from 1; int64. 0: missing or unknown."""

    columns: tuple[str, ...]
    tensor: str
    vocabularies: tuple[tuple[str, ...], ...]
    """Known values as canonical text, by column; the empty text is a value like any other."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        return self.columns

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """How many values each index can take."""
        return tuple(1 + len(known) for known in self.vocabularies)


@dataclass(frozen=True, kw_only=True)
class Function:
    """Values that a user's function makes from an Arrow table of its columns; float32."""

    columns: tuple[str, ...]
    tensor: str
    function: str
    """`module:name`."""
    width: int
    code: str = ""
    """Digest of the code that the function reached when the transform was fitted, so that an edit
    of it makes another transform."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each value of a row is."""
        name = self.function.partition(":")[2]
        return (name,) if self.width == 1 else tuple(f"{name}[{i}]" for i in range(self.width))


Vocabulary = OneHot | Embedding | Ordinal | Frequency | MultiHot
"""Groups that know values."""
Indexed = Embedding | Hashed | Buckets | Text
"""Groups that may tell indices, each with a number of values that it can take."""
Group = Numeric | Cyclic | Date | Function | Image | Vocabulary | Indexed
KINDS: dict[str, type[Group]] = {
    "numeric": Numeric,
    "bucketise": Buckets,
    "cyclic": Cyclic,
    "date": Date,
    "one_hot": OneHot,
    "ordinal": Ordinal,
    "frequency": Frequency,
    "hashing": Hashed,
    "multi_hot": MultiHot,
    "embedding": Embedding,
    "text": Text,
    "image": Image,
    "function": Function,
}
"""The groups by the names that settings and files give them."""


def dtype_of(group: Group) -> str:
    """Return the dtype of what a group makes."""
    return "int64" if is_indexed(group) else "float32"


def is_indexed(group: Group) -> TypeGuard[Indexed]:
    """Say whether a group tells indices, for an embedding."""
    return isinstance(group, Embedding | Text) or (
        isinstance(group, Hashed | Buckets) and group.index
    )


def shape_of(group: Group) -> tuple[int, ...]:
    """Return the shape of what a group makes of a row."""
    return group.shape if isinstance(group, Image) else (len(group.names),)


def names_of(group: Group) -> tuple[str, ...]:
    """Return what each value of a row is, in words; nothing where they are too many to be named."""
    return () if isinstance(group, Image | Text) else group.names


def is_alone(group: Group) -> bool:
    """Say whether nothing else can stand in the tensor of a group."""
    return isinstance(group, Image | Text)


def places(groups: tuple[Group, ...]) -> list[tuple[int, int]]:
    """Return where in its tensor each group's values stand, as (start, stop)."""
    reached: dict[str, int] = {}
    found = []
    for group in groups:
        start = reached.get(group.tensor, 0)
        reached[group.tensor] = start + shape_of(group)[0]
        found.append((start, reached[group.tensor]))
    return found


def columns_of(groups: tuple[Group, ...]) -> tuple[str, ...]:
    """Return the raw columns that groups read, each once."""
    return tuple(dict.fromkeys(itertools.chain.from_iterable(group.columns for group in groups)))


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST_NAME else value[: _LONGEST_NAME - 1] + "…"
