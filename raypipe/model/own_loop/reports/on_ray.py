"""Each report of a loop is written down where it arrives: in the controller of Ray Train.

That process imports this module, and waits for what it imports: neither torch nor settings.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from ray.train.v2.api.callback import UserCallback

from raypipe.engine.context import StepContext

REPORTS = "reports.jsonl"


class Reports(UserCallback):  # type: ignore[misc]
    """Writes each report down, and tells of it: Ray keeps only those with a checkpoint."""

    def __init__(self, file: Path, context: StepContext, epochs: int) -> None:
        self.file = file
        self.context = context
        self.epochs = epochs

    def after_report(
        self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any
    ) -> None:
        """Take the report of rank 0."""
        row = {name: plain(value) for name, value in metrics[0].items()}
        torn = self.file.exists() and not self.file.read_bytes().endswith(b"\n")
        with self.file.open("a") as file:
            file.write("\n" * torn + json.dumps(row) + "\n")
        number = len(read_reports(self.file))
        told = {name: value for name, value in row.items() if isinstance(value, int | float)}
        for name, value in told.items():
            self.context.log_metric(name, value, number)
        words = " ".join(f"{name} {value:.3g}" for name, value in told.items())
        self.context.progress(number, max(number, self.epochs), words)


def read_reports(file: Path) -> list[dict[str, Any]]:
    """Return the reports that were written down whole: a full disk may have torn one."""
    rows = []
    for line in file.read_text().splitlines() if file.exists() else ():
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def plain(value: Any) -> Any:
    """Return a metric as JSON has it."""
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, int | float | str | None) else repr(value)
