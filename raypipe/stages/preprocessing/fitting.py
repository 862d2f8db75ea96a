"""From a recipe and the train profile to a transform, without another look at rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from raypipe.config.faults import suggest
from raypipe.config.preprocessing import Group, LabelConfig
from raypipe.errors import UsageError
from raypipe.stages.preprocessing import statistics
from raypipe.stages.preprocessing.kinds import CodeOf, Facts, TextOf, fit_group, unfit_for
from raypipe.stages.preprocessing.questions import Question
from raypipe.values.label import fit_label
from raypipe.values.profile import Profile
from raypipe.values.schema import NUMBERS, Column, Schema, kind_of
from raypipe.values.signature import Feature, Label, Signature, Task
from raypipe.values.transform import Transform, groups
from raypipe.values.transform.transform import features_of, tensor_specs


def fit_transform(
    train: Profile,
    recipe: Sequence[Group],
    schema: Schema,
    label: str,
    task: Task,
    *,
    code_of: CodeOf = lambda reference: "",
    text_of: TextOf = lambda file: Path(file).read_text(encoding="utf-8"),
    scaling: LabelConfig | None = None,
    weight: str | None = None,
    answers: Mapping[Question, Mapping[str, int]] = MappingProxyType({}),
) -> Transform:
    """Return the transform of a recipe, fitted to the profile of the train split.

    A column that the train split has no value of is filled with 0 and has an empty vocabulary.
    `answers` are those to what the recipe asks of the rows themselves: see questions_of.
    """
    for number, group in enumerate(recipe):
        _require(group, number, schema, label)
    facts = Facts(train=train, answers=answers, code_of=code_of, text_of=text_of)
    fitted = tuple(fit_group(group, facts) for group in recipe)
    _require_agreement(fitted, label)
    known = {column.name: _feature(column) for column in schema.columns}
    features = features_of(fitted, known)
    return Transform(
        groups=fitted,
        signature=Signature(
            features=features,
            tensors=tensor_specs(fitted),
            label=_scaled(fit_label(train, schema, label, task), train, scaling),
            weight=weight,
        ),
        label_type=_column(schema, label).type,
        mean_weight=1.0 if weight is None else _mean_weight(weight, train, schema, fitted, label),
        optional=tuple(f.name for f in features if not _column(schema, f.name).required),
    )


def _mean_weight(
    name: str, train: Profile, schema: Schema, fitted: tuple[groups.Group, ...], label: str
) -> float:
    """Return what rows of the train split weigh on average; UsageError for what is no weight."""
    kind = _column(schema, name).type
    if name == label or kind_of(kind) not in NUMBERS:
        raise UsageError(
            f"preprocessing.weight names {name!r}, which is "
            + ("the label" if name == label else kind),
            hint="A weight is a number of a column of its own.",
        )
    if any(group.tensor == name for group in fitted):
        raise UsageError(
            f"A tensor is named {name!r} like the weight", hint="Give it another name."
        )
    column = train.columns.get(name)
    middle = 0.0 if column is None else statistics.mean(column)
    if middle <= 0:
        raise UsageError(
            f"The weights {name!r} of the train split are {middle:g} on average",
            hint="A weight is 0 or above, and not all are 0.",
        )
    return middle


def _scaled(label: Label, train: Profile, scaling: LabelConfig | None) -> Label:
    """Return the label with what the module learns of it."""
    if scaling is None or scaling == LabelConfig():
        return label
    if label.task != "regression":
        raise UsageError(
            f"preprocessing.label scales numbers, but training.task is {label.task}",
            hint="Leave preprocessing.label out, or set training.task: regression.",
        )
    column = train.columns.get(label.name)
    center, scale = 0.0, 1.0
    if scaling.scale == "standard" and column is not None:
        change = statistics.logged if scaling.log else None
        center, scale = statistics.standard(column, 0.0, change)
    return replace(label, log=scaling.log, center=center, scale=scale)


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
        if (unfit := unfit_for(group, column.type)) is not None:
            raise UsageError(
                f"{where} reads {name!r}, which is {column.type}; {unfit}",
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
        if groups.is_alone(group) and sum(one.tensor == group.tensor for one in fitted) > 1:
            raise UsageError(
                f"Tensor {group.tensor!r} holds a text or an image, and other values beside it",
                hint="Give each text and each image a tensor of its own.",
            )
        if dtypes.setdefault(group.tensor, dtype) != dtype:
            raise UsageError(
                f"Tensor {group.tensor!r} would hold both float32 and int64",
                hint="Give indices (embedding) and numbers tensors of different names.",
            )
