"""What the label is: its classes, by the schema or by the rows to be trained on."""

import json
from dataclasses import replace
from math import isfinite

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
    if (kind == "list") != (task == "multilabel"):
        raise UsageError(
            f"training.task is {task}, but the label {label!r} is {column.type}",
            hint="Lists of classes are training.task: multilabel, and nothing else is.",
        )
    if task == "multilabel":
        return Label(name=label, task=task, classes=_listed_classes(column, train))
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


def _listed_classes(column: Column, train: Profile) -> tuple[str, ...]:
    """Return the classes that the lists of the train split hold, numbers by size."""
    seen = train.columns.get(column.name)
    inner = seen.inner.get("[]") if seen else None
    if inner is None or inner.values is None:
        raise UsageError(
            f"The lists of the label {column.name!r} hold "
            + ("nothing in the train split" if inner is None else "more than 1,000 classes"),
            hint="Choose another label, or take rare classes out of the data.",
        )
    if kind_of(inner.type) in ("integer", "number"):
        return tuple(sorted(inner.values, key=float))
    return tuple(sorted(inner.values))


def _count(classes: tuple[str, ...]) -> str:
    shown = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
    return f"{len(classes)} classes ({shown})" if classes else "no value in the train split"


def label_text(value: object, label: Label) -> str | None:
    """Return the class that a told value means, or its number as text; None if it is neither.

    true, "true" and 1 mean the class `true`; 1, "1" and 1.0 the class `1`. Of several labels at
    once the value is a list, and its text the JSON of its classes in their order.
    """
    if label.task == "multilabel":
        return _classes_text(value, label)
    text = told_text(value)
    if text is None or label.task == "regression":
        return None if text is None else _number(text)
    names = {"True": "true", "False": "false", "TRUE": "true", "FALSE": "false"}
    told = names.get(text, text)
    for known in (text, told, _number(told), _AS_NUMBER.get(told), _AS_TRUTH.get(told)):
        if known is not None and known in label.classes:
            return known
    return None


_AS_NUMBER = {"true": "1", "false": "0"}
_AS_TRUTH = {"1": "true", "0": "false", "1.0": "true", "0.0": "false"}


def _classes_text(value: object, label: Label) -> str | None:
    if isinstance(value, str):  # as `told_text` writes lists
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, list):
        return None
    single = replace(label, task="multiclass")
    found = {label_text(one, single) for one in value}
    if None in found:
        return None
    return json.dumps([one for one in label.classes if one in found], ensure_ascii=False)


def told_text(value: object) -> str | None:
    """Return a value of JSON as text, lists as JSON; None for one that no label can be."""
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    return repr(value) if isinstance(value, float) else None


def _number(text: str) -> str | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not isfinite(number):
        return None
    return str(int(number)) if number == int(number) and abs(number) < 2**53 else repr(number)
