"""Labels as they are told: which request and row, and what turned out to be true."""

from collections.abc import Callable
from typing import Any

from raypipe.errors import UsageError
from raypipe.stages.serving.asked import kind_of, shown
from raypipe.values.signature import Label

MOST = 10_000
"""Labels in one request."""
KNOWN = {"request", "request_id", "row", "label"}


def read(
    body: Any, model: str, label: Label | None, new_id: Callable[[], str], now: float
) -> list[dict[str, Any]]:
    """Return the records of labels that were told; UsageError says which is wrong, then none is."""
    told = body.get("labels", body) if type(body) is dict else body
    told = [told] if type(told) is dict else told
    if type(told) is not list or not told:
        raise UsageError('send {"labels": [{"request": ID, "row": 0, "label": VALUE}]}')
    if len(told) > MOST:
        raise UsageError(f"there are {len(told):,} labels; the most at once are {MOST:,}")
    return [
        {
            "kind": "label",
            "id": new_id(),
            "time": now,
            "model": model,
            "source": "gateway",
            **_read(one, number, label),
        }
        for number, one in enumerate(told)
    ]


def _read(one: Any, number: int, label: Label | None) -> dict[str, Any]:
    if type(one) is not dict:
        raise UsageError(f"label {number} is {kind_of(one)}; it must be an object")
    if unknown := sorted(set(one) - KNOWN):
        raise UsageError(f"label {number} has {shown(unknown[0])}; it has request, row and label")
    request = one.get("request", one.get("request_id"))
    if type(request) is not str or not 0 < len(request) <= 256:
        raise UsageError(f'label {number} names no "request": {shown(request)}')
    row = one.get("row", 0)
    if type(row) is not int or row < 0:
        raise UsageError(f"label {number} has the row {shown(row)}; rows count from 0")
    if "label" not in one or isinstance(one["label"], dict | list | None.__class__):
        raise UsageError(f'label {number} has no "label" that is a number, a text or true or false')
    return {"request": request, "row": row, "label": _checked(one["label"], number, label)}


def _checked(value: Any, number: int, label: Label | None) -> Any:
    """Return a label as the model's classes have it."""
    if label is None:
        return value
    if label.task == "regression":
        if type(value) not in {int, float}:
            raise UsageError(f"label {number} is {shown(value)}; {label.name} is a number")
        return value
    if class_of(value, label.classes) is None:
        known = ", ".join(label.classes[:5])
        raise UsageError(
            f"label {number} is {shown(value)}, which is no class of {label.name}: {known}"
        )
    return value


def class_of(value: Any, classes: tuple[str, ...]) -> str | None:
    """Return the class that a value names: true, "true" and 1 all name `true`; None if none."""
    if isinstance(value, bool):
        text = "true" if value else "false"
        if text not in classes and set(classes) <= {"0", "1"}:
            text = str(int(value))
        return text if text in classes else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    if text in classes:
        return text
    if set(classes) <= {"true", "false"}:
        named = {"1": "true", "0": "false"}.get(text.lower(), text.lower())
        return named if named in classes else None
    return None
