"""From a recipe and the train profile to a transform, without another look at rows."""

from collections.abc import Callable, Sequence

from raypipe.config.faults import suggest
from raypipe.config.preprocessing import (
    CyclicGroup,
    EmbeddingGroup,
    FunctionGroup,
    Group,
    NumericGroup,
    OneHotGroup,
)
from raypipe.errors import UsageError
from raypipe.stages.preprocessing.statistics import (
    deviation,
    log_moments,
    mean,
    median,
    vocabulary,
)
from raypipe.values.columns import ColumnProfile
from raypipe.values.label import fit_label
from raypipe.values.profile import Profile
from raypipe.values.schema import NUMBERS, Column, Schema, kind_of
from raypipe.values.signature import Feature, Signature, Task
from raypipe.values.transform import Transform, groups
from raypipe.values.transform.transform import features_of, tensor_specs

CodeOf = Callable[[str], str]
"""From a code reference to the digest of the code that it reaches."""

_VALUES = (*NUMBERS, "text", "date", "timestamp")


def fit_transform(
    train: Profile,
    recipe: Sequence[Group],
    schema: Schema,
    label: str,
    task: Task,
    *,
    code_of: CodeOf = lambda reference: "",
) -> Transform:
    """Return the transform of a recipe, fitted to the profile of the train split.

    A column that the train split has no value of is filled with 0 and has an empty vocabulary.
    """
    for number, group in enumerate(recipe):
        _require(group, number, schema, label)
    fitted = tuple(_fit(group, train, code_of) for group in recipe)
    _require_agreement(fitted, label)
    known = {column.name: _feature(column) for column in schema.columns}
    features = features_of(fitted, known)
    return Transform(
        groups=fitted,
        signature=Signature(
            features=features,
            tensors=tensor_specs(fitted),
            label=fit_label(train, schema, label, task),
        ),
        label_type=_column(schema, label).type,
        optional=tuple(f.name for f in features if not _column(schema, f.name).required),
    )


def _fit(group: Group, train: Profile, code_of: CodeOf) -> groups.Group:
    match group:
        case NumericGroup():
            return _fit_numeric(group, train)
        case CyclicGroup():
            return groups.Cyclic(columns=group.columns, tensor=group.tensor, period=group.period)
        case OneHotGroup():
            known = tuple(vocabulary(train, c, limit=group.limit) for c in group.columns)
            return groups.OneHot(columns=group.columns, tensor=group.tensor, vocabularies=known)
        case EmbeddingGroup():
            limit, least = group.limit, group.min_count
            known = tuple(vocabulary(train, c, limit=limit, min_count=least) for c in group.columns)
            return groups.Embedding(columns=group.columns, tensor=group.tensor, vocabularies=known)
        case FunctionGroup():
            return groups.Function(
                columns=group.columns,
                tensor=group.tensor,
                function=str(group.function),
                width=group.width,
                code=code_of(str(group.function)),
            )


def _fit_numeric(group: NumericGroup, train: Profile) -> groups.Numeric:
    columns = [train.columns.get(name) for name in group.columns]
    fills = [_fill(column, group.impute) for column in columns]
    centers, scales = [0.0] * len(columns), [1.0] * len(columns)
    if group.scale == "standard":
        for place, (column, fill) in enumerate(zip(columns, fills, strict=True)):
            if column is not None:
                centers[place], scales[place] = _standard(column, fill, group.log)
    return groups.Numeric(
        columns=group.columns,
        tensor=group.tensor,
        fill=tuple(fills),
        log=group.log,
        center=tuple(centers),
        scale=tuple(scales),
    )


def _fill(column: ColumnProfile | None, impute: str) -> float:
    if column is None or impute == "zero":
        return 0.0
    return mean(column) if impute == "mean" else median(column)


def _standard(column: ColumnProfile, fill: float, log: bool) -> tuple[float, float]:
    return log_moments(column, fill) if log else (mean(column), deviation(column))


def _feature(column: Column) -> Feature:
    nullable = column.nulls > 0 or not column.required
    return Feature(name=column.name, type=column.type, nullable=nullable)


def _column(schema: Schema, name: str) -> Column:
    column = schema.column(name)
    if column is None:
        names = [known.name for known in schema.columns]
        raise UsageError(
            f"The schema has no column {name!r}; {suggest(name, names)}",
            hint="Name a column of the data.",
        )
    return column


def _require(group: Group, number: int, schema: Schema, label: str) -> None:
    """Raise UsageError unless a group's columns are there and of a kind that it can read."""
    where = f"preprocessing.groups[{number}] ({group.kind})"
    allowed = NUMBERS if isinstance(group, NumericGroup | CyclicGroup) else _VALUES
    for name in group.columns:
        if name == label:
            raise UsageError(f"{where} reads the label {name!r}", hint="Leave it out.")
        column = schema.column(name)
        if column is None:
            names = [known.name for known in schema.columns]
            raise UsageError(
                f"{where} reads column {name!r}, which the data does not have; "
                + suggest(name, names)
            )
        if not isinstance(group, FunctionGroup) and kind_of(column.type) not in allowed:
            raise UsageError(
                f"{where} reads {name!r}, which is {column.type}; it takes {', '.join(allowed)}",
                hint="Choose another kind of group, or a function of yours.",
            )


def _require_agreement(fitted: tuple[groups.Group, ...], label: str) -> None:
    """Raise UsageError where a tensor is named like the label, or would be of two dtypes."""
    dtypes: dict[str, str] = {}
    for group in fitted:
        if group.tensor == label:
            raise UsageError(
                f"A tensor is named {label!r} like the label", hint="Give it another name."
            )
        dtype = groups.dtype_of(group)
        if dtypes.setdefault(group.tensor, dtype) != dtype:
            raise UsageError(
                f"Tensor {group.tensor!r} would hold both float32 and int64",
                hint="Give indices (embedding) and numbers tensors of different names.",
            )
