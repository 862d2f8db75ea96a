"""What the label is: its classes, by the schema or by the rows to be trained on."""

from raypipe.errors import UsageError
from raypipe.values.profile import Profile
from raypipe.values.schema import NUMBERS, Column, Schema, kind_of
from raypipe.values.signature import Label, Task


def fit_label(train: Profile, schema: Schema, label: str, task: Task) -> Label:
    """Return what the label is: its classes are the schema's, else those of the train split."""
    column = schema.column(label)
    if column is None:
        raise UsageError(f"the schema has no column {label!r}, which data.label names")
    kind = kind_of(column.type)
    if task == "regression":
        if kind not in NUMBERS:
            raise UsageError(
                f"training.task is regression, but the label {label!r} is {column.type}",
                hint="Regression predicts numbers; for classes set training.task: multiclass.",
            )
        return Label(name=label, task=task)
    classes = _classes(column, kind, train)
    if task == "binary" and len(classes) != 2:
        raise UsageError(
            f"training.task is binary, but the label {label!r} has {_count(classes)}",
            hint="For more classes set training.task: multiclass; for numbers, regression.",
        )
    return Label(name=label, task=task, classes=classes)


def _classes(column: Column, kind: str, train: Profile) -> tuple[str, ...]:
    if kind == "boolean":
        return ("false", "true")
    seen = train.columns.get(column.name)
    values = column.categories or (seen.values if seen else None)
    if values is None:
        raise UsageError(
            f"The label {column.name!r} has more than 1,000 distinct values",
            hint="For numbers set training.task: regression; else choose another label.",
        )
    if kind in NUMBERS:
        return tuple(sorted(values, key=float))
    return tuple(sorted(values))


def _count(classes: tuple[str, ...]) -> str:
    shown = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
    return f"{len(classes)} classes ({shown})" if classes else "no value in the train split"
