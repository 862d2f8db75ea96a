"""Labels as they are told: which request and row, and what turned out to be true."""

from collections.abc import Callable
from typing import Any

from raypipe.errors import UsageError
from raypipe.stages.serving.asked import kind_of, shown
from raypipe.values.feedback import LAST_ROW
from raypipe.values.label import label_text
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
    if type(row) is not int or not 0 <= row <= LAST_ROW:
        raise UsageError(
            f"label {number} has the row {shown(row)}; rows count from 0, to {LAST_ROW} at most"
        )
    told = one.get("label")
    listed = label is None or label.task == "multilabel"
    if told is None or isinstance(told, dict) or (isinstance(told, list) and not listed):
        raise UsageError(f'label {number} has no "label" that is a number, a text or true or false')
    return {"request": request, "row": row, "label": _checked(one["label"], number, label)}


def _checked(value: Any, number: int, label: Label | None) -> Any:
    """Return a label as the model's classes have it."""
    if label is None:
        return value
    if label_text(value, label) is None:
        if label.task == "regression":
            raise UsageError(f"label {number} is {shown(value)}; {label.name} is a number")
        known = ", ".join(label.classes[:5])
        if label.task == "multilabel":
            raise UsageError(
                f"label {number} is {shown(value)}; {label.name} is a list of classes, of: {known}"
            )
        raise UsageError(
            f"label {number} is {shown(value)}, which is no class of {label.name}: {known}"
        )
    return value
