"""What is known of a run by name: its fields, metrics, settings and parameters."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from raypipe.engine.records import RunRecord
from raypipe.store.given import said
from raypipe.store.rows import Remark

FIELDS: dict[str, Callable[[RunRecord], Any]] = {
    "id": lambda run: run.id,
    "project": lambda run: run.project,
    "pipeline": lambda run: run.pipeline,
    "status": lambda run: str(run.status),
    "created": lambda run: run.created,
    "seconds": lambda run: None if run.ended is None else run.ended - run.created,
    "user": lambda run: run.actor.user,
    "host": lambda run: run.actor.host,
    "by": lambda run: run.actor.name or run.actor.user,
    "code": lambda run: run.code,
    "commits": lambda run: list(run.commits.values()),
    "datasets": lambda run: list(run.commits),
    "resumes": lambda run: run.resumes,
}
"""What every run has, by the name that it is asked for."""


REVIEWED = "analysis."
"""What the figures of a review are called after: `auc` is `analysis.auc` of a run that has it."""


class Facts:
    """What is known of one run, found by name."""

    def __init__(
        self, run: RunRecord, ends: Mapping[tuple[str, str], float], remarks: Iterable[Remark]
    ) -> None:
        self.run = run
        self.remarks = list(remarks)
        self.metrics: dict[str, float] = {}
        self._step_of: dict[str, str] = {}
        for (step, name), value in ends.items():
            self.metrics[name] = self.metrics[f"{step}.{name}"] = value
            self._step_of[name] = step

    def find(self, name: str) -> Any:
        """Return a field, a metric, a setting or a parameter; KeyError if the run has it not."""
        if field := FIELDS.get(name):
            return field(self.run)
        if name in {"tags", "notes"}:
            return [one.said for one in self.remarks if f"{one.kind}s" == name]
        if self.is_reviewed(name):
            return self.metrics[REVIEWED + name]
        if name in self.metrics:
            return self.metrics[name]
        given = (self.run.parameters or {}).get("parameters") or {}
        try:
            return _at(self.run.settings, name)
        except KeyError:
            return said(_at(given, name))

    def is_reviewed(self, name: str) -> bool:
        """Say whether a name means a figure of the review, which comes before curves."""
        return REVIEWED + name in self.metrics and name not in FIELDS

    def whole_name(self, name: str) -> str:
        """Return the name that says of a metric what figured it: `analysis.auc`, `train.auc`."""
        if self.is_reviewed(name):
            return REVIEWED + name
        is_plain = name in self._step_of and name not in FIELDS and "." not in name
        return f"{self._step_of[name]}.{name}" if is_plain else name


def _at(data: Any, name: str) -> Any:
    if isinstance(data, Mapping) and name in data:
        return data[name]
    for part in name.split("."):
        if isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        elif isinstance(data, Mapping) and part in data:
            data = data[part]
        else:
            raise KeyError(name)
    return data
