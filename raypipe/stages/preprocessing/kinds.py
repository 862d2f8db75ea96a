"""One group of a recipe, fitted to the train profile; and which columns a group can read."""

from collections.abc import Callable

from raypipe.config.category_groups import (
    FrequencyGroup,
    HashingGroup,
    MultiHotGroup,
    OrdinalGroup,
)
from raypipe.config.number_groups import BucketiseGroup, DateGroup
from raypipe.config.preprocessing import (
    CyclicGroup,
    EmbeddingGroup,
    FunctionGroup,
    Group,
    NumericGroup,
    OneHotGroup,
)
from raypipe.stages.preprocessing import statistics
from raypipe.stages.preprocessing.numbers import fit_numeric
from raypipe.values.profile import Profile
from raypipe.values.schema import NUMBERS, kind_of
from raypipe.values.transform.category_groups import Frequency, Hashed, MultiHot, Ordinal
from raypipe.values.transform.groups import Cyclic, Embedding, Function, OneHot
from raypipe.values.transform.groups import Group as Fitted
from raypipe.values.transform.number_groups import Buckets, Date
from raypipe.values.transform.types import arrow_type

CodeOf = Callable[[str], str]
"""From a code reference to the digest of the code that it reaches."""

_MOMENTS = ("date", "timestamp")
_VALUES = (*NUMBERS, "text", *_MOMENTS)


def fit_group(group: Group, train: Profile, code_of: CodeOf) -> Fitted:
    """Fit a group; what the train split has no value of is filled with 0 and knows no value."""
    columns, tensor = group.columns, group.tensor or _tensor(group)
    match group:
        case NumericGroup():
            return fit_numeric(group, train)
        case CyclicGroup():
            return Cyclic(columns=columns, tensor=tensor, period=group.period)
        case BucketiseGroup():
            return Buckets(
                columns=columns,
                tensor=tensor,
                edges=tuple(_edges(group, train, name) for name in columns),
                index=group.output == "index",
            )
        case DateGroup():
            told = [train.columns.get(name) for name in columns]
            return Date(
                columns=columns,
                tensor=tensor,
                parts=group.parts,
                cyclic=group.cyclic,
                zone=group.zone,
                center=tuple(statistics.mean(one) if one else 0.0 for one in told),
                scale=tuple(statistics.deviation(one) if one else 1.0 for one in told),
            )
        case HashingGroup():
            return Hashed(
                columns=columns,
                tensor=tensor,
                buckets=group.buckets,
                index=group.output == "index",
            )
        case FunctionGroup():
            return Function(
                columns=columns,
                tensor=tensor,
                function=str(group.function),
                width=group.width,
                code=code_of(str(group.function)),
            )
        case _:
            return _fit_values(group, train)


def _fit_values(
    group: OneHotGroup | EmbeddingGroup | OrdinalGroup | FrequencyGroup | MultiHotGroup,
    train: Profile,
) -> Fitted:
    columns, tensor, limit = group.columns, group.tensor, group.limit
    if isinstance(group, MultiHotGroup):
        known = tuple(statistics.listed(train, name, limit=limit) for name in columns)
        return MultiHot(columns=columns, tensor=tensor, vocabularies=known)
    counts = [statistics.frequencies(train, name, limit=limit) for name in columns]
    known = tuple(tuple(text for text, _ in pairs) for pairs in counts)
    match group:
        case OneHotGroup():
            return OneHot(columns=columns, tensor=tensor, vocabularies=known)
        case EmbeddingGroup():
            kept = tuple(
                tuple(text for text, count in pairs if count >= group.min_count) for pairs in counts
            )
            return Embedding(columns=columns, tensor=tensor, vocabularies=kept)
        case OrdinalGroup():
            orders = tuple(
                group.order or _ordered(one, train, name)
                for one, name in zip(known, columns, strict=True)
            )
            return Ordinal(columns=columns, tensor=tensor, vocabularies=orders)
        case FrequencyGroup():
            return Frequency(
                columns=columns,
                tensor=tensor,
                vocabularies=known,
                shares=tuple(tuple(n / train.rows for _, n in pairs) for pairs in counts),
            )


def _edges(group: BucketiseGroup, train: Profile, name: str) -> tuple[float, ...]:
    if group.edges is not None:
        return group.edges
    column = train.columns.get(name)
    return () if column is None else statistics.edges(column, group.buckets)


def _ordered(values: tuple[str, ...], train: Profile, name: str) -> tuple[str, ...]:
    column = train.columns.get(name)
    if column is not None and kind_of(column.type) in ("integer", "number"):
        return tuple(sorted(values, key=float))
    return tuple(sorted(values))


def _tensor(group: Group) -> str:
    """Return the tensor of a group that names none: by what it tells."""
    indexed = isinstance(group, BucketiseGroup | HashingGroup) and group.output == "index"
    return "indices" if indexed else "dense"


def unfit_for(group: Group, type_name: str) -> str | None:
    """Say why a group cannot read columns of a type; None: it can."""
    kind = kind_of(type_name)
    match group:
        case FunctionGroup():
            return None
        case NumericGroup() | CyclicGroup() | BucketiseGroup():
            allowed: tuple[str, ...] = NUMBERS
        case DateGroup():
            if (
                kind == "timestamp"
                and group.zone
                and not getattr(arrow_type(type_name), "tz", None)
            ):
                return "it has no time zone, so that `zone` cannot be told: leave `zone` out"
            allowed = _MOMENTS
        case MultiHotGroup():
            if kind == "list" and (told := arrow_type(type_name)) is not None:
                kind = kind_of(str(getattr(told, "value_type", "null")))
                return None if kind in _VALUES else f"it takes lists of {', '.join(_VALUES)}"
            allowed = ("list",)
        case _:
            allowed = _VALUES
    return None if kind in allowed else f"it takes {', '.join(allowed)}"
