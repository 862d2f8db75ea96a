"""One group of a recipe, fitted to the train profile; and which columns a group can read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from raypipe.config.category_groups import (
    FrequencyGroup,
    HashingGroup,
    MultiHotGroup,
    OrdinalGroup,
)
from raypipe.config.content_groups import ImageGroup, TextGroup
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
from raypipe.stages.preprocessing.looking import mean_and_std
from raypipe.stages.preprocessing.numbers import fit_numeric
from raypipe.stages.preprocessing.questions import Question, question_of
from raypipe.values.profile import Profile
from raypipe.values.schema import NUMBERS, kind_of
from raypipe.values.transform.category_groups import Frequency, Hashed, MultiHot, Ordinal
from raypipe.values.transform.content_groups import Image, Text
from raypipe.values.transform.groups import Cyclic, Embedding, Function, OneHot
from raypipe.values.transform.groups import Group as Fitted
from raypipe.values.transform.number_groups import Buckets, Date
from raypipe.values.transform.tokenizing import learned, read_state
from raypipe.values.transform.types import arrow_type

CodeOf = Callable[[str], str]
"""From a code reference to the digest of the code that it reaches."""
TextOf = Callable[[str], str]
"""From a file's path to what it says."""

_MOMENTS = ("date", "timestamp")
_VALUES = (*NUMBERS, "text", *_MOMENTS)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What groups are fitted to."""

    train: Profile
    answers: Mapping[Question, Mapping[str, int]]
    """What was counted in the rows themselves, by what was asked."""
    code_of: CodeOf
    text_of: TextOf


def fit_group(group: Group, facts: Facts) -> Fitted:
    """Fit a group; what the train split has no value of is filled with 0 and knows no value."""
    columns, tensor, train = group.columns, group.tensor or _tensor(group), facts.train
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
                code=facts.code_of(str(group.function)),
            )
        case TextGroup():
            return _fit_text(group, facts)
        case ImageGroup():
            return _fit_image(group, facts)
        case _:
            return _fit_values(group, train)


def _fit_text(group: TextGroup, facts: Facts) -> Text:
    if group.file is not None:
        state, name = facts.text_of(group.file), group.file
    else:
        state = learned(
            _counted(group, facts),
            group.tokenizer,
            lowercase=group.lowercase,
            vocabulary=group.vocabulary,
            min_count=group.min_count,
        )
        name = "what was learned"
    shift, size = read_state(state, name, group.length)
    return Text(
        columns=group.columns,
        tensor=group.tensor,
        tokenizer=state,
        length=group.length,
        shift=shift,
        size=size,
    )


def _counted(group: TextGroup | ImageGroup, facts: Facts) -> Mapping[str, int]:
    question = question_of(group)
    if question is None or question not in facts.answers:
        raise ValueError(f"nobody looked at the rows for {question}")
    return facts.answers[question]


def _fit_image(group: ImageGroup, facts: Facts) -> Image:
    figures = [(0.0, 1.0)] * group.channels
    if group.normalise == "train":
        figures = mean_and_std(_counted(group, facts), group.channels)
    mean, std = group.mean, group.std
    return Image(
        columns=group.columns,
        tensor=group.tensor,
        size=group.size,
        channels=group.channels,
        mean=mean or tuple(one for one, _ in figures),
        std=std or tuple(one for _, one in figures),
        broken=group.broken,
    )


def _fit_values(
    group: OneHotGroup | EmbeddingGroup | OrdinalGroup | FrequencyGroup | MultiHotGroup,
    train: Profile,
) -> Fitted:
    columns, tensor, limit = group.columns, group.tensor, group.limit
    if isinstance(group, MultiHotGroup):
        known = tuple(statistics.listed(train, name, limit=limit) for name in columns)
        return MultiHot(columns=columns, tensor=tensor, vocabularies=known)
    counts = [statistics.frequencies(train, name, limit=limit) for name in columns]
    least = group.min_count if isinstance(group, EmbeddingGroup) else 0
    known = tuple(tuple([text for text, n in pairs if n >= least]) for pairs in counts)
    match group:
        case OneHotGroup():
            return OneHot(columns=columns, tensor=tensor, vocabularies=known)
        case EmbeddingGroup():
            return Embedding(columns=columns, tensor=tensor, vocabularies=known)
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
        case TextGroup():
            allowed = ("text",)
        case ImageGroup():
            allowed = ("binary", "large_binary")
        case MultiHotGroup():
            if kind == "list" and (told := arrow_type(type_name)) is not None:
                kind = kind_of(str(getattr(told, "value_type", "null")))
                return None if kind in _VALUES else f"it takes lists of {', '.join(_VALUES)}"
            allowed = ("list",)
        case _:
            allowed = _VALUES
    return None if kind in allowed else f"it takes {', '.join(allowed)}"
